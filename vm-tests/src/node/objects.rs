//! Kubernetes objects as `kubectl get -A -o json` gives them.

use serde_json::Value;

/// The objects of one answer.
#[derive(Debug, Clone, Default)]
pub struct Objects(Vec<Value>);

impl Objects {
    /// The command that gets what is looked at here.
    pub const COMMAND: &'static str = "k3s kubectl get nodes,services,serviceaccounts,pods,runtimeclasses,deployments,daemonsets -A -o json";

    /// Reads a List.
    ///
    /// # Errors
    /// The text is no JSON list of objects.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut list: Value = serde_json::from_str(text)
            .map_err(|error| format!("kubectl's answer is no JSON: {error}"))?;
        match list["items"].take() {
            Value::Array(items) => Ok(Self(items)),
            _ => Err("kubectl's answer has no items".to_owned()),
        }
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

    /// What keeps the cluster from being ready, in words; nothing when it is.
    /// Right after Ready the default ServiceAccount may not exist yet and the
    /// node may still have the taint of the cloud provider.
    #[must_use]
    pub fn unready(&self) -> Vec<String> {
        let node = match self.node() {
            Ok(node) => node,
            Err(reason) => return vec![reason],
        };
        let mut reasons = Vec::new();
        if let Some(reason) = node_unready(node) {
            reasons.push(reason);
        }
        let taints = node["spec"]["taints"].as_array().into_iter().flatten();
        reasons.extend(taints.filter_map(|taint| temporary_taint(taint["key"].as_str()?)));
        if self.find("ServiceAccount", "default", "default").is_none() {
            reasons.push("ServiceAccount default/default does not exist yet".to_owned());
        }
        reasons.extend(self.of_kind("Pod").filter_map(pod_unready));
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

/// A pod counts when it has ended well, or runs with all containers ready.
fn pod_unready(pod: &Value) -> Option<String> {
    let status = &pod["status"];
    if status["phase"] == "Succeeded" {
        return None;
    }
    let containers: Vec<&Value> = status["containerStatuses"]
        .as_array()
        .into_iter()
        .flatten()
        .collect();
    if status["phase"] == "Running"
        && containers
            .iter()
            .all(|container| container["ready"] == true)
    {
        return None;
    }
    let waiting = containers
        .iter()
        .find_map(|container| container["state"]["waiting"]["reason"].as_str());
    let namespace = pod["metadata"]["namespace"].as_str().unwrap_or_default();
    let phase = status["phase"].as_str().unwrap_or("without a phase");
    Some(format!(
        "pod {namespace}/{} is {}",
        name(pod),
        waiting.unwrap_or(phase)
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn objects(items: Value) -> Objects {
        Objects::parse(&json!({"items": items}).to_string()).unwrap()
    }

    fn node(ready: &str) -> Value {
        json!({"kind": "Node", "metadata": {"name": "n1"}, "spec": {}, "status": {"conditions": [{"type": "Ready", "status": ready, "message": "cni plugin not initialized"}]}})
    }

    fn account() -> Value {
        json!({"kind": "ServiceAccount", "metadata": {"name": "default", "namespace": "default"}})
    }

    #[test]
    fn a_ready_node_with_its_account_is_ready() {
        assert_eq!(
            objects(json!([node("True"), account()])).unready(),
            Vec::<String>::new()
        );
    }

    #[test]
    fn not_ready_is_not_taken_for_ready() {
        let reasons = objects(json!([node("False"), account()])).unready();
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
        assert_eq!(objects(json!([tainted])).unready().len(), 2);
    }

    #[test]
    fn a_waiting_container_gives_its_reason() {
        let pod = json!({"kind": "Pod", "metadata": {"name": "p", "namespace": "kube-system"}, "status": {"phase": "Pending", "containerStatuses": [{"ready": false, "state": {"waiting": {"reason": "ErrImageNeverPull"}}}]}});
        assert_eq!(
            objects(json!([node("True"), account(), pod])).unready(),
            ["pod kube-system/p is ErrImageNeverPull"]
        );
    }
}
