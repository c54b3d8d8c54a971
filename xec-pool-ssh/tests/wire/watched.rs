//! What those who watch a pool hear of its commands.

use std::{
    any::Any,
    sync::{Arc, Mutex},
    time::Duration,
};

use xec_pool_core::{Interest, Observation, Observer, Outcome, Pool, PoolConfig, Start};
use xec_pool_ssh::SshPool;
use xec_pool_testkit::{
    EmbeddedSsh, Recorder,
    embedded::{Fault, Step},
};

use super::support::{World, soon};

fn watched(world: &World, observer: impl Observer) -> SshPool {
    let config = PoolConfig::builder().max_connections(1).build().unwrap();
    Pool::builder(world.transport()).config(config).observer(observer).build().unwrap().into()
}

#[tokio::test]
async fn a_command_is_watched_to_its_end_whatever_that_is() {
    let (world, recorder) = (World::new().await, Recorder::new());
    let pool = watched(&world, recorder.clone());
    pool.shell("exit 3").output().await.unwrap();
    pool.shell("kill -USR2 $$").status().await.unwrap();
    pool.shell("sleep 60").timeout(Duration::from_millis(1)).output().await.unwrap_err();
    tokio::time::timeout(Duration::from_millis(1), pool.shell("sleep 60").output()).await.unwrap_err();
    let lease = pool.acquire().await.unwrap();
    assert!(lease.command("true").status().await.unwrap().success());
    drop(lease);
    world.server.set_fault(Step::Exec, Fault::Die);
    soon(pool.command("true").status()).await.unwrap_err();
    let tree = recorder.tree();
    let commands: Vec<_> = tree.lines().filter(|line| line.starts_with("command")).collect();
    let ends = ["exited with 3", "ended by USR2", "failed (timed_out)", "cancelled", "exited with 0", "failed (lost)"];
    assert_eq!(commands, ends.map(|end| format!("command on connection 1: {end}")), "{tree}");
}

/// Collects what commands say.
#[derive(Clone, Default)]
struct Reader(Arc<Mutex<Vec<String>>>);

struct Read;

impl Observer for Reader {
    fn interest(&self) -> Interest {
        Interest::COMMANDS | Interest::COMMAND_TEXT
    }

    fn begin(&self, start: &Start<'_>, _: Option<&dyn Observation>) -> Option<Arc<dyn Observation>> {
        let Start::Command { text: Some(text), .. } = start else { return None };
        self.0.lock().unwrap().push((*text).to_owned());
        Some(Arc::new(Read))
    }
}

impl Observation for Read {
    fn end(&self, _: &Outcome<'_>) {}

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[tokio::test]
async fn what_a_command_says_is_without_its_variables_and_its_input() {
    let world = World::of(EmbeddedSsh::builder()).await;
    let reader = Reader::default();
    let pool = watched(&world, reader.clone());
    let output = pool.command("sh").args(["-c", "cat; echo $KEY"]).env("KEY", "hush").stdin("hush").output().await;
    assert_eq!(output.unwrap().stdout, b"hushhush\n");
    pool.shell("echo $KEY").env("KEY", "hush").current_dir("/").output().await.unwrap();
    pool.shell("echo").arg("it's").output().await.unwrap();
    assert_eq!(*reader.0.lock().unwrap(), ["sh -c 'cat; echo $KEY'", "echo $KEY", r"echo 'it'\''s'"]);
}
