//! What earlier processes left: those that were killed could not clean up after themselves.

use std::{
    collections::HashMap,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use testcontainers::bollard::{
    Docker,
    query_parameters::{ListContainersOptions, RemoveContainerOptions},
};
use tokio::sync::OnceCell;

/// On every container: how many seconds it lives.
pub(super) const LABEL: &str = "xec-pool-test.lifetime";

/// How every network's name begins; then comes the number of its process.
pub(super) const NETWORK: &str = "xec-pool-test-";

/// Nobody is in a hurry, and clocks differ.
const GRACE: Duration = Duration::from_secs(60);

/// Removes, once in a process, containers whose time is over and networks whose process is gone. Failures are other
/// processes that do the same, and are left to them.
pub(super) async fn once(docker: &Docker) {
    static DONE: OnceCell<()> = OnceCell::const_new();
    DONE.get_or_init(|| async {
        containers(docker).await;
        networks(docker).await;
    })
    .await;
}

async fn containers(docker: &Docker) {
    let ours = HashMap::from([("label".to_owned(), vec![LABEL.to_owned()])]);
    let options = ListContainersOptions { all: true, filters: Some(ours), ..Default::default() };
    for container in docker.list_containers(Some(options)).await.unwrap_or_default() {
        let lifetime = container.labels.and_then(|labels| labels.get(LABEL)?.parse().ok()).map(Duration::from_secs);
        if let (Some(id), Some(created), Some(lifetime)) = (container.id, container.created, lifetime)
            && is_over(created, lifetime)
        {
            let options = RemoveContainerOptions { force: true, v: true, ..Default::default() };
            let _ = docker.remove_container(&id, Some(options)).await;
        }
    }
}

fn is_over(created: i64, lifetime: Duration) -> bool {
    let created = Duration::from_secs(u64::try_from(created).unwrap_or(0));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now > created + lifetime + GRACE
}

/// The engine refuses to remove one that somebody is on.
async fn networks(docker: &Docker) {
    if !Path::new("/proc/self").exists() {
        return;
    }
    let names = docker.list_networks(None).await.unwrap_or_default().into_iter().filter_map(|network| network.name);
    for name in names {
        let process = name.strip_prefix(NETWORK).and_then(|rest| rest.split('-').next());
        if process.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
            let _ = docker.remove_network(&name).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_outlived_its_time_is_swept() {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs();
        let ago = |seconds: u64| i64::try_from(now - seconds).expect("it is before the end of time");
        assert!(!is_over(ago(10), Duration::from_secs(1)), "within the grace");
        assert!(is_over(ago(100), Duration::from_secs(1)));
        assert!(!is_over(ago(100), Duration::from_secs(900)));
    }
}
