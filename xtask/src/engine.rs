//! Making sure that a Docker engine answers, before tests are built that need one.

use std::{
    env,
    io::{self, Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use crate::run::{Done, Failure};

const USUAL: &str = "unix:///var/run/docker.sock";

const PATIENCE: Duration = Duration::from_secs(10);

/// Says so in one sentence where none does: tests that need one are never left out.
pub(crate) fn ensure_running() -> Done {
    ensure_running_at(&env::var("DOCKER_HOST").unwrap_or_else(|_| USUAL.to_owned()))
}

fn ensure_running_at(place: &str) -> Done {
    match ping(place) {
        Ok(answer) if answer.contains(" 200 ") => Ok(()),
        Ok(answer) => Err(silent(place, answer.lines().next().unwrap_or("nothing"))),
        Err(error) => Err(silent(place, &error.to_string())),
    }
}

fn silent(place: &str, said: &str) -> Failure {
    Failure::from(format!(
        "the container tests need a Docker engine, and none answers at {place} ({said}): start one (`dockerd`, or its \
         service), or say where it is with DOCKER_HOST"
    ))
}

/// Asks as a client would. The answer is short, and one read of it is enough to know the status.
fn ping(place: &str) -> io::Result<String> {
    const REQUEST: &[u8] = b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n";
    let mut answer = [0; 512];
    let read = match place.split_once("://") {
        #[cfg(unix)]
        Some(("unix", path)) => {
            let mut stream = std::os::unix::net::UnixStream::connect(path)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.write_all(REQUEST)?;
            stream.read(&mut answer)?
        }
        Some(("tcp" | "http", address)) => {
            let mut stream = TcpStream::connect(address.trim_end_matches('/'))?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.write_all(REQUEST)?;
            stream.read(&mut answer)?
        }
        Some(_) | None => return Err(io::Error::other("this is neither unix://… nor tcp://…")),
    };
    Ok(String::from_utf8_lossy(&answer[..read]).into_owned())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn an_engine_is_known_by_its_answer() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let place = format!("tcp://{}", listener.local_addr().expect("it is bound"));
        let engine = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("somebody asks");
            let mut request = [0; 512];
            let _ = stream.read(&mut request);
            stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nOK").expect("it is there");
        });
        ensure_running_at(&place).expect("it answers");
        engine.join().expect("it has answered");
        for nobody in [place.as_str(), "unix:///nowhere/docker.sock", "ssh://host"] {
            let said = ensure_running_at(nobody).expect_err("it is gone, or never was").to_string();
            let sentence = format!("the container tests need a Docker engine, and none answers at {nobody} (");
            assert!(said.starts_with(&sentence), "{said}");
        }
    }
}
