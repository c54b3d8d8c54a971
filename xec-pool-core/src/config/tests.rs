//! Every `pool` object that the seed page prints, read as it stands there.

use std::time::Duration;

use super::{Discipline, PoolConfig};

const SECOND: Duration = Duration::from_secs(1);

fn read(text: &str) -> PoolConfig {
    serde_json::from_str(text).expect("the seed's own words")
}

fn wrong(text: &str) -> String {
    serde_json::from_str::<PoolConfig>(text).expect_err("it cannot work").to_string()
}

#[test]
fn pool_configuration() {
    let config =
        read(r#"{"min": 2, "max": 10, "idle": 60000, "acquire": 10000, "evictionRun": 30000, "validate": true}"#);
    assert_eq!((config.min_connections(), config.max_connections()), (2, 10));
    assert_eq!((config.idle_timeout(), config.acquire_timeout()), (Some(60 * SECOND), Some(10 * SECOND)));
    assert_eq!((config.evict_interval(), config.validate()), (30 * SECOND, true));
}

#[test]
fn health_checks() {
    let config =
        read(r#"{"validate": true, "validateInterval": 10000, "validateOnBorrow": true, "validateOnReturn": false}"#);
    assert_eq!(config.validate_interval(), Some(10 * SECOND));
    assert_eq!((config.validate_on_borrow(), config.validate_on_return()), (true, false));
}

#[test]
fn pool_per_host_and_shared_configuration() {
    let config = read(r#"{"min": 1, "max": 3}"#);
    assert_eq!((config.min_connections(), config.max_connections()), (1, 3));
    let config = read(r#"{"min": 2, "max": 5, "idle": 30000}"#);
    assert_eq!((config.max_connections(), config.idle_timeout()), (5, Some(30 * SECOND)));
}

#[test]
fn queue_management() {
    let config = read(r#"{"max": 5, "queueSize": 100, "queueTimeout": 5000, "queuePriority": "fifo"}"#);
    assert_eq!((config.queue_capacity(), config.queue_timeout()), (100, Some(5 * SECOND)));
    assert_eq!(config.queue_discipline(), Discipline::Fifo);
    assert_eq!(read(r#"{"queuePriority": "lifo"}"#).queue_discipline(), Discipline::Lifo);
}

#[test]
fn metrics() {
    assert_eq!(read(r#"{"metrics": true, "metricsInterval": 5000}"#).metrics_interval(), Some(5 * SECOND));
    assert_eq!(read(r#"{"metrics": true}"#).metrics_interval(), Some(5 * SECOND));
    assert_eq!(read(r#"{"metrics": false, "metricsInterval": 5000}"#).metrics_interval(), None);
}

#[test]
fn connection_failures() {
    let config =
        read(r#"{"max": 5, "retryFailed": true, "retryAttempts": 3, "retryDelay": 1000, "recreateOnError": true}"#);
    assert_eq!((config.retry_attempts(), config.retry_delay(), config.recreate_on_error()), (3, SECOND, true));
    assert_eq!(read(r#"{"retryFailed": false}"#).retry_attempts(), 0);
}

#[test]
fn a_circuit_breaker_section_is_kept_for_its_owner() {
    let mut config =
        read(r#"{"circuitBreaker": {"enabled": true, "threshold": 5, "timeout": 30000, "resetTimeout": 60000}}"#);
    assert_eq!(config.unclaimed(), Some("circuitBreaker"));
    let section = config.take_section("circuitBreaker").expect("it was there");
    assert_eq!((section["threshold"].as_u64(), config.unclaimed()), (Some(5), None));
}

#[test]
fn dos_and_donts() {
    assert_eq!(read(r#"{"min": 2, "max": 10}"#).warnings(), Vec::<String>::new());
    assert!(read(r#"{"max": 1000}"#).warnings()[0].contains("max_connections is 1000"));
    assert!(read(r#"{"validate": false}"#).warnings()[0].contains("validate is off"));
}

#[test]
fn durations_also_read_as_people_write_them() {
    assert_eq!(read(r#"{"idle_timeout": "1m 30s"}"#).idle_timeout(), Some(90 * SECOND));
    assert_eq!(read(r#"{"retry": {"attempts": 1, "delay": "250ms"}}"#).retry_delay(), SECOND / 4);
    assert_eq!(read(r#"{"idle": 0}"#).idle_timeout(), None);
}

#[test]
fn bad_text_is_told_with_its_field() {
    assert!(wrong(r#"{"min": 9, "max": 3}"#).contains("min_connections (9) is more than max_connections (3)"));
    assert!(wrong(r#"{"max": 0}"#).contains("max_connections must not be zero"));
    assert!(wrong(r#"{"maxx": 3}"#).contains("unknown field `maxx`"));
    assert!(wrong(r#"{"retry": {"atempts": 3}}"#).contains("unknown field `atempts`"));
    assert!(wrong(r#"{"retry": {"max_delay": 0}}"#).contains("retry.max_delay must not be zero"));
    assert!(wrong(r#"{"idle": -5}"#).contains("cannot be negative"));
    assert!(wrong(r#"{"idle": "soon"}"#).contains("soon"));
    assert!(wrong(r#"{"idle": 18446744073709551615}"#).contains("idle_timeout"));
    assert!(wrong(r#"{"queuePriority": "random"}"#).contains("random"));
    assert!(wrong(r#"{"validator": "x => true"}"#).contains("validator"));
}
