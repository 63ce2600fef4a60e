//! Keeps objects in step with the API server: a list of each kind, then a watch from there; after a break, or when the
//! server does not remember, the list again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use super::client::{Client, KubeError, chain};
use super::collection::{Collection, Ended, Kind};
use super::event::{Event, Lines};
use super::objects::Objects;

/// After this many seconds the API server ends a watch by itself, and it is begun again.
const WATCH_SECONDS: u32 = 240;
/// How soon after its begin a watch that broke is tried again.
const AGAIN: Duration = Duration::from_millis(500);

/// What readiness depends on.
const WATCHED: [Kind; 3] = [
    Kind {
        name: "Node",
        path: "/api/v1/nodes",
    },
    Kind {
        name: "Pod",
        path: "/api/v1/pods",
    },
    Kind {
        name: "ServiceAccount",
        path: "/api/v1/namespaces/default/serviceaccounts",
    },
];

/// What is known of one kind: the objects, or why they are not known.
type Known = Result<Collection, String>;

#[derive(Debug)]
struct Shared {
    known: Mutex<BTreeMap<Kind, Known>>,
    version: watch::Sender<u64>,
}

/// The cluster's objects that readiness depends on. Dropped, they are followed no more.
#[derive(Debug)]
pub struct Cluster {
    shared: Arc<Shared>,
    version: watch::Receiver<u64>,
    tasks: Vec<JoinHandle<()>>,
}

impl Cluster {
    /// Follows the objects from now on.
    #[must_use]
    pub fn follow(client: &Client) -> Self {
        let (sender, version) = watch::channel(0);
        let unknown = |kind| (kind, Err("the API was not reached yet".to_owned()));
        let shared = Arc::new(Shared {
            known: Mutex::new(WATCHED.map(unknown).into()),
            version: sender,
        });
        let keep = |kind| tokio::spawn(keep(client.clone(), kind, Arc::clone(&shared)));
        let tasks = WATCHED.map(keep).into();
        Self {
            shared,
            version,
            tasks,
        }
    }

    /// The objects as they are now.
    ///
    /// # Errors
    /// Why those of some kind are not known.
    pub fn objects(&self) -> Result<Objects, String> {
        let known = self.shared.lock();
        let mut all = Vec::new();
        for collection in known.values() {
            all.extend(collection.as_ref()?.objects().cloned());
        }
        Ok(Objects::new(all))
    }

    /// Waits for the next change, also of what is known.
    pub async fn changed(&mut self) {
        if self.version.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Kind, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, kind: Kind, known: Known) {
        self.lock().insert(kind, known);
        self.version.send_modify(|version| *version += 1);
    }

    fn apply(&self, kind: Kind, event: Event) -> Result<(), Ended> {
        let mut known = self.lock();
        let Some(Ok(collection)) = known.get_mut(&kind) else {
            return Err(Ended::Expired);
        };
        let changed = collection.apply(event)?;
        drop(known);
        if changed {
            self.version.send_modify(|version| *version += 1);
        }
        Ok(())
    }
}

/// Keeps one kind in step, for ever.
async fn keep(client: Client, kind: Kind, shared: Arc<Shared>) {
    let mut poll = tokio::time::interval(AGAIN);
    poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        poll.tick().await;
        if let Err(reason) = list_and_watch(&client, kind, &shared).await {
            shared.set(kind, Err(reason));
        }
    }
}

/// Until the watch ends; with a reason when what is known no longer holds.
async fn list_and_watch(client: &Client, kind: Kind, shared: &Shared) -> Result<(), String> {
    let text = |error: KubeError| error.to_string();
    let list = client.get(kind.path).await.map_err(text)?;
    let list = Collection::from_list(kind, &list)?;
    let path = format!(
        "{}?watch=true&allowWatchBookmarks=true&timeoutSeconds={WATCH_SECONDS}&resourceVersion={}",
        kind.path,
        list.version()
    );
    shared.set(kind, Ok(list));
    let mut response = client.follow(&path).await.map_err(text)?;
    let mut lines = Lines::default();
    loop {
        let piece = response.chunk().await;
        let piece = piece
            .map_err(|error| format!("the watch of {} broke: {}", kind.path, chain(&error)))?;
        let Some(piece) = piece else {
            return Ok(());
        };
        for line in lines.push(&piece) {
            match shared.apply(kind, Event::parse(&line)?) {
                Ok(()) => {}
                Err(Ended::Expired) => return Ok(()),
                Err(Ended::Failed(reason)) => return Err(reason),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use serde_json::{Value, json};

    use super::super::log::KubeLog;
    use super::super::test_server::{TestServer, stream, whole};
    use super::*;

    /// How long a test waits for what the tasks do.
    const SOON: Duration = Duration::from_secs(20);

    fn client(server: &TestServer) -> Client {
        let folder = tempfile::tempdir().unwrap();
        let log = KubeLog::new(&folder.path().join("api.jsonl")).unwrap();
        Client::new(server.port, &server.credentials, log).unwrap()
    }

    fn pod(phase: &str) -> Value {
        json!({"metadata": {"namespace": "default", "name": "a"}, "status": {"phase": phase}})
    }

    fn list(items: &[Value]) -> String {
        let list = json!({"metadata": {"resourceVersion": "7"}, "items": items});
        whole("200 OK", &list.to_string())
    }

    /// Waits until the only pod is in a phase.
    async fn until(cluster: &mut Cluster, phase: &str) {
        let wait = async {
            loop {
                let objects = cluster.objects();
                let pod = objects
                    .as_ref()
                    .ok()
                    .and_then(|all| all.of_kind("Pod").next());
                if pod.is_some_and(|pod| pod["status"]["phase"] == phase) {
                    return;
                }
                cluster.changed().await;
            }
        };
        let seen = tokio::time::timeout(SOON, wait).await;
        assert!(
            seen.is_ok(),
            "the pod is not {phase}: {:?}",
            cluster.objects()
        );
    }

    #[tokio::test]
    async fn a_watch_goes_on_from_the_version_of_the_list() {
        let server = TestServer::start("127.0.0.1", |request| {
            let (_, path) = request.split_once(' ').unwrap();
            match path.split_once('?') {
                None if path == "/api/v1/pods" => list(&[pod("Pending")]),
                None => list(&[]),
                Some(("/api/v1/pods", query)) if query.contains("resourceVersion=7") => {
                    let event = json!({"type": "MODIFIED", "object": pod("Running")});
                    stream(&format!("{event}\n"))
                }
                Some(_) => stream(""),
            }
        });
        until(&mut Cluster::follow(&client(&server)), "Running").await;
    }

    #[tokio::test]
    async fn a_version_that_is_gone_is_followed_by_a_new_list() {
        let lists = AtomicUsize::new(0);
        let server = TestServer::start("127.0.0.1", move |request| {
            let (_, path) = request.split_once(' ').unwrap();
            match path {
                "/api/v1/pods" if lists.fetch_add(1, Ordering::SeqCst) == 0 => {
                    list(&[pod("Pending")])
                }
                "/api/v1/pods" => list(&[pod("Succeeded")]),
                path if path.contains('?') => stream(
                    "{\"type\":\"ERROR\",\"object\":{\"code\":410,\"message\":\"too old\"}}\n",
                ),
                _ => list(&[]),
            }
        });
        until(&mut Cluster::follow(&client(&server)), "Succeeded").await;
    }

    #[tokio::test]
    async fn objects_of_a_server_that_ended_are_not_taken_for_what_is() {
        let asked = AtomicUsize::new(0);
        let server = TestServer::start("127.0.0.1", move |request| {
            if request.contains('?') {
                return stream("");
            }
            match request {
                "GET /api/v1/pods" if asked.fetch_add(1, Ordering::SeqCst) > 0 => {
                    whole("503 Service Unavailable", "starting")
                }
                "GET /api/v1/pods" => list(&[pod("Running")]),
                _ => list(&[]),
            }
        });
        let mut cluster = Cluster::follow(&client(&server));
        let wait = async {
            loop {
                if let Err(trouble) = cluster.objects()
                    && trouble.contains("status 503: starting")
                {
                    return;
                }
                cluster.changed().await;
            }
        };
        let seen = tokio::time::timeout(SOON, wait).await;
        assert!(seen.is_ok(), "old objects are shown");
    }
}
