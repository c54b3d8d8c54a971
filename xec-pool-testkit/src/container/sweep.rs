//! What earlier processes left: those that were killed could not clean up after themselves.

use std::{
    collections::HashMap,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use testcontainers::bollard::{
    Docker,
    errors::Error,
    models::{ContainerSummary, ContainerSummaryStateEnum},
    query_parameters::{ListContainersOptions, RemoveContainerOptions},
};
use tokio::sync::OnceCell;

use super::interrupt;

/// On every container: the second since 1970 at which its time is over.
pub(super) const ENDS: &str = "xec-pool-test.ends";

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
    let now = since_1970();
    for container in labelled(docker, ENDS).await.unwrap_or_default() {
        if is_stale(&container, now)
            && let Some(id) = container.id
        {
            remove(docker, &id).await;
        }
    }
}

/// Containers, running or not, with this label, or with this `label=value`.
pub(super) async fn labelled(docker: &Docker, label: &str) -> Result<Vec<ContainerSummary>, Error> {
    let ours = HashMap::from([("label".to_owned(), vec![label.to_owned()])]);
    let options = ListContainersOptions { all: true, filters: Some(ours), ..Default::default() };
    docker.list_containers(Some(options)).await
}

pub(super) async fn remove(docker: &Docker, id: &str) {
    let options = RemoveContainerOptions { force: true, v: true, ..Default::default() };
    let _ = docker.remove_container(id, Some(options)).await;
}

/// One that runs ends by itself, and knows better when. A frozen one cannot.
fn is_stale(container: &ContainerSummary, now: Duration) -> bool {
    let ends = container.labels.as_ref().and_then(|labels| labels.get(ENDS)?.parse().ok()).map(Duration::from_secs);
    container.state != Some(ContainerSummaryStateEnum::RUNNING) && ends.is_some_and(|ends| now > ends + GRACE)
}

pub(super) fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The engine refuses to remove one that somebody is on.
async fn networks(docker: &Docker) {
    if !Path::new("/proc/self").exists() {
        return;
    }
    for name in interrupt::networks(docker, NETWORK).await.unwrap_or_default() {
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
    fn only_what_has_outlived_its_time_and_cannot_end_by_itself_is_swept() {
        let stale = |state, ends: &str| {
            let labels = Some(HashMap::from([(ENDS.to_owned(), ends.to_owned())]));
            is_stale(&ContainerSummary { labels, state: Some(state), ..Default::default() }, Duration::from_secs(1000))
        };
        for state in [ContainerSummaryStateEnum::PAUSED, ContainerSummaryStateEnum::EXITED] {
            assert!(stale(state, "900"));
            assert!(!stale(state, "990"), "within the grace");
            assert!(!stale(state, "1900"));
            assert!(!stale(state, "never"));
        }
        assert!(!stale(ContainerSummaryStateEnum::RUNNING, "900"));
    }
}
