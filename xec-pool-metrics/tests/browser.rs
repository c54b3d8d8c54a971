//! The live page of the Prometheus example, in headless Chromium.
#![expect(clippy::unwrap_used, reason = "in a test it is a check")]

#[path = "../examples/prometheus/demo/mod.rs"]
mod demo;

use std::{io, process::Command};

use xec_pool_core::PoolEvent;

use self::demo::Demo;

const CHROMIUM: &str = "chromium";

/// How long the page believes to have been open: some ticks of its clock.
const PAGE_MILLIS: u32 = 6_000;

const MOST_LOOKS: u32 = 20;

/// The page as it is after a few ticks.
async fn look(demo: &Demo) -> String {
    let url = format!("http://{}/", demo.addr());
    let shown = tokio::task::spawn_blocking(move || {
        let home = tempfile::tempdir()?;
        Command::new(CHROMIUM)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"])
            .arg(format!("--virtual-time-budget={PAGE_MILLIS}"))
            .arg(format!("--user-data-dir={}", home.path().display()))
            .arg(url)
            .output()
    });
    let shown = match shown.await.unwrap() {
        Ok(output) => output,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            panic!("{CHROMIUM} is missing; type: sudo apt-get install --no-install-recommends chromium")
        }
        Err(error) => panic!("cannot start {CHROMIUM}: {error}"),
    };
    let page = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
    assert!(!page.contains("data-error="), "an error in the page: {page}");
    let ticks: u32 = between(&page, "data-ticks=\"", "\"").parse().unwrap();
    assert!(ticks >= 3, "it is live: {ticks} ticks");
    assert!(between(&page, "<span id=\"said\"", "</span>").contains("live, "), "{page}");
    page
}

/// Looks until the page shows it. Its clock runs faster than the demo's, so a rate may take a few looks to be one.
async fn look_until(demo: &Demo, shows: impl Fn(&str) -> bool) -> String {
    for _ in 0..MOST_LOOKS {
        let page = look(demo).await;
        if shows(&page) {
            return page;
        }
    }
    panic!("not shown in {MOST_LOOKS} looks: {}", look(demo).await)
}

fn between<'a>(text: &'a str, begin: &str, end: &str) -> &'a str {
    let (_, rest) = text.split_once(begin).unwrap_or_else(|| panic!("no {begin} in {text}"));
    rest.split_once(end).unwrap().0
}

/// A pool's part of the page.
fn card<'a>(page: &'a str, pool: &str) -> &'a str {
    between(page, &format!("data-pool=\"{pool}\""), "</section>")
}

/// What a figure shows, without its unit.
fn figure(card: &str, name: &str) -> String {
    let shown = between(card, &format!("data-figure=\"{name}\""), "</div>");
    between(shown, "<strong>", "</strong>").split("<em>").next().unwrap().to_owned()
}

fn state(card: &str, name: &str) -> u32 {
    between(between(card, &format!("data-state=\"{name}\""), "</span>"), "<b>", "</b>").parse().unwrap()
}

fn rate(card: &str, name: &str) -> f64 {
    figure(card, name).parse().unwrap()
}

async fn after(demo: &Demo, event: impl Fn(&PoolEvent) -> bool) {
    let mut events = demo.unlucky().pool.subscribe();
    while !events.next().await.is_some_and(|told| event(&told)) {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_shows_the_pools_as_they_are() {
    let demo = demo::start(0).await.unwrap();
    // The load rises: this is under way, and soon somebody waits.
    after(&demo, |event| matches!(event, PoolEvent::Acquired { reused: true, .. })).await;
    let used = |page: &str| ["web", "batch"].iter().all(|pool| rate(card(page, pool), "acquired") > 0.0);
    let page = look_until(&demo, used).await;
    for (pool, max) in [("web", 6), ("batch", 3)] {
        let card = card(&page, pool);
        let states = ["active", "idle", "connecting", "validating", "closing"].map(|name| state(card, name));
        let all: u32 = states.iter().sum();
        assert!((1..=max).contains(&all), "{pool}: {states:?}");
        let utilization: f64 = figure(card, "utilization").parse().unwrap();
        assert_eq!(utilization, (100.0 * f64::from(states[0]) / f64::from(max)).round());
        assert!(figure(card, "queue").parse::<u32>().is_ok() && figure(card, "opened").parse::<u32>().unwrap() >= 1);
        for percentile in ["p50", "p95", "p99"] {
            assert!(figure(card, percentile).ends_with(|c: char| c.is_ascii_digit() || c == ' '), "{card}");
        }
        assert!(card.contains("data-breaker=\"closed\""), "{card}");
    }
    demo.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_shows_who_is_shut_out_and_why_callers_fail() {
    let demo = demo::start(0).await.unwrap();
    demo.unlucky().set_down(true);
    after(&demo, |event| matches!(event, PoolEvent::AcquireFailed { error: "circuit_open", .. })).await;
    let page = look_until(&demo, |page| card(page, "batch").contains("circuit open</b>")).await;
    let (batch, web) = (card(&page, "batch"), card(&page, "web"));
    assert!(batch.contains("data-breaker=\"open\"") || batch.contains("data-breaker=\"half_open\""), "{batch}");
    assert!(rate(batch, "failed") > 0.0, "{batch}");
    assert!(web.contains("data-breaker=\"closed\"") && web.contains("nobody was turned away"), "{web}");
    demo.end().await;
}
