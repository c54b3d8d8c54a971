//! The ready-made environment says what it was told.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use xec_pool_testkit::{
    FaultProxy, MockTransport,
    conformance::{self, Environment, Proxied},
};

async fn before_nobody() -> Proxied<MockTransport> {
    let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
    Proxied::new(FaultProxy::start(nobody).await.unwrap(), MockTransport::new().0)
}

/// As the suite asks.
fn told(environment: &impl Environment) -> (Vec<String>, Duration, bool) {
    (environment.secrets(), environment.patience(), environment.refused().is_some())
}

#[tokio::test]
async fn it_says_what_it_was_told() {
    let five_seconds = Duration::from_secs(5);
    assert_eq!(told(&before_nobody().await), (vec![], five_seconds, false));
    let brief = Duration::from_millis(50);
    let environment = before_nobody().await.secrets(["a key"]).patience(brief).refused(MockTransport::new().0);
    assert_eq!(told(&environment), (vec!["a key".to_owned()], brief, true));
    assert!(!Arc::ptr_eq(&environment.transport(), &Environment::refused(&environment).unwrap()));
    // A mock dials no proxy, and it is not waited for longer than it was said.
    let broken = conformance::close_ends_it(&environment).await.unwrap_err();
    assert!(broken.how.starts_with("not within 50ms"), "{broken}");
}
