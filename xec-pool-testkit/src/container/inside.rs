//! What is asked inside of it.

use std::{future::poll_fn, io};

use testcontainers::bollard::{
    container::LogOutput,
    exec::{CreateExecOptions, StartExecResults},
};

use super::SshdContainer;

/// Number and name of every process but this one and the first, which listens.
const PROCESSES: &str = "\
for entry in /proc/[0-9]*; do
  pid=${entry#/proc/}
  [ $pid = 1 ] || [ $pid = $$ ] && continue
  read -r name < $entry/comm 2>/dev/null && echo \"$pid $name\"
done
true";

/// What the container itself keeps running: the one that ends it when its time is over.
const OURS: &str = "sleep";

impl SshdContainer {
    /// Runs a shell script in it, as root and beside sshd, and returns what that prints, trimmed. Takes some 50 ms.
    ///
    /// # Errors
    ///
    /// When the script fails (the text is what it said), or the engine cannot run anything in it: it is paused, or
    /// killed.
    ///
    /// # Cancel safety
    ///
    /// A script that has begun runs on over there, to its end; its output is lost.
    pub async fn exec(&self, script: &str) -> io::Result<String> {
        let options = CreateExecOptions {
            cmd: Some(vec!["/bin/sh", "-c", script]),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            ..Default::default()
        };
        let made = self.docker.create_exec(self.id(), options).await.map_err(io::Error::other)?;
        let started = self.docker.start_exec(&made.id, None).await.map_err(io::Error::other)?;
        let StartExecResults::Attached { mut output, input: _ } = started else {
            return Err(io::Error::other("the engine does not tell what the script says"));
        };
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        while let Some(said) = poll_fn(|cx| output.as_mut().poll_next(cx)).await {
            match said.map_err(io::Error::other)? {
                LogOutput::StdErr { message } => stderr.extend_from_slice(&message),
                LogOutput::StdOut { message } | LogOutput::Console { message } => stdout.extend_from_slice(&message),
                LogOutput::StdIn { .. } => {}
            }
        }
        match self.docker.inspect_exec(&made.id).await.map_err(io::Error::other)?.exit_code {
            Some(0) => Ok(String::from_utf8_lossy(&stdout).trim().to_owned()),
            code => {
                let said = String::from_utf8_lossy(&stderr);
                Err(io::Error::other(format!("`{script}` ended with {code:?}: {}", said.trim())))
            }
        }
    }

    /// The names of the processes in it, without what listens and what ends it when its time is over: those behind
    /// connections (`sshd…`), and the commands that run.
    ///
    /// # Errors
    ///
    /// As [`exec`](Self::exec).
    ///
    /// # Cancel safety
    ///
    /// Safe to drop: it only looks.
    pub async fn processes(&self) -> io::Result<Vec<String>> {
        let said = self.exec(PROCESSES).await?;
        let mut names: Vec<String> =
            said.lines().filter_map(|line| line.split_once(' ')).map(|(_, name)| name.to_owned()).collect();
        // One, and only one, is ours; a test may run others of that name. Its shell is the other.
        for ours in [OURS, "sh"] {
            if let Some(found) = names.iter().position(|name| name == ours) {
                names.swap_remove(found);
            }
        }
        Ok(names)
    }

    /// What sshd has said so far, since the container was made.
    ///
    /// # Errors
    ///
    /// When the engine does not tell.
    ///
    /// # Cancel safety
    ///
    /// Safe to drop: it only looks.
    pub async fn log(&self) -> io::Result<Vec<String>> {
        let said = self.container().stderr_to_vec().await.map_err(io::Error::other)?;
        Ok(String::from_utf8_lossy(&said).lines().map(|line| line.trim_end().to_owned()).collect())
    }
}
