//! Many callers at once on a server that is careful: sshd drops connections at random as soon as ten are logging in.

use std::{io, sync::Arc, time::Instant};

use tokio::{runtime::Runtime, sync::Barrier, task::JoinSet};
use xec_pool_core::PoolConfig;
use xec_pool_core_benches::{Bench, Case, Figure, Goal, OURS, Subject};
use xec_pool_testkit::LocalSshd;

use crate::peers::{Host, NODELAY, RUSSH, RawDial, pool, runtime};

const CALLERS: u32 = 64;

pub(crate) fn run(bench: &mut Bench) -> io::Result<()> {
    let case = Case {
        name: "burst",
        about: "64 connections wanted at once by as many callers, of an sshd with its default `MaxStartups 10:30:100`",
        base: RUSSH,
        figures: &[Figure { name: "failures", unit: "% lost" }, Figure { name: "time", unit: "ms" }],
        goals: &[Goal::Value("failures", 0.0)],
        rounds: (9, 3),
    };
    if !bench.wants(case.name) {
        return Ok(());
    }
    // The testkit's default lets more in; in sshd_config the first line wins.
    let sshd = LocalSshd::builder().config("MaxStartups 10:30:100").start()?;
    let (host, runtime) = (Host::of(&sshd), runtime(2)?);
    let subjects = vec![
        ours(&host, &runtime),
        raw(RUSSH, RawDial::new(&host, false), &runtime),
        raw(NODELAY, RawDial::new(&host, true), &runtime),
    ];
    bench.case(&case, subjects);
    Ok(())
}

/// A pool as large as the burst, and every caller keeps its connection until all have one: so all are dialled.
fn ours(host: &Host, runtime: &Arc<Runtime>) -> Subject<'static> {
    let (config, runtime) = (host.config(), Arc::clone(runtime));
    Subject::new(OURS, move || {
        let settings = PoolConfig::builder().max_connections(CALLERS).build().expect("64 is no wrong number");
        let pool = pool(config.clone(), settings);
        let served = Arc::new(Barrier::new(CALLERS as usize));
        let caller = |pool: xec_pool_ssh::SshPool| {
            let served = Arc::clone(&served);
            async move {
                let lease = pool.acquire().await;
                served.wait().await;
                match lease {
                    Ok(lease) => lease.command("true").status().await.is_ok_and(|status| status.success()),
                    Err(_) => false,
                }
            }
        };
        let figures = runtime.block_on(burst(|| caller(pool.clone())));
        runtime.block_on(pool.close());
        figures
    })
}

fn raw(name: &'static str, dial: RawDial, runtime: &Arc<Runtime>) -> Subject<'static> {
    let runtime = Arc::clone(runtime);
    Subject::new(name, move || {
        let served = Arc::new(Barrier::new(CALLERS as usize));
        runtime.block_on(burst(|| {
            let (dial, served) = (dial.clone(), Arc::clone(&served));
            async move {
                let connection = dial.connect().await;
                served.wait().await;
                let Ok(connection) = connection else { return false };
                let ran = connection.run().await.is_ok_and(|code| code == Some(0));
                connection.close().await;
                ran
            }
        }))
    })
}

/// How many of a hundred callers were not served, and how long it took until the last one knew.
async fn burst<C>(caller: impl Fn() -> C) -> Vec<f64>
where
    C: Future<Output = bool> + Send + 'static,
{
    let begin = Instant::now();
    let callers: JoinSet<bool> = (0..CALLERS).map(|_| caller()).collect();
    let served = callers.join_all().await;
    let failed = served.into_iter().filter(|served| !served).count();
    vec![failed as f64 * 100.0 / f64::from(CALLERS), begin.elapsed().as_secs_f64() * 1e3]
}
