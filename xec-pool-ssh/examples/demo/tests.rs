//! The demo on the server in this process.

// As a process of its own.
#[cfg(unix)]
mod program;

// On a real sshd.
#[cfg(all(unix, feature = "sshd"))]
mod host;

use serde_json::Value;

use super::*;

fn flags(args: &[&str]) -> Flags {
    Flags::try_parse_from(std::iter::once("demo").chain(args.iter().copied())).expect("these are its flags")
}

async fn shown(args: &[&str]) -> (Value, Place) {
    let flags = flags(args);
    let place = Place::new(&flags).await.expect("loopback has a free port");
    let show = Show::new(&place, flags.commands()).expect("it is well configured");
    let report = show.run().await.expect("every command runs");
    show.drain().await;
    let leaked = show.leaked(&place).await;
    assert!(!report.to_string().is_empty());
    let said = report.to_json(&place.name(), show.created(), leaked);
    (serde_json::from_str(&said).expect("it is JSON"), place)
}

#[tokio::test]
async fn it_tells_what_it_did_and_leaves_no_connection_behind() {
    let (said, place) = shown(&[]).await;
    let counters = place.server().expect("no host was named").counters();
    assert_eq!(said["target"], "embedded");
    assert_eq!(said["commands"].as_u64(), Some(counters.commands));
    assert_eq!(said["commands"], 10 + 50 + 32);
    assert_eq!(said["connections_created"].as_u64(), Some(counters.authenticated));
    let created = said["connections_created"].as_u64().expect("a count");
    assert!((11..=14).contains(&created), "ten cold ones and one to four of the pool's, not {created}");
    assert_eq!(said["leaked"], 0);
    assert_eq!(counters.open, 0);
    for figure in ["cold_p50_ms", "warm_p50_ms", "speedup", "concurrent_per_s"] {
        assert!(said[figure].as_f64().expect("a number") > 0.0, "{figure}: {said}");
    }
    assert_eq!(said.as_object().expect("one object").len(), 8);
}

#[tokio::test]
async fn it_runs_the_command_of_the_user_and_minds_no_exit_code() {
    let (said, place) = shown(&["--", "exit", "3"]).await;
    assert_eq!(said["commands"].as_u64(), Some(place.server().expect("no host was named").counters().commands));
}

#[tokio::test]
async fn what_is_interrupted_is_drained() {
    let flags = flags(&["--", "cat"]);
    let place = Place::new(&flags).await.expect("loopback has a free port");
    let server = place.server().expect("no host was named");
    let show = Show::new(&place, flags.commands()).expect("it is well configured");
    tokio::select! {
        outcome = show.run() => outcome.map(drop).expect("every command runs"),
        _ = server.wait_until(|counters| counters.commands > 0) => {}
    }
    show.drain().await;
    assert_eq!(show.leaked(&place).await, 0);
}

#[tokio::test]
async fn a_host_that_is_not_there_is_one_line_with_its_causes() {
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        listener.local_addr().expect("it is bound")
    };
    // A key of its own, for without one the demo asks an agent, and the machine that runs this may have none.
    let key = tempfile::NamedTempFile::new().expect("there is room for a file");
    std::fs::write(key.path(), xec_pool_testkit::keys::USER_ED25519.private).expect("the file is ours");
    let key = key.path().to_str().expect("a temporary name is text");
    let flags = flags(&["--identity", key, &format!("ada@{closed}")]);
    let place = Place::new(&flags).await.expect("a host is not asked before it is needed");
    let show = Show::new(&place, flags.commands()).expect("it is well configured");
    let Err(failure) = show.run().await else { panic!("nobody listens") };
    let line = chain(&*failure);
    assert!(line.contains(&format!("cannot reach ada@{closed}")) && line.contains("refused"), "{line}");
    assert!(!line.contains('\n'), "{line}");
}

#[tokio::test]
async fn what_is_no_host_is_refused_before_anything_is_sent() {
    let failure = Place::new(&flags(&["a b"])).await.err().expect("no host has a space");
    assert!(chain(&*failure).contains("has ' ' in it"));
}
