//! The container runtime: its version, the runtimes of the user's template, and
//! pods that run under them.

use std::collections::BTreeSet;

use cluster_bootstrapper::k3s::ConfigSpec;
use serde_json::json;

use super::judge::{Verdict, equals, node, objects};
use super::{Expectation, K3S_VERSION, Source};
use crate::node::Probe;
use vm::shell::quote;

/// The configuration that containerd runs with.
const CONTAINERD_CONFIG: &str = "/var/lib/rancher/k3s/agent/etc/containerd/config.toml";
/// Where K3s looks for its templates.
const TEMPLATE_FOLDER: &str = "/var/lib/rancher/k3s/agent/etc/containerd/";

/// The image that the harness brings to the node, as its archive names it.
pub const TEST_IMAGE: &str = "docker.io/emts/test-workload:1";
/// The port on which its program tells who asks what it is.
const TEST_PORT: u16 = 8080;

/// Where pods are made.
pub const PODS: &str = "/api/v1/namespaces/default/pods";
/// Where runtime classes are made.
const CLASSES: &str = "/apis/node.k8s.io/v1/runtimeclasses";

/// What a pod runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Image {
    /// The image that every pod is built on, preloaded with K3s' own.
    Pause,
    /// The harness's.
    Test,
}

/// A pod that the verification runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// Its name, in the namespace `default`.
    pub pod: String,
    /// What it runs.
    pub image: Image,
    /// The runtime handler, if another than the default.
    pub handler: Option<String>,
}

impl Workload {
    /// The pods for a config-file: two under the default runtime, one under
    /// each runtime of the user's containerd template.
    #[must_use]
    pub fn of(spec: &ConfigSpec) -> Vec<Self> {
        let mut all = vec![
            Self::by_default("emts-preloaded", Image::Pause),
            Self::by_default("emts-default", Image::Test),
        ];
        all.extend(handlers(spec).into_iter().map(|(_, handler)| Self {
            pod: format!(
                "emts-runtime-{}",
                handler.to_lowercase().replace(['_', '.'], "-")
            ),
            image: Image::Test,
            handler: Some(handler),
        }));
        all
    }

    fn by_default(pod: &str, image: Image) -> Self {
        Self {
            pod: pod.to_owned(),
            image,
            handler: None,
        }
    }

    /// The objects that make it, each with the list that it is made in.
    #[must_use]
    pub fn objects(&self, image: &str) -> Vec<(&'static str, serde_json::Value)> {
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
            return vec![(PODS, pod)];
        };
        pod["spec"]["runtimeClassName"] = json!(self.pod);
        let class = json!({"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": self.pod}, "handler": handler});
        vec![(CLASSES, class), (PODS, pod)]
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
            Probe::Objects,
            node(|node| {
                let version = node["status"]["nodeInfo"]["containerRuntimeVersion"]
                    .as_str()
                    .unwrap_or_default();
                Verdict::when(version.starts_with("containerd://2."), version)
            }),
        ),
        kubelet_version(),
    ];
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
    for workload in Workload::of(spec) {
        let file = handlers(spec)
            .into_iter()
            .find(|(_, handler)| Some(handler) == workload.handler.as_ref());
        let key = file.map_or("/kubernetes/kind".to_owned(), |(index, _)| {
            format!("{}/content", source.file(index))
        });
        all.push(pod_runs(&key, &workload));
        if workload.image == Image::Test {
            all.extend(pod_answers(&key, &workload));
        }
    }
    all
}

/// The node that registered runs the K3s that is installed.
fn kubelet_version() -> Expectation {
    Expectation {
        key: "/kubernetes/kind".into(),
        check: "the node's kubelet is that of the installed K3s".into(),
        expected: "the version of `k3s --version`".into(),
        probes: vec![Probe::Objects, Probe::shell(K3S_VERSION)],
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

fn runtime(workload: &Workload) -> String {
    let handler = workload.handler.as_ref();
    handler.map_or("the default runtime".to_owned(), |handler| {
        format!("the runtime {handler}")
    })
}

/// The pod's program says by its log and over the pod network where it runs: as process 1 on a host of the pod's name.
fn pod_answers(key: &str, workload: &Workload) -> Vec<Expectation> {
    let (pod, runtime) = (&workload.pod, runtime(workload));
    let says = format!("emts test workload on {pod}, process 1");
    let expectation = |check: &str, path: String| {
        let check = format!("{check} under {runtime}");
        Expectation::new(key, check, says.clone(), Probe::Api(path), equals(&says))
    };
    vec![
        expectation("the log of the pod's program", format!("{PODS}/{pod}/log")),
        expectation(
            "the answer of the pod's program through the API",
            format!("{PODS}/{pod}:{TEST_PORT}/proxy/"),
        ),
    ]
}

fn pod_runs(key: &str, workload: &Workload) -> Expectation {
    let pod = workload.pod.clone();
    let image = match workload.image {
        Image::Pause => "a preloaded image",
        Image::Test => "an archive in agent/images",
    };
    Expectation::new(
        key,
        format!("a pod from {image} runs under {}", runtime(workload)),
        "Running",
        Probe::Objects,
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
            image: Image::Test,
            handler: Some("custom".into()),
        };
        let [(CLASSES, class), (PODS, pod)] = &workload.objects("a:1")[..] else {
            panic!("a class, then its pod");
        };
        assert_eq!(class["handler"], "custom");
        assert_eq!(pod["spec"]["runtimeClassName"], class["metadata"]["name"]);
    }
}
