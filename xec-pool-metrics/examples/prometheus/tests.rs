//! What the example serves; how its page looks is for a browser (`tests/browser.rs`).

#[path = "../../tests/visit/mod.rs"]
mod visit;

use xec_pool_core::PoolEvent;

use super::demo::{self, Demo};

async fn get(demo: &Demo, path: &'static str) -> (String, String) {
    let addr = demo.addr();
    tokio::task::spawn_blocking(move || visit::get(addr, path)).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_serves_a_page_and_figures_and_says_so_to_whoever_asks_for_something_else() {
    let demo = demo::start(0).await.unwrap();
    assert_eq!(get(&demo, "/nothing").await.1, "there is / and /metrics\n");
    let (status, page) = get(&demo, "/").await;
    assert!(status.ends_with("200 OK") && page.starts_with("<!doctype html>"), "{status}");
    assert!(!page.contains("http://") && !page.contains("https://"), "it loads nothing from elsewhere");
    assert!(get(&demo, "/metrics").await.1.contains("# TYPE xec_pool_connection_count gauge"));
    demo.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_figures_follow_what_happens() {
    let demo = demo::start(0).await.unwrap();
    let pool = &demo.unlucky().pool;
    let mut events = pool.subscribe();
    demo.unlucky().set_down(true);
    // Once more: who subscribes hears of the first before it is in the figures.
    for _ in 0..2 {
        while !matches!(events.next().await, Some(PoolEvent::AcquireFailed { error: "circuit_open", .. })) {}
    }
    let figures = get(&demo, "/metrics").await.1;
    let line = |begin: &str| figures.lines().find(|line| line.starts_with(begin)).map(str::to_owned);
    // Another test's pool may have been the first of that name in this process.
    let refused = line(&format!("xec_pool_breaker_rejections_total{{xec_pool_name=\"{}\"}}", pool.name())).unwrap();
    assert!(!refused.ends_with(" 0"), "{refused}");
    assert!(line("xec_pool_breaker_rejections_total{xec_pool_name=\"web").is_none(), "{figures}");
    demo.unlucky().set_down(false);
    while !matches!(events.next().await, Some(PoolEvent::CircuitClosed)) {}
    demo.end().await;
}
