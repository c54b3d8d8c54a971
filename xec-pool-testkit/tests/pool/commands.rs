//! Commands on a connection, as those who watch hear of them: only who asks, and what they say only by name.

use std::{
    any::Any,
    convert::Infallible,
    sync::{Arc, Mutex},
};

use xec_pool_core::{
    Check, CloseReason, Commands, ConnectContext, FailureKind, Interest, Observation, Observer, Outcome, Pool, Start,
    Transport,
};

/// Connections that could run commands.
struct Shells;

#[async_trait::async_trait]
impl Transport for Shells {
    type Connection = Commands;
    type Error = Infallible;

    async fn connect(&self, cx: ConnectContext) -> Result<Commands, Infallible> {
        Ok(cx.commands().clone())
    }

    async fn validate(&self, _: &Commands, _: Check) -> Result<(), Infallible> {
        Ok(())
    }

    async fn close(&self, _: Commands, _: CloseReason) {}

    fn is_broken(&self, _: &Commands) -> bool {
        false
    }
}

/// Writes down what it hears of commands.
#[derive(Clone)]
struct Eavesdropper(Interest, Arc<Mutex<Vec<String>>>);

struct Heard(Eavesdropper);

impl Eavesdropper {
    fn note(&self, text: String) {
        self.1.lock().unwrap().push(text);
    }
}

impl Observer for Eavesdropper {
    fn interest(&self) -> Interest {
        self.0
    }

    fn begin(&self, start: &Start<'_>, parent: Option<&dyn Observation>) -> Option<Arc<dyn Observation>> {
        let Start::Command { pool, id, text, .. } = start else { return None };
        assert!(parent.is_none(), "a connection does not know who holds it");
        assert!(pool.starts_with("shells"));
        self.note(format!("{id} {text:?}"));
        Some(Arc::new(Heard(self.clone())))
    }
}

impl Observation for Heard {
    fn end(&self, outcome: &Outcome<'_>) {
        self.0.note(match outcome {
            Outcome::Exited { code, signal, .. } => format!("{code:?} {signal:?}"),
            Outcome::Failed { error: "lost", .. } => panic!("as planned"),
            other => format!("{other:?}"),
        });
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Drop for Heard {
    fn drop(&mut self) {
        self.0.note("over".into());
    }
}

async fn heard_by(interest: Interest) -> Vec<String> {
    let observer = Eavesdropper(interest, Arc::default());
    let pool = Pool::builder(Shells).name("shells").observer(observer.clone()).build().unwrap();
    let lease = pool.acquire().await.unwrap();
    lease.begin("a secret").end(&Outcome::exited(Some(3), None));
    lease.begin("b").end(&Outcome::exited(None, Some("TERM")));
    lease.begin("c").end(&Outcome::failed(FailureKind::Lost, "gone"));
    drop(lease.begin("d"));
    observer.1.lock().unwrap().clone()
}

#[tokio::test(start_paused = true)]
async fn commands_reach_those_who_ask_for_them_and_their_text_those_who_ask_for_that() {
    assert!(heard_by(Interest::EVENTS | Interest::SPANS).await.is_empty());
    assert!(heard_by(Interest::COMMAND_TEXT).await.is_empty(), "the text of nothing is nothing");
    let without = heard_by(Interest::ALL).await;
    assert_eq!(without[..3], ["1 None", "Some(3) None", "over"]);
    let with = heard_by(Interest::COMMANDS | Interest::COMMAND_TEXT).await;
    assert_eq!(with[..3], [r#"1 Some("a secret")"#, "Some(3) None", "over"]);
}

#[tokio::test(start_paused = true)]
async fn a_command_ends_once_however_it_ends_and_its_watchers_panic_is_not_its_own() {
    let heard = heard_by(Interest::COMMANDS).await;
    let expected = ["1 None", r#"None Some("TERM")"#, "over", "1 None", "over", "1 None", "over"];
    assert_eq!(heard[3..], expected, "the third panicked at its end, the fourth was dropped");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_outlives_its_pool_still_runs_commands() {
    let observer = Eavesdropper(Interest::COMMANDS, Arc::default());
    let pool = Pool::builder(Shells).observer(observer).build().unwrap();
    let commands = pool.acquire().await.unwrap().detach().unwrap();
    drop(pool);
    assert!(!commands.begin("late").is_watched());
    assert!(!ConnectContext::detached().commands().begin("alone").is_watched());
}
