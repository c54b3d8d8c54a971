//! Who is believed, and that nobody else gets a login to see.

use std::fs;

use xec_pool_core::{ConnectContext, FailureKind, Transport as _};
use xec_pool_ssh::{HostKeyError, HostKeyPolicy, Phase, SshConfig, SshConfigBuilder, SshError};
use xec_pool_testkit::{EmbeddedSsh, FaultProxy, keys};

use super::support::{World, refused, transport};

/// As `ssh-keygen -l` prints it.
const HOST_FINGERPRINT: &str = "SHA256:k2qb8lC38RWb5EBY8Mi08JyOareUHs8GXnJsCbAOu+k";
const STRANGERS_FINGERPRINT: &str = "SHA256:qOMQqExWX2ylRg7QIYK5FPv7jbidCaJ7q60LumQsK8s";

/// The host is not believed, and nobody tried to log in.
async fn distrusted(server: &EmbeddedSsh, config: SshConfigBuilder) -> HostKeyError {
    let error = refused(config).await;
    assert_eq!((error.phase(), error.kind()), (Phase::Kex, FailureKind::Trust));
    assert!(!error.is_retryable() && !error.maybe_ran());
    let counters = server.counters();
    assert_eq!((counters.accepted, counters.auth_attempts.len(), counters.sessions), (1, 0, 0));
    let SshError::HostKey { source, .. } = error else { panic!("{error:?}") };
    source
}

#[tokio::test]
async fn an_unknown_host_gets_no_login() {
    let world = World::new().await;
    fs::write(world.known_hosts.path(), "").unwrap();
    assert!(matches!(distrusted(&world.server, world.config()).await, HostKeyError::Unknown { .. }));
}

#[tokio::test]
async fn a_changed_host_gets_no_login() {
    let world = World::new().await;
    let host = format!("[{}]:{}", world.server.addr().ip(), world.server.addr().port());
    fs::write(world.known_hosts.path(), keys::STRANGER.known_hosts_line(&host)).unwrap();
    let error = distrusted(&world.server, world.config()).await;
    assert!(matches!(error, HostKeyError::Changed { line: 1, .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains(HOST_FINGERPRINT) && text.contains(STRANGERS_FINGERPRINT), "both fingerprints: {text}");
}

#[tokio::test]
async fn a_new_host_is_remembered_once_and_refused_when_it_changes() {
    let first = World::new().await;
    // The same place, where another server stands later.
    let place = FaultProxy::start(first.server.addr()).await.unwrap();
    fs::write(first.known_hosts.path(), "").unwrap();
    let accepting = || {
        SshConfig::builder(format!("tester@{}", place.addr()).parse().unwrap())
            .known_hosts([first.known_hosts.path()])
            .private_key_text(keys::USER_ED25519.private)
            .host_key(HostKeyPolicy::AcceptNew)
    };
    let remembered = keys::HOST_ED25519.known_hosts_line(&format!("[127.0.0.1]:{}", place.addr().port()));
    for _ in 0..2 {
        transport(accepting()).connect(ConnectContext::detached()).await.unwrap();
        assert_eq!(fs::read_to_string(first.known_hosts.path()).unwrap(), remembered);
    }
    let other = EmbeddedSsh::builder().host_keys(&[keys::HOST_ECDSA]).start().await.unwrap();
    place.forward_to(other.addr());
    let error = distrusted(&other, accepting()).await;
    assert!(matches!(error, HostKeyError::Changed { line: 1, .. }), "{error:?}");
    assert_eq!(fs::read_to_string(first.known_hosts.path()).unwrap(), remembered);
}

#[tokio::test]
async fn a_pinned_key_is_believed_and_no_other_whatever_the_files_say() {
    let world = World::new().await;
    let pinned = |fingerprint: &str| world.config().host_key(HostKeyPolicy::Pinned(vec![fingerprint.to_owned()]));
    let error = distrusted(&world.server, pinned(STRANGERS_FINGERPRINT)).await;
    assert!(matches!(error, HostKeyError::NotPinned { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains(HOST_FINGERPRINT) && text.contains(STRANGERS_FINGERPRINT), "both fingerprints: {text}");
    fs::write(world.known_hosts.path(), "").unwrap();
    transport(pinned(HOST_FINGERPRINT)).connect(ConnectContext::detached()).await.unwrap();
    assert_eq!(fs::read_to_string(world.known_hosts.path()).unwrap(), "", "a pin is not remembered");
}
