//! `true`, one after another: what a command costs where the connection is there already.

use std::{io, sync::Arc, time::Instant};

use tokio::runtime::{Builder, Runtime};
use xec_pool_core::PoolConfig;
use xec_pool_core_benches::{Bench, Case, Figure, Goal, OURS, Subject};
use xec_pool_testkit::{EmbeddedSsh, LocalSshd, embedded::Answer};

use crate::peers::{Host, NODELAY, RUSSH, Raw, RawDial, pool, runtime};

/// On a real sshd, which starts a process for each.
pub(crate) fn run(bench: &mut Bench) -> io::Result<()> {
    let case = Case {
        name: "warm",
        about: "`true` on a connection that is open, one after another, on OpenSSH's sshd",
        base: NODELAY,
        figures: &[Figure { name: "time", unit: "ms/cmd" }],
        goals: &[Goal::Ratio("time", 1.1)],
        rounds: (61, 15),
    };
    if !bench.wants(case.name) {
        return Ok(());
    }
    let (sshd, runtime) = (LocalSshd::start()?, runtime(2)?);
    let host = Host::of(&sshd);
    bench.case(
        &case,
        vec![ours(&host, &runtime, 10), raw(NODELAY, &host, &runtime, 10), raw(RUSSH, &host, &runtime, 10)],
    );
    Ok(())
}

/// On a server in this process, whose answer costs next to nothing: what is left is the client. All on one thread, so
/// that nobody waits for a core to wake up, which takes longer than the whole command.
pub(crate) fn run_embedded(bench: &mut Bench) -> io::Result<()> {
    let about = "the same, answered by a server in this process, on this thread";
    let one_thread = || Builder::new_current_thread().enable_all().build().map(Arc::new);
    embedded(bench, "warm-embedded", about, || one_thread().map(|runtime| (Arc::clone(&runtime), runtime)))
}

/// The same as programs have it: a runtime of two threads, and a server elsewhere. Noisy where cores are few.
pub(crate) fn run_threads(bench: &mut Bench) -> io::Result<()> {
    let about = "the same, the server on a thread of its own, the client on two";
    embedded(bench, "warm-threads", about, || Ok((runtime(1)?, runtime(2)?)))
}

type Runtimes = (Arc<Runtime>, Arc<Runtime>);

fn embedded(bench: &mut Bench, name: &str, about: &str, runtimes: impl Fn() -> io::Result<Runtimes>) -> io::Result<()> {
    let case = Case {
        name,
        about,
        base: NODELAY,
        figures: &[Figure { name: "time", unit: "ms/cmd" }],
        goals: &[Goal::Ratio("time", 1.15)],
        rounds: (101, 31),
    };
    if !bench.wants(case.name) {
        return Ok(());
    }
    let (servers, runtime) = runtimes()?;
    let server = servers.block_on(EmbeddedSsh::builder().answer(|_| Answer::ok("")).start())?;
    let host = Host::embedded(&server);
    // russh as it comes waits 40 ms for each acknowledgement, here too: `warm` has shown that.
    bench.case(&case, vec![ours(&host, &runtime, 200), raw(NODELAY, &host, &runtime, 200)]);
    Ok(())
}

fn ours(host: &Host, runtime: &Arc<Runtime>, commands: u32) -> Subject<'static> {
    let (pool, runtime) = (pool(host.config(), PoolConfig::default()), Arc::clone(runtime));
    Subject::new(OURS, move || {
        let pool = pool.clone();
        timed(&runtime, commands, async move {
            for _ in 0..commands {
                let status = pool.command("true").status().await.expect("it runs");
                assert!(status.success(), "{status}");
            }
        })
    })
}

fn raw(name: &'static str, host: &Host, runtime: &Arc<Runtime>, commands: u32) -> Subject<'static> {
    let (dial, runtime) = (RawDial::new(host, name == NODELAY), Arc::clone(runtime));
    let connection: Arc<Raw> = Arc::new(runtime.block_on(dial.connect()).expect("the server takes it"));
    Subject::new(name, move || {
        let connection = Arc::clone(&connection);
        timed(&runtime, commands, async move {
            for _ in 0..commands {
                assert_eq!(connection.run().await.expect("it runs"), Some(0));
            }
        })
    })
}

/// Milliseconds a command, in a task, as a program's commands are.
fn timed(runtime: &Runtime, commands: u32, work: impl Future<Output = ()> + Send + 'static) -> Vec<f64> {
    let task = runtime.spawn(async move {
        let begin = Instant::now();
        work.await;
        begin.elapsed()
    });
    let took = runtime.block_on(task).expect("it does not panic");
    vec![took.as_secs_f64() * 1e3 / f64::from(commands)]
}
