//! The container runtime: its version, the runtimes of the user's template, and
//! pods that run under them.

use std::collections::BTreeSet;

use cluster_bootstrapper::model::ConfigSpec;
use serde_json::json;

use super::cluster::all_objects;
use super::judge::{Verdict, node, objects};
use super::{Expectation, Source};
use crate::node::Probe;
use crate::shell::quote;

/// The configuration that containerd runs with.
const CONTAINERD_CONFIG: &str = "/var/lib/rancher/k3s/agent/etc/containerd/config.toml";
/// Where K3s looks for its templates.
const TEMPLATE_FOLDER: &str = "/var/lib/rancher/k3s/agent/etc/containerd/";

/// A pod that the verification runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// Its name, in the namespace `default`.
    pub pod: String,
    /// The runtime handler, if another than the default.
    pub handler: Option<String>,
}

impl Workload {
    /// The pods for a config-file: one under the default runtime, one under
    /// each runtime of the user's containerd template.
    #[must_use]
    pub fn of(spec: &ConfigSpec) -> Vec<Self> {
        let mut all = vec![Self {
            pod: "emts-default".into(),
            handler: None,
        }];
        all.extend(handlers(spec).into_iter().map(|(_, handler)| Self {
            pod: format!(
                "emts-runtime-{}",
                handler.to_lowercase().replace(['_', '.'], "-")
            ),
            handler: Some(handler),
        }));
        all
    }

    /// The objects that make it, as JSON for `kubectl apply`.
    #[must_use]
    pub fn manifest(&self, image: &str) -> Vec<serde_json::Value> {
        let mut pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": self.pod, "namespace": "default"},
            "spec": {
                "automountServiceAccountToken": false,
                "terminationGracePeriodSeconds": 1,
                "tolerations": [{"operator": "Exists"}],
                "containers": [{"name": "main", "image": image, "imagePullPolicy": "Never"}]
            }
        });
        let Some(handler) = &self.handler else {
            return vec![pod];
        };
        pod["spec"]["runtimeClassName"] = json!(self.pod);
        vec![
            json!({"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": self.pod}, "handler": handler}),
            pod,
        ]
    }
}

/// The runtimes that the user's containerd templates define, each with its
/// file's place in `files`: tables `...containerd.runtimes.NAME`, the name bare
/// or quoted.
#[must_use]
pub fn handlers(spec: &ConfigSpec) -> Vec<(usize, String)> {
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for (index, file) in spec.files.as_slice().iter().enumerate() {
        if !file.path.as_str().starts_with(TEMPLATE_FOLDER) {
            continue;
        }
        let bytes = file.bytes().unwrap_or_default();
        for line in String::from_utf8_lossy(&bytes).lines() {
            if let Some(name) = runtime_table(line).filter(|name| seen.insert(name.clone())) {
                all.push((index, name));
            }
        }
    }
    all
}

fn runtime_table(line: &str) -> Option<String> {
    let table = line.trim().strip_prefix('[')?.strip_suffix(']')?;
    let (_, name) = table.split_once(".containerd.runtimes.")?;
    let name = match name.chars().next()? {
        quote @ ('\'' | '"') => {
            name[1..]
                .split_once(quote)
                .filter(|(_, rest)| rest.is_empty())?
                .0
        }
        _ => name,
    };
    // A table below the runtime's own has a further dot.
    let plain = !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    (plain && name != "runc").then(|| name.to_owned())
}

pub(super) fn expectations(source: &Source) -> Vec<Expectation> {
    let spec = source.config.k3s();
    let mut all = vec![
        Expectation::new(
            "/kubernetes/kind",
            "the node runs containerd 2",
            "containerd://2.*",
            all_objects(),
            node(|node| {
                let version = node["status"]["nodeInfo"]["containerRuntimeVersion"]
                    .as_str()
                    .unwrap_or_default();
                Verdict::when(version.starts_with("containerd://2."), version)
            }),
        ),
        kubelet_version(),
    ];
    all.push(pod_runs(
        "/kubernetes/kind",
        &Workload {
            pod: "emts-default".into(),
            handler: None,
        },
    ));
    for (index, handler) in handlers(spec) {
        let key = format!("{}/content", source.file(index));
        let command = format!(
            "grep -nE {} {CONTAINERD_CONFIG}",
            quote(&format!("containerd\\.runtimes\\.['\"]?{handler}['\"]?\\]"))
        );
        all.push(Expectation::new(
            &key,
            format!("containerd's configuration has the runtime {handler}"),
            "a table of that name",
            Probe::shell(command),
            |answer| Verdict::when(answer.status == 0, answer.text().trim()),
        ));
    }
    for workload in Workload::of(spec)
        .into_iter()
        .filter(|workload| workload.handler.is_some())
    {
        let index = handlers(spec)
            .into_iter()
            .find(|(_, handler)| Some(handler) == workload.handler.as_ref())
            .map_or(0, |(index, _)| index);
        all.push(pod_runs(
            &format!("{}/content", source.file(index)),
            &workload,
        ));
    }
    all
}

/// The node that registered runs the K3s that is installed.
fn kubelet_version() -> Expectation {
    Expectation {
        key: "/kubernetes/kind".into(),
        check: "the node's kubelet is that of the installed K3s".into(),
        expected: "the version of `k3s --version`".into(),
        probes: vec![all_objects(), Probe::shell("k3s --version")],
        judge: Box::new(|answers| {
            let [objects, version] = answers else {
                return Verdict::bad("not asked");
            };
            let installed = version.text();
            node(move |node| {
                let found = node["status"]["nodeInfo"]["kubeletVersion"]
                    .as_str()
                    .unwrap_or_default();
                let same = installed.split_whitespace().any(|word| word == found);
                Verdict::when(same, found)
            })(objects)
        }),
    }
}

fn pod_runs(key: &str, workload: &Workload) -> Expectation {
    let pod = workload.pod.clone();
    let under = workload
        .handler
        .as_ref()
        .map_or("the default runtime".to_owned(), |handler| {
            format!("the runtime {handler}")
        });
    Expectation::new(
        key,
        format!("a pod from a preloaded image runs under {under}"),
        "Running",
        all_objects(),
        objects(move |objects| {
            let found = objects
                .find("Pod", "default", &pod)
                .ok_or_else(|| format!("there is no pod default/{pod}"))?;
            let phase = found["status"]["phase"]
                .as_str()
                .unwrap_or("without a phase");
            let ready = found["status"]["containerStatuses"][0]["ready"] == true;
            Ok(Verdict::when(phase == "Running" && ready, phase))
        }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_runtimes_name_however_it_is_quoted() {
        for line in [
            "[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.'custom']",
            "[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.\"custom\"]",
            "  [plugins.x.containerd.runtimes.custom]",
        ] {
            assert_eq!(runtime_table(line).as_deref(), Some("custom"), "{line}");
        }
    }

    #[test]
    fn a_runtimes_options_are_no_runtime() {
        for line in [
            "[plugins.'x'.containerd.runtimes.'custom'.options]",
            "[plugins.x.containerd.runtimes.custom.options]",
            "# [a.containerd.runtimes.b]",
            "runtime_type = \"x\"",
        ] {
            assert_eq!(runtime_table(line), None, "{line}");
        }
    }

    #[test]
    fn a_pod_under_a_runtime_brings_its_class() {
        let workload = Workload {
            pod: "emts-runtime-custom".into(),
            handler: Some("custom".into()),
        };
        let objects = workload.manifest("pause:1");
        assert_eq!(objects[0]["handler"], "custom");
        assert_eq!(
            objects[1]["spec"]["runtimeClassName"],
            objects[0]["metadata"]["name"]
        );
    }
}
