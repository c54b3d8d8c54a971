//! A few cells of the matrix of states and faults, in containers; `cargo xtask faults` runs them all.
#![cfg(target_os = "linux")]

mod matrix;

// What no fault ends.
mod ends;

use self::matrix::{
    cell::{Outcome, run},
    words::{Fault, State, senseless},
};

/// At once: they mostly wait.
async fn all_green(state: State, faults: [Fault; 2]) {
    let [first, second] = faults;
    for row in <[_; 2]>::from(tokio::join!(run(state, first), run(state, second))) {
        assert!(row.is_green(), "{row}");
        assert!(matches!(row.outcome, Outcome::Ran(_)), "{row}");
    }
}

#[test]
fn few_cells_make_no_sense() {
    let all = State::ALL.iter().flat_map(|state| Fault::ALL.iter().map(|fault| senseless(*state, *fault)));
    assert_eq!((all.clone().count(), all.flatten().count()), (90, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_that_dies_costs_nobody_a_command() {
    all_green(State::Idle, [Fault::Killed, Fault::Frozen]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_dial_hears_in_time_that_the_server_is_gone_or_busy() {
    all_green(State::Connecting, [Fault::Unplugged, Fault::MaxStartups]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_breaks_off_is_tried_again() {
    all_green(State::Authenticating, [Fault::Reset, Fault::Exhausted]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_whose_answer_never_comes_holds_nobody_up() {
    all_green(State::Validating, [Fault::BlackHole, Fault::Killed]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_got_no_session_runs_on_another_connection() {
    all_green(State::Opening, [Fault::Reset, Fault::MaxSessions]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_command_is_lost_in_time_and_a_slow_way_is_no_loss() {
    all_green(State::Running, [Fault::Rebooted, Fault::Slow]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_server_costs_a_running_command_nothing_and_who_dials_is_served_later() {
    all_green(State::Running, [Fault::MaxSessions, Fault::MaxStartups]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_stops_is_a_loss() {
    all_green(State::Streaming, [Fault::Frozen, Fault::Exhausted]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_into_nothing_is_a_loss() {
    all_green(State::Uploading, [Fault::BlackHole, Fault::Exhausted]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_ends_in_time_whatever_happens_to_what_it_waits_for() {
    all_green(State::Draining, [Fault::Killed, Fault::Unplugged]).await;
}
