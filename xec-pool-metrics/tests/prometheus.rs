//! Prometheus scrapes the example, and evaluates what the dashboard and the alerts ask.
#![expect(clippy::unwrap_used, reason = "in a test it is a check")]

#[path = "../examples/prometheus/demo/mod.rs"]
mod demo;

#[expect(dead_code, reason = "what the tests without Prometheus look at as well")]
mod expressions;

mod visit;

use std::{
    fs,
    io::{self, BufRead as _, BufReader},
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

/// Longer than anything here takes, shorter than a patient developer waits.
const LONG: Duration = Duration::from_secs(90);

fn alerts_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("alerts.yml")
}

fn started<T>(program: &str, result: io::Result<T>) -> T {
    match result {
        Ok(started) => started,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            panic!("{program} is missing; type: sudo apt-get install --no-install-recommends prometheus")
        }
        Err(error) => panic!("cannot start {program}: {error}"),
    }
}

/// A Prometheus that scrapes one address five times a second, until it is dropped.
struct Prometheus {
    child: Child,
    addr: SocketAddr,
    _home: TempDir,
}

impl Prometheus {
    fn start(target: SocketAddr) -> Self {
        let home = tempfile::tempdir().unwrap();
        let config = format!(
            "global: {{scrape_interval: 200ms, evaluation_interval: 200ms}}\n\
             rule_files: ['{}']\n\
             scrape_configs: [{{job_name: demo, static_configs: [{{targets: ['{target}']}}]}}]\n",
            alerts_file().display()
        );
        let file = home.path().join("prometheus.yml");
        fs::write(&file, config).unwrap();
        // Free a moment ago: nobody else asks for ports here.
        let addr = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", home.path().join("data").display()))
            .arg(format!("--web.listen-address={addr}"))
            .stderr(Stdio::piped());
        let mut child = started("prometheus", command.spawn());
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
        let ready = said.by_ref().map_while(Result::ok).find(|line| line.contains("ready to receive web requests"));
        assert!(ready.is_some(), "prometheus ended before it was ready");
        // Whatever it says from now on must be read, or it would wait for that.
        std::thread::spawn(move || said.map_while(Result::ok).for_each(drop));
        Self { child, addr, _home: home }
    }

    /// An answer of its API: only `success` is one.
    fn ask(&self, path: &str) -> Value {
        let (status, body) = visit::get(self.addr, path).unwrap();
        let answer: Value = serde_json::from_str(&body).unwrap_or_else(|_| panic!("{path}: {status} {body}"));
        assert_eq!(answer["status"], "success", "{path}: {body}");
        answer["data"].clone()
    }

    /// How many series an expression comes to.
    fn count(&self, expression: &str) -> usize {
        let encoded: String = expression.bytes().map(|byte| format!("%{byte:02X}")).collect();
        self.ask(&format!("/api/v1/query?query={encoded}"))["result"].as_array().unwrap().len()
    }

    fn wait_until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        while !condition(self) {
            assert!(began.elapsed() < LONG, "{what}, after {LONG:?}: {}", self.ask("/api/v1/targets"));
            std::thread::sleep(Duration::from_millis(100)); // sleep is the subject: Prometheus scrapes by its clock
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What promtool says, with which it must be content.
fn promtool(args: [&str; 2], file: &Path) -> String {
    let checked: Output = started("promtool", Command::new("promtool").args(args).arg(file).output());
    let said = String::from_utf8_lossy(&checked.stdout).into_owned() + &String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{said}");
    said
}

#[test]
fn promtool_finds_no_fault_with_the_alerts() {
    let said = promtool(["check", "rules"], &alerts_file());
    assert!(said.contains("5 rules found"), "{said}");
}

#[test]
fn the_alerts_speak_when_they_should_and_only_then() {
    let said = promtool(["test", "rules"], &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/alerts.test.yml"));
    assert!(said.contains("SUCCESS"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prometheus_evaluates_what_dashboard_and_alerts_ask() {
    let demo = demo::start(0).await.unwrap();
    let (target, unlucky) = (demo.addr(), Arc::clone(demo.unlucky()));
    let checks = tokio::task::spawn_blocking(move || {
        let prometheus = Prometheus::start(target);
        let timed_out = "rate(xec_pool_connection_timeouts_total[10s]) > 0";
        prometheus.wait_until("the flood is there", |prometheus| prometheus.count(timed_out) > 0);
        unlucky.set_down(true);
        for (place, expression) in expressions::all() {
            let filled = expression.replace("$__rate_interval", "30s").replace("$pool", ".*").replace("$group", ".*");
            // Nothing is missed in the demo, and alerts are quiet where all is well: it is enough that they are read.
            if filled.contains("missed") || place.starts_with("Xec") {
                prometheus.count(&filled);
            } else {
                let shows = format!("«{place}» shows something: {filled}");
                prometheus.wait_until(&shows, |prometheus| prometheus.count(&filled) > 0);
            }
        }
        let alert = "ALERTS{alertname=\"XecPoolBreakerOpen\",xec_pool_name=\"batch\"}";
        prometheus.wait_until("the alert is pending", |prometheus| prometheus.count(alert) > 0);
        let rules = prometheus.ask("/api/v1/rules")["groups"][0]["rules"].clone();
        for rule in rules.as_array().unwrap() {
            assert_eq!((&rule["health"], rule["lastError"].as_str()), (&"ok".into(), None), "{rule}");
        }
        rules.as_array().unwrap().len()
    });
    assert_eq!(checks.await.unwrap(), 5);
    demo.end().await;
}
