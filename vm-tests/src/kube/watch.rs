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
