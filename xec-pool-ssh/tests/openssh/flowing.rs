//! Blows that come while bytes flow to the server.

use std::time::Instant;

use super::*;

/// More than gets through before the blow. A page of zeros that is only read takes no memory.
const UPLOAD_BYTES: usize = 1 << 30;

/// Three silent keepalives, 200 ms each, or a second without a byte; and a busy machine.
const NOTICED: Duration = Duration::from_secs(5);

/// What the caller of an upload is told, and how long after the blow.
async fn struck_while_uploading(pool: &SshPool, sshd: LocalSshd, trouble: Trouble) -> (SshError, Duration, LocalSshd) {
    let (_folder, arrived) = named_pipe();
    // It reads on: what stops the bytes is the blow.
    let mut upload = pool.shell("head -c 1048577 > /dev/null; echo > \"$MARK\"; exec cat > /dev/null");
    upload.env("MARK", arrived.to_str().unwrap()).stdin(vec![0; UPLOAD_BYTES]);
    let blow = spawn_blocking(move || {
        std::fs::read(&arrived).unwrap();
        let struck = Instant::now();
        match trouble {
            Trouble::Killed => assert!(sshd.kill_connections() > 0),
            Trouble::Stopped => sshd.stop(),
        }
        (struck, sshd)
    });
    let answered = async { (soon(upload.output()).await, Instant::now()) };
    let ((answer, at), blow) = tokio::join!(answered, blow);
    let (struck, sshd) = blow.unwrap();
    (answer.unwrap_err(), at.saturating_duration_since(struck), sshd)
}

#[tokio::test]
async fn a_server_killed_or_frozen_in_the_middle_of_an_upload_is_noticed_in_time_and_replaced() {
    for trouble in [Trouble::Killed, Trouble::Stopped] {
        let sshd = start(&[]).await;
        let config = PoolConfig::builder().max_connections(1).recreate_on_error(false).build().unwrap();
        let pool: SshPool = Pool::builder(nervous(&sshd)).config(config).build().unwrap().into();
        let (error, after, sshd) = struck_while_uploading(&pool, sshd, trouble).await;
        let SshError::ConnectionLost { phase: Phase::Running, cause, .. } = &error else {
            panic!("{trouble:?}: {error:?}")
        };
        match trouble {
            Trouble::Killed => assert!(matches!(cause, LossCause::Closed | LossCause::Network(_)), "{cause:?}"),
            Trouble::Stopped => assert_eq!(*cause, LossCause::Silent),
        }
        assert!(error.maybe_ran() && !error.is_retryable());
        assert!(after < NOTICED, "{trouble:?}: {after:?}");
        sshd.cont();
        assert!(soon(pool.command("true").status()).await.unwrap().success());
        let stats = pool.stats();
        assert_eq!((stats.created, stats.open(), stats.leases), (2, 1, 0), "{trouble:?}");
        soon(pool.close()).await;
    }
}
