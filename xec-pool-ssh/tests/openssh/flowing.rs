//! Blows that come while bytes flow to the server.

use super::*;

/// More than gets through within a minute. A page of zeros that is only read takes no memory.
const UPLOAD_BYTES: usize = 1 << 29;

/// Reads on, slowly: 6 MiB a second at most. What stops the bytes is the blow.
const READER: &str =
    "head -c 1048577 > /dev/null; echo > \"$MARK\"; while [ \"$(head -c 65536 | wc -c)\" -gt 0 ]; do sleep 0.01; done";

/// What the caller of an upload is told.
async fn struck_while_uploading(pool: &SshPool, sshd: LocalSshd, trouble: Trouble) -> (SshError, LocalSshd) {
    let (_folder, arrived) = named_pipe();
    let mut upload = pool.shell(READER);
    upload.env("MARK", arrived.to_str().unwrap()).stdin(vec![0; UPLOAD_BYTES]);
    let blow = spawn_blocking(move || {
        std::fs::read(&arrived).unwrap();
        match trouble {
            Trouble::Killed => assert!(sshd.kill_connections() > 0),
            Trouble::Stopped => sshd.stop(),
        }
        sshd
    });
    let (answer, sshd) = tokio::join!(soon(upload.output()), blow);
    (answer.unwrap_err(), sshd.unwrap())
}

#[tokio::test]
async fn a_server_killed_or_frozen_in_the_middle_of_an_upload_is_noticed_in_time_and_replaced() {
    for trouble in [Trouble::Killed, Trouble::Stopped] {
        let sshd = start(&[]).await;
        let config = PoolConfig::builder().max_connections(1).recreate_on_error(false).build().unwrap();
        let pool: SshPool = Pool::builder(nervous(&sshd)).config(config).build().unwrap().into();
        let (error, sshd) = struck_while_uploading(&pool, sshd, trouble).await;
        let SshError::ConnectionLost { phase: Phase::Running, cause, .. } = &error else {
            panic!("{trouble:?}: {error:?}")
        };
        match trouble {
            Trouble::Killed => assert!(matches!(cause, LossCause::Closed | LossCause::Network(_)), "{cause:?}"),
            Trouble::Stopped => assert_eq!(*cause, LossCause::Silent),
        }
        assert!(error.maybe_ran() && !error.is_retryable());
        sshd.cont();
        assert!(soon(pool.command("true").status()).await.unwrap().success());
        let stats = pool.stats();
        assert_eq!((stats.created, stats.open(), stats.leases), (2, 1, 0), "{trouble:?}");
        soon(pool.close()).await;
    }
}
