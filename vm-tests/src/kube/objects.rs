//! Kubernetes objects, each with its kind, and what keeps a cluster from being ready.

use serde_json::{Value, json};

use super::client::{Client, KubeError};
use super::collection::{Collection, Kind};

/// The node's current boot: what the cluster still shows of an earlier one is
/// old news.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boot {
    /// The kernel's identity of the boot.
    pub id: String,
    /// When it began, RFC 3339 in UTC with seconds.
    pub time: String,
}

impl Boot {
    /// Prints identity and time, a line each.
    pub const COMMAND: &'static str = "cat /proc/sys/kernel/random/boot_id && date -u -d @$(awk '/^btime/ {print $2}' /proc/stat) +%Y-%m-%dT%H:%M:%SZ";

    /// Reads what the command printed.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        Some(Self {
            id: lines.next()?.to_owned(),
            time: lines.next()?.to_owned(),
        })
    }
}

/// The objects of one answer.
#[derive(Debug, Clone, Default)]
pub struct Objects(Vec<Value>);

/// All that is looked at in a verification.
const KINDS: [Kind; 7] = [
    kind("Node", "/api/v1/nodes"),
    kind("Service", "/api/v1/services"),
    kind("ServiceAccount", "/api/v1/serviceaccounts"),
    kind("Pod", "/api/v1/pods"),
    kind("RuntimeClass", "/apis/node.k8s.io/v1/runtimeclasses"),
    kind("Deployment", "/apis/apps/v1/deployments"),
    kind("DaemonSet", "/apis/apps/v1/daemonsets"),
];

const fn kind(name: &'static str, path: &'static str) -> Kind {
    Kind { name, path }
}

impl Objects {
    /// These objects.
    #[must_use]
    pub fn new(objects: Vec<Value>) -> Self {
        Self(objects)
    }

    /// The cluster's objects of every kind that is looked at.
    ///
    /// # Errors
    /// The API does not answer, or with something else than lists.
    pub async fn list(client: &Client) -> Result<Self, KubeError> {
        Self::of_kinds(client, &KINDS).await
    }

    /// The cluster's nodes.
    ///
    /// # Errors
    /// As for [`Objects::list`].
    pub async fn nodes(client: &Client) -> Result<Self, KubeError> {
        Self::of_kinds(client, &KINDS[..1]).await
    }

    async fn of_kinds(client: &Client, kinds: &[Kind]) -> Result<Self, KubeError> {
        let mut all = Vec::new();
        for kind in kinds.iter().copied() {
            let text = client.get(kind.path).await?;
            let list = Collection::from_list(kind, &text).map_err(KubeError::Format)?;
            all.extend(list.objects().cloned());
        }
        Ok(Self(all))
    }

    /// Reads what [`Objects::to_text`] wrote.
    ///
    /// # Errors
    /// The text is no JSON list of objects.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut list: Value = serde_json::from_str(text)
            .map_err(|error| format!("the list of objects is no JSON: {error}"))?;
        match list["items"].take() {
            Value::Array(items) => Ok(Self(items)),
            _ => Err("the list of objects has no items".to_owned()),
        }
    }

    /// The objects as a List in JSON.
    #[must_use]
    pub fn to_text(&self) -> String {
        json!({"apiVersion": "v1", "kind": "List", "items": self.0}).to_string()
    }

    /// All objects of a kind.
    pub fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.0.iter().filter(move |object| object["kind"] == kind)
    }

    /// One object.
    #[must_use]
    pub fn find(&self, kind: &str, namespace: &str, name: &str) -> Option<&Value> {
        self.0
            .iter()
            .filter(|object| object["kind"] == kind)
            .find(|object| {
                let metadata = &object["metadata"];
                metadata["name"] == name
                    && metadata["namespace"].as_str().unwrap_or_default() == namespace
            })
    }

    /// The only node.
    ///
    /// # Errors
    /// There is none, or more than one.
    pub fn node(&self) -> Result<&Value, String> {
        let nodes: Vec<&Value> = self.of_kind("Node").collect();
        match nodes[..] {
            [node] => Ok(node),
            [] => Err("no node is registered".to_owned()),
            _ => Err(format!(
                "{} nodes are registered: {}",
                nodes.len(),
                nodes
                    .iter()
                    .map(|node| name(node))
                    .collect::<Vec<_>>()
                    .join(", ")
            )),
        }
    }

    /// The version of a node's kubelet, when it is ready; why not, when it is not.
    ///
    /// # Errors
    /// There is no such node, or it is not ready.
    pub fn joined(&self, wanted: &str) -> Result<String, String> {
        let Some(node) = self.find("Node", "", wanted) else {
            let names: Vec<&str> = self.of_kind("Node").map(name).collect();
            return Err(format!("the cluster's nodes are {}", names.join(", ")));
        };
        let version = &node["status"]["nodeInfo"]["kubeletVersion"];
        match node_unready(node) {
            Some(reason) => Err(reason),
            None => Ok(version.as_str().unwrap_or_default().to_owned()),
        }
    }

    /// What keeps the cluster from being ready, in words; nothing when it is.
    /// Right after Ready the default ServiceAccount may not exist yet and the
    /// node may still have the taint of the cloud provider.
    #[must_use]
    pub fn unready(&self, boot: &Boot) -> Vec<String> {
        let node = match self.node() {
            Ok(node) => node,
            Err(reason) => return vec![reason],
        };
        let mut reasons = Vec::new();
        if node["status"]["nodeInfo"]["bootID"] != boot.id.as_str() {
            reasons.push("the node has not reported since it was started".to_owned());
        }
        if let Some(reason) = node_unready(node) {
            reasons.push(reason);
        }
        let taints = node["spec"]["taints"].as_array().into_iter().flatten();
        reasons.extend(taints.filter_map(|taint| temporary_taint(taint["key"].as_str()?)));
        if self.find("ServiceAccount", "default", "default").is_none() {
            reasons.push("ServiceAccount default/default does not exist yet".to_owned());
        }
        reasons.extend(self.of_kind("Pod").filter_map(|pod| pod_unready(pod, boot)));
        reasons
    }
}

/// An object's name; empty when it has none.
fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

fn node_unready(node: &Value) -> Option<String> {
    let conditions = node["status"]["conditions"].as_array();
    let ready =
        conditions.and_then(|all| all.iter().find(|condition| condition["type"] == "Ready"));
    let Some(ready) = ready else {
        return Some(format!("node {} has no condition Ready yet", name(node)));
    };
    if ready["status"] == "True" {
        return None;
    }
    Some(format!(
        "node {} is not Ready: {}",
        name(node),
        ready["message"].as_str().unwrap_or("no message")
    ))
}

fn temporary_taint(key: &str) -> Option<String> {
    let temporary = [
        "node.cloudprovider.kubernetes.io/uninitialized",
        "node.kubernetes.io/not-ready",
    ]
    .contains(&key);
    temporary.then(|| format!("the node has the taint {key}"))
}

/// A pod counts when it has ended well, or runs with all containers ready and
/// started since the boot.
fn pod_unready(pod: &Value, boot: &Boot) -> Option<String> {
    let status = &pod["status"];
    if status["phase"] == "Succeeded" {
        return None;
    }
    let containers: Vec<&Value> = status["containerStatuses"]
        .as_array()
        .into_iter()
        .flatten()
        .collect();
    let started = |container: &&Value| {
        container["state"]["running"]["startedAt"]
            .as_str()
            .is_some_and(|time| time >= boot.time.as_str())
    };
    let all_ready = containers
        .iter()
        .all(|container| container["ready"] == true);
    if status["phase"] == "Running" && all_ready && containers.iter().all(started) {
        return None;
    }
    let waiting = containers
        .iter()
        .find_map(|container| container["state"]["waiting"]["reason"].as_str());
    let namespace = pod["metadata"]["namespace"].as_str().unwrap_or_default();
    let phase = status["phase"].as_str().unwrap_or("without a phase");
    let stale = phase == "Running" && !containers.iter().all(started);
    let state = if stale {
        "as it was before the node was started"
    } else {
        waiting.unwrap_or(phase)
    };
    Some(format!("pod {namespace}/{} is {state}", name(pod)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn boot() -> Boot {
        Boot {
            id: "boot-1".into(),
            time: "2026-01-01T00:00:00Z".into(),
        }
    }

    fn objects(items: Value) -> Objects {
        Objects::parse(&json!({"items": items}).to_string()).unwrap()
    }

    fn node(ready: &str) -> Value {
        json!({"kind": "Node", "metadata": {"name": "n1"}, "spec": {}, "status": {"nodeInfo": {"bootID": "boot-1"}, "conditions": [{"type": "Ready", "status": ready, "message": "cni plugin not initialized"}]}})
    }

    fn account() -> Value {
        json!({"kind": "ServiceAccount", "metadata": {"name": "default", "namespace": "default"}})
    }

    #[test]
    fn a_ready_node_with_its_account_is_ready() {
        assert_eq!(
            objects(json!([node("True"), account()])).unready(&boot()),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_node_has_joined_when_it_is_ready() {
        let mut second = node("True");
        second["metadata"]["name"] = json!("n2");
        second["status"]["nodeInfo"]["kubeletVersion"] = json!("v1.33.1");
        let both = objects(json!([node("False"), second]));
        assert_eq!(both.joined("n2"), Ok("v1.33.1".into()));
        assert!(both.joined("n1").unwrap_err().contains("not Ready"));
        assert_eq!(
            both.joined("n3"),
            Err("the cluster's nodes are n1, n2".into())
        );
    }

    #[test]
    fn not_ready_is_not_taken_for_ready() {
        let reasons = objects(json!([node("False"), account()])).unready(&boot());
        assert_eq!(
            reasons,
            ["node n1 is not Ready: cni plugin not initialized"]
        );
    }

    #[test]
    fn waits_for_the_cloud_providers_taint_and_the_default_account() {
        let mut tainted = node("True");
        tainted["spec"]["taints"] =
            json!([{"key": "node.cloudprovider.kubernetes.io/uninitialized"}]);
        assert_eq!(objects(json!([tainted])).unready(&boot()).len(), 2);
    }

    #[test]
    fn a_waiting_container_gives_its_reason() {
        let pod = json!({"kind": "Pod", "metadata": {"name": "p", "namespace": "kube-system"}, "status": {"phase": "Pending", "containerStatuses": [{"ready": false, "state": {"waiting": {"reason": "ErrImageNeverPull"}}}]}});
        assert_eq!(
            objects(json!([node("True"), account(), pod])).unready(&boot()),
            ["pod kube-system/p is ErrImageNeverPull"]
        );
    }

    fn running_pod(started: &str) -> Value {
        json!({"kind": "Pod", "metadata": {"name": "p", "namespace": "default"}, "status": {"phase": "Running", "containerStatuses": [{"ready": true, "state": {"running": {"startedAt": started}}}]}})
    }

    #[test]
    fn what_is_left_from_an_earlier_boot_does_not_count() {
        let mut node = node("True");
        node["status"]["nodeInfo"]["bootID"] = json!("boot-0");
        let reasons = objects(json!([
            node,
            account(),
            running_pod("2025-12-31T23:59:59Z")
        ]))
        .unready(&boot());
        assert_eq!(
            reasons,
            [
                "the node has not reported since it was started",
                "pod default/p is as it was before the node was started"
            ]
        );
    }

    #[test]
    fn a_pod_started_since_the_boot_is_ready() {
        let reasons = objects(json!([
            node("True"),
            account(),
            running_pod("2026-01-01T00:00:30Z")
        ]))
        .unready(&boot());
        assert_eq!(reasons, Vec::<String>::new());
    }

    #[test]
    fn reads_identity_and_time_of_the_boot() {
        assert_eq!(Boot::parse("boot-1\n2026-01-01T00:00:00Z\n"), Some(boot()));
        assert_eq!(Boot::parse(""), None);
    }
}
