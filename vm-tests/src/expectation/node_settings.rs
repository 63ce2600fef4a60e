//! The node's labels, taints and name; K3s's switches; its version.

use cluster_bootstrapper::Setting;
use cluster_bootstrapper::k3s::settings;

use super::judge::{Verdict, failed, has_line, node, objects};
use super::{Expectation, K3S_VERSION, Source};
use crate::node::Probe;

pub(super) fn expectations(source: &Source) -> Vec<Expectation> {
    let mut all = labels_and_taints(source);
    all.extend(installation(source));
    all.extend(switches(source));
    all
}

fn labels_and_taints(source: &Source) -> Vec<Expectation> {
    let agent = &source.config.k3s().agent_config;
    let key = |name: &str| format!("{}/agentConfig/{name}", source.k3s);
    let mut all = Vec::new();
    for label in &agent.node_labels {
        let (name, value) = label.key_value();
        let (name, value) = (name.to_owned(), value.to_owned());
        all.push(Expectation::new(
            key("nodeLabels"),
            "the node has the label",
            label.to_string(),
            Probe::Objects,
            node(move |node| {
                let found = node["metadata"]["labels"][&name].as_str();
                Verdict::when(
                    found == Some(value.as_str()),
                    found.map_or_else(
                        || format!("no label {name}"),
                        |found| format!("{name}={found}"),
                    ),
                )
            }),
        ));
    }
    for taint in &agent.node_taints {
        let wanted = taint.to_string();
        all.push(Expectation::new(
            key("nodeTaints"),
            "the node has the taint",
            &wanted,
            Probe::Objects,
            node({
                let wanted = wanted.clone();
                move |node| {
                    let taints: Vec<String> = node["spec"]["taints"]
                        .as_array()
                        .into_iter()
                        .flatten()
                        .map(taint_text)
                        .collect();
                    Verdict::when(
                        taints.iter().any(|taint| same_taint(taint, &wanted)),
                        taints.join(", "),
                    )
                }
            }),
        ));
    }
    if let Some(name) = &agent.node_name {
        let name = name.to_string();
        all.push(Expectation::new(
            key("nodeName"),
            "the node is registered under the name",
            &name,
            Probe::Objects,
            node({
                let name = name.to_lowercase();
                move |node| {
                    Verdict::when(
                        node["metadata"]["name"] == name.as_str(),
                        node["metadata"]["name"].to_string(),
                    )
                }
            }),
        ));
    }
    all
}

fn taint_text(taint: &serde_json::Value) -> String {
    let part = |name: &str| taint[name].as_str().unwrap_or_default().to_owned();
    match part("value").as_str() {
        "" => format!("{}:{}", part("key"), part("effect")),
        value => format!("{}={value}:{}", part("key"), part("effect")),
    }
}

/// `key=:Effect` and `key:Effect` are the same taint.
fn same_taint(a: &str, b: &str) -> bool {
    a.replace("=:", ":") == b.replace("=:", ":")
}

/// K3s was installed from the image by the given script, in the embedded version.
fn installation(source: &Source) -> Vec<Expectation> {
    let spec = source.config.k3s();
    let agent = format!("{}/agentConfig", source.k3s);
    let mut all = Vec::new();
    if let Some(version) = &spec.version {
        let wanted = version.to_string();
        all.push(Expectation::new(
            format!("{}/version", source.k3s),
            "K3s has the version",
            &wanted,
            Probe::shell(K3S_VERSION),
            {
                let wanted = wanted.clone();
                super::judge::output(move |text| {
                    let found = text
                        .split_whitespace()
                        .find(|word| word.starts_with('v') && word.contains('.'))
                        .unwrap_or_default()
                        .to_owned();
                    Verdict::when(
                        found.trim_start_matches('v') == wanted.trim_start_matches('v'),
                        found,
                    )
                })
            },
        ));
    }
    // The environment of install.sh's caller tells that nothing was downloaded; the unit that it ran at all.
    let installed = "test -s /etc/systemd/system/k3s.service && test -s /run/cluster-api/bootstrap-success.complete && grep -rhoE 'INSTALL_K3S_SKIP_DOWNLOAD=true' /var/lib/cloud/instance/scripts/runcmd /etc/rancher/emts/install-k3s.sh | sort -u";
    if agent_has(spec.agent_config.air_gapped) {
        all.push(Expectation::new(
            format!("{agent}/airGapped"),
            "K3s was installed without a download",
            "INSTALL_K3S_SKIP_DOWNLOAD=true",
            Probe::shell(installed),
            has_line("INSTALL_K3S_SKIP_DOWNLOAD=true"),
        ));
    }
    if let Some(path) = &spec.agent_config.air_gapped_install_script_path {
        let path = path.to_string();
        let command = format!(
            "grep -hoF {0} /var/lib/cloud/instance/scripts/runcmd /etc/rancher/emts/install-k3s.sh | sort -u",
            vm::shell::quote(&path)
        );
        all.push(Expectation::new(
            format!("{agent}/airGappedInstallScriptPath"),
            "K3s was installed by the script",
            &path,
            Probe::shell(command),
            has_line(&path),
        ));
    }
    all
}

fn agent_has(flag: Option<bool>) -> bool {
    flag == Some(true)
}

/// What K3s shows as its own arguments: the annotation k3s.io/node-args holds
/// every flag after its configuration files were read.
pub(super) fn node_args(key: &str, check: String, flag: &str, value: &str) -> Expectation {
    let (flag, value) = (format!("--{flag}"), value.to_owned());
    Expectation::new(
        key,
        check,
        format!("{flag} {value}"),
        Probe::Objects,
        node(move |node| {
            let text = node["metadata"]["annotations"]["k3s.io/node-args"]
                .as_str()
                .unwrap_or_default();
            let Ok(words) = serde_json::from_str::<Vec<String>>(text) else {
                return Verdict::bad("the node has no annotation k3s.io/node-args");
            };
            let joined = format!("{flag}={value}");
            let found = words
                .windows(2)
                .any(|pair| pair[0] == flag && pair[1] == value)
                || words.contains(&joined);
            Verdict::when(found, if found { joined } else { words.join(" ") })
        }),
    )
}

/// Settings whose effect is in what K3s leaves out or takes from elsewhere.
fn switches(source: &Source) -> Vec<Expectation> {
    let spec = source.config.k3s();
    let key = |name: &str| format!("{}/serverConfig/{name}", source.k3s);
    let all_settings = settings(spec);
    let values = |name: &str| {
        all_settings
            .get(name)
            .map(Setting::values)
            .unwrap_or_default()
    };
    let mut all = Vec::new();
    for value in values("disable") {
        all.push(node_args(
            &key("disableComponents"),
            format!("K3s was told to leave {value} out"),
            "disable",
            &value,
        ));
        all.push(absent(&key("disableComponents"), &value));
    }
    let controller_off = all_settings.get("disable-cloud-controller") == Some(&Setting::Flag(true));
    let server = &spec.server_config;
    if server
        .disable_components
        .iter()
        .any(|name| name.as_str() == "cloudController")
        || server.disable_cloud_controller.is_some()
    {
        let name = if server.disable_cloud_controller.is_some() {
            "disableCloudController"
        } else {
            "disableComponents"
        };
        all.push(cloud_controller(&key(name), controller_off));
    }
    if let Some(path) = &spec.agent_config.private_registry {
        all.push(node_args(
            &format!("{}/agentConfig/privateRegistry", source.k3s),
            "K3s reads the registries from the file".into(),
            "private-registry",
            path.as_str(),
        ));
    }
    if let Some(prefix) = &server.system_default_registry {
        all.push(node_args(
            &key("systemDefaultRegistry"),
            "K3s takes system images from the registry".into(),
            "system-default-registry",
            prefix.as_str(),
        ));
    }
    if let Some(provider) = server
        .cloud_provider_name
        .as_deref()
        .filter(|name| !name.is_empty())
    {
        for flag in ["kubelet-arg", "kube-controller-manager-arg"] {
            all.push(node_args(
                &key("cloudProviderName"),
                format!("{flag} names the provider"),
                flag,
                &format!("cloud-provider={provider}"),
            ));
        }
    }
    all
}

/// A packaged component that is left out has no workload.
fn absent(key: &str, component: &str) -> Expectation {
    let workload = match component {
        "local-storage" => "local-path-provisioner",
        other => other,
    }
    .to_owned();
    Expectation::new(
        key,
        format!("nothing of {component} runs"),
        "no workload",
        Probe::Objects,
        objects(move |objects| {
            let kinds = ["Deployment", "DaemonSet"];
            let names = kinds
                .iter()
                .flat_map(|kind| objects.of_kind(kind))
                .filter_map(|object| object["metadata"]["name"].as_str());
            let found: Vec<&str> = names
                .filter(|name| *name == workload || name.starts_with(&format!("svclb-{workload}")))
                .collect();
            Ok(Verdict::when(
                found.is_empty(),
                if found.is_empty() {
                    "no workload".to_owned()
                } else {
                    found.join(", ")
                },
            ))
        }),
    )
}

/// K3s's own cloud controller sets the node's provider ID; without it the node
/// would keep the taint that waits for one.
fn cloud_controller(key: &str, off: bool) -> Expectation {
    let expected = if off {
        "no provider ID by K3s"
    } else {
        "provider ID k3s://..."
    };
    Expectation::new(
        key,
        "K3s's own cloud controller",
        expected,
        Probe::Objects,
        move |answer| {
            if answer.status != 0 {
                return failed(answer);
            }
            node(move |node| {
                let id = node["spec"]["providerID"].as_str().unwrap_or_default();
                Verdict::when(
                    id.starts_with("k3s://") != off,
                    if id.is_empty() { "no provider ID" } else { id },
                )
            })(answer)
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_value_makes_no_other_taint() {
        assert!(same_taint("dedicated=:NoSchedule", "dedicated:NoSchedule"));
        assert!(!same_taint(
            "dedicated=x:NoSchedule",
            "dedicated:NoSchedule"
        ));
    }
}
