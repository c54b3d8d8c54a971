//! Commands that the pool ends: nothing of them runs on over there.

use std::time::Duration;

use xec_pool_ssh::{LossCause, Phase, SshError};

use super::matrix::{
    place::Place,
    whole,
    words::{Fault, State},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_command_whose_caller_leaves_and_one_that_the_end_of_a_drain_kills_leave_nothing_behind() {
    // An ordinary server, and nothing on the way to it.
    let place = Place::new(State::Running, Fault::Killed).await.expect("a server starts");
    let begin = |text: &'static str| {
        let pool = place.pool.clone();
        place
            .spawn(async move { pool.shell(format!("echo > /dev/shm/mark; exec {text}")).max_output(0).output().await })
    };
    let mark = || async { place.sshd.exec("cat /dev/shm/mark").await.expect("it begins") };
    let silent = begin("sleep 1000");
    mark().await;
    let talking = begin("yes");
    mark().await;
    let run = place.sshd.processes().await.expect("it tells");
    assert!(["sleep", "yes"].iter().all(|name| run.iter().any(|process| process == name)), "{run:?}");

    silent.abort();
    assert!(silent.await.unwrap_err().is_cancelled());
    let pool = place.pool.clone();
    // At once: the server has not heard of the first one's end yet.
    let report = place.spawn(async move { pool.drain(Duration::from_millis(300)).await }).await.unwrap();
    assert_eq!((report.closed, report.killed), (1, 1), "{report:?}");
    let error = talking.await.unwrap().unwrap_err();
    let SshError::ConnectionLost { phase: Phase::Running, cause: LossCause::Ended, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(whole::nothing_left(&place).await, Vec::<String>::new());
    assert_eq!(whole::over_there(&place, 0).await, (None, 0));
}
