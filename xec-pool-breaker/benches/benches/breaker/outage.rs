//! A real host goes away for a while and comes back, under callers who never stop: a pool with a breaker, and the same
//! pool alone, which has its own back-off.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    runtime::{Builder, Runtime},
    sync::watch,
    task::{JoinSet, spawn_blocking},
    time::sleep,
};
use xec_pool_breaker::{Breaker, BreakerConfig};
use xec_pool_core::{Pool, PoolConfig};
use xec_pool_core_benches::{Bench, Case, Figure, OURS, Subject, percentile};
use xec_pool_ssh::{SshConfig, SshPool, SshTransport};
use xec_pool_testkit::{LocalSshd, keys};

const CALLERS: usize = 8;
const LASTS: Duration = Duration::from_secs(3);
const OPEN_FOR: Duration = Duration::from_millis(500);
const ALONE: &str = "no-breaker";

pub(crate) fn run(bench: &mut Bench) -> io::Result<()> {
    let case = Case {
        name: "outage",
        about: "sshd is killed for 3 s under 8 callers; the circuit opens for 0.5 s at a time",
        base: ALONE,
        figures: &[
            Figure { name: "back", unit: "ms" },
            Figure { name: "dials", unit: "dials" },
            Figure { name: "told-p50", unit: "ms" },
            Figure { name: "told-max", unit: "ms" },
        ],
        goals: &[],
        rounds: (9, 3),
    };
    if !bench.wants(case.name) {
        return Ok(());
    }
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().map(Arc::new)?;
    bench.case(&case, vec![subject(OURS, &runtime), subject(ALONE, &runtime)]);
    Ok(())
}

fn subject(name: &'static str, runtime: &Arc<Runtime>) -> Subject<'static> {
    let runtime = Arc::clone(runtime);
    Subject::new(name, move || runtime.block_on(outage(name == OURS)))
}

/// From the host's return to the first command; dials while it was away; what callers waited to be told that it is.
async fn outage(guarded: bool) -> Vec<f64> {
    let mut sshd = blocking(|| LocalSshd::start().expect("sshd is installed")).await;
    let pool = pool(&sshd, guarded);
    pool.warm(4).await;
    let (tell, back) = watch::channel(None);
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        callers.spawn(call(pool.clone(), back.clone()));
    }
    sshd = blocking(move || {
        sshd.kill();
        sshd.kill_connections();
        sshd
    })
    .await;
    let before = pool.stats().connect_failures;
    sleep(LASTS).await;
    let dials = pool.stats().connect_failures - before;
    let _sshd = blocking(move || {
        sshd.restart().expect("its port is free");
        sshd
    })
    .await;
    tell.send_replace(Some(Instant::now()));
    let (mut first, mut told) = (f64::INFINITY, Vec::new());
    for (served, waits) in callers.join_all().await {
        first = first.min(served);
        told.extend(waits);
    }
    pool.close().await;
    vec![first, dials as f64, percentile(&mut told, 50.0), percentile(&mut told, 100.0)]
}

/// Until a command succeeds that began after the host was back: when that was, and how long each failure took.
async fn call(pool: SshPool, back: watch::Receiver<Option<Instant>>) -> (f64, Vec<f64>) {
    let mut told = Vec::new();
    loop {
        let begin = Instant::now();
        let ok = pool.command("true").status().await.is_ok();
        let took = begin.elapsed().as_secs_f64() * 1e3;
        match *back.borrow() {
            Some(back) if ok => return (back.elapsed().as_secs_f64() * 1e3, told),
            None | Some(_) if !ok => told.push(took),
            None | Some(_) => {}
        }
        sleep(Duration::from_millis(10)).await;
    }
}

fn pool(sshd: &LocalSshd, guarded: bool) -> SshPool {
    let host = SshConfig::builder(format!("{}@{}", sshd.user(), sshd.addr()).parse().expect("an address and a name"))
        .known_hosts([sshd.known_hosts_path()])
        .private_key_text(keys::USER_ED25519.private);
    let size = PoolConfig::builder().max_connections(4).retry_delay(Duration::from_millis(100));
    let builder = Pool::builder(SshTransport::new(host.build().expect("each field is valid")));
    let builder = builder.config(size.build().expect("valid"));
    let builder = if guarded {
        let config = BreakerConfig::builder().open_for(OPEN_FOR).build().expect("valid");
        builder.gate(Breaker::new(config))
    } else {
        builder
    };
    builder.build().expect("nothing is left unclaimed").into()
}

async fn blocking<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
    spawn_blocking(work).await.expect("it does not panic")
}
