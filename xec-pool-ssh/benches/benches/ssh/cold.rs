//! Connect, log in, `true`, close: what each command costs without a pool, and the first one with it.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use xec_pool_core::PoolConfig;
use xec_pool_core_benches::{Bench, Case, Figure, Goal, OURS, Subject};
use xec_pool_testkit::LocalSshd;

use crate::peers::{Host, NODELAY, RUSSH, RawDial, SSH, pool, runtime};

/// In one measurement, so that one that sshd was slow to fork for does not decide.
const COMMANDS: u32 = 3;

pub(crate) fn run(bench: &mut Bench) -> io::Result<()> {
    let case = Case {
        name: "cold",
        about: "connect, log in, `true`, close, each time, on OpenSSH's sshd",
        base: RUSSH,
        figures: &[Figure { name: "time", unit: "ms/cmd" }],
        // Three times as fast.
        goals: &[Goal::Ratio("time", 1.0 / 3.0)],
        rounds: (31, 7),
    };
    if !bench.wants(case.name) {
        return Ok(());
    }
    let (sshd, runtime) = (LocalSshd::start()?, runtime(2)?);
    let host = Host::of(&sshd);
    let raw = |name, nodelay| {
        let (dial, runtime) = (RawDial::new(&host, nodelay), Arc::clone(&runtime));
        Subject::new(name, move || {
            timed(|| {
                runtime.block_on(async {
                    let connection = dial.connect().await.expect("the server takes it");
                    assert_eq!(connection.run().await.expect("it runs"), Some(0));
                    connection.close().await;
                });
            })
        })
    };
    let config = host.config();
    let ours = Subject::new(OURS, || {
        timed(|| {
            runtime.block_on(async {
                let pool = pool(config.clone(), PoolConfig::default());
                let status = pool.command("true").status().await.expect("it runs");
                assert!(status.success(), "{status}");
                // Long enough for a goodbye; `close` would cut it short.
                pool.drain(Duration::from_secs(5)).await;
            });
        })
    });
    let ssh = Subject::new(SSH, || timed(|| assert!(host.ssh(), "ssh runs `true`")));
    bench.case(&case, vec![ours, raw(RUSSH, false), raw(NODELAY, true), ssh]);
    Ok(())
}

fn timed(mut command: impl FnMut()) -> Vec<f64> {
    let begin = Instant::now();
    for _ in 0..COMMANDS {
        command();
    }
    vec![begin.elapsed().as_secs_f64() * 1e3 / f64::from(COMMANDS)]
}
