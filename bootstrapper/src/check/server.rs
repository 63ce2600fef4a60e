//! Checks of the agent and server settings: fixed values, arguments, ports and the cloud controller.

use super::Meaning;
use crate::model::ConfigSpec;
use crate::values::{ComponentArg, ComponentName};
use crate::yaml::Pointer;

impl Meaning<'_> {
    pub(super) fn version(&mut self, spec: &ConfigSpec) {
        let (Some(version), Some(embedded)) = (&spec.version, &self.options.k3s_version) else {
            return;
        };
        if !version.same_as(embedded) {
            let message = format!("the OS image has K3s {embedded}, not `{version}`");
            self.error("k3s-version-differs", &self.spec.join("version"), message)
                .help(format!(
                    "leave `version` out, or write `version: {embedded}`"
                ));
        }
    }

    pub(super) fn agent(&mut self, spec: &ConfigSpec) {
        let section = self.spec.join("agentConfig");
        if spec.agent_config.air_gapped == Some(false) {
            self.error(
                "air-gapped",
                &section.join("airGapped"),
                "a standalone node is always air-gapped: K3s is part of the OS image",
            )
            .help("leave airGapped out, or write true");
        }
        let provider = spec.server_config.cloud_provider_name.as_deref();
        let more = provider.is_some_and(|name| !name.is_empty());
        self.kubelet_arguments(
            &spec.agent_config.kubelet_args,
            more,
            &section.join("kubeletArgs"),
        );
        self.arguments(
            &spec.agent_config.kube_proxy_args,
            &section.join("kubeProxyArgs"),
        );
    }

    pub(super) fn server(&mut self, spec: &mut ConfigSpec) {
        let section = self.spec.join("serverConfig");
        let server = &mut spec.server_config;
        self.arguments(
            &server.kube_api_server_arg,
            &section.join("kubeAPIServerArg"),
        );
        let at = section.join("kubeControllerManagerArgs");
        self.arguments(&server.kube_controller_manager_args, &at);
        self.arguments(
            &server.kube_scheduler_args,
            &section.join("kubeSchedulerArgs"),
        );

        let components = section.join("disableComponents");
        let is_slip = |name: &ComponentName| name.as_str() == ComponentName::CLOUD_CONTROLLER;
        if let Some(index) = server.disable_components.iter().position(is_slip) {
            let at = components.join(index);
            if server.disable_cloud_controller == Some(false) {
                self.error(
                    "cloud-controller-conflict",
                    &at,
                    "`cloudController` is disabled here and kept by `disableCloudController: false`",
                );
            } else {
                self.note(
                    "cloud-controller-component",
                    &at,
                    "`cloudController` is no packaged component; read as `disableCloudController: true`",
                )
                .help("write `disableCloudController: true` under serverConfig");
            }
            server.disable_cloud_controller = Some(true);
            server.disable_components.retain(|name| !is_slip(name));
        }
        self.port(spec, &section.join("httpsListenPort"));
        self.cloud_provider(spec, &section);
    }

    /// K3s listens on the port and, inside the node, on the next one.
    fn port(&mut self, spec: &ConfigSpec, at: &Pointer) {
        let Some(port) = &spec.server_config.https_listen_port else {
            return;
        };
        let Some(next) = port.number().checked_add(1) else {
            let message = "the API server inside the node would listen on port 65536";
            self.error("port-taken", at, message)
                .help("choose a port below 65535");
            return;
        };
        let taken = |(number, _): &&(u16, &str)| [port.number(), next].contains(number);
        if let Some((number, owner)) = PORTS_IN_USE.iter().find(taken) {
            let message = if *number == next {
                format!(
                    "the API server inside the node would listen on port {number}, which {owner} has"
                )
            } else {
                format!("port {number} is that of {owner} on the same node")
            };
            self.error("port-taken", at, message)
                .help("leave httpsListenPort out: K3s takes 6443");
        }
    }

    fn cloud_provider(&mut self, spec: &ConfigSpec, section: &Pointer) {
        let server = &spec.server_config;
        let known = ["", "external"];
        let name = server.cloud_provider_name.as_deref().unwrap_or_default();
        if !known.contains(&name) {
            self.unknown_provider(name, &section.join("cloudProviderName"));
        }
        let list = self.spec.join("agentConfig").join("kubeletArgs");
        for (index, arg) in spec.agent_config.kubelet_args.iter().enumerate() {
            let (key, value) = arg.key_value();
            if key == "cloud-provider" && !known.contains(&value) {
                self.unknown_provider(value, &list.join(index));
            }
        }
        let by_name = server.cloud_provider_name.as_deref() == Some("external");
        let by_arg = spec
            .agent_config
            .kubelet_args
            .iter()
            .position(|arg| arg.key_value() == ("cloud-provider", "external"));
        if server.disable_cloud_controller != Some(true) || !(by_name || by_arg.is_some()) {
            return;
        }
        let at = match by_arg {
            Some(index) if !by_name => self
                .spec
                .join("agentConfig")
                .join("kubeletArgs")
                .join(index),
            _ => section.join("cloudProviderName"),
        };
        self.error(
            "no-cloud-controller",
            &at,
            "an external cloud provider without a cloud controller: the node keeps the taint \
             node.cloudprovider.kubernetes.io/uninitialized and no pod is scheduled",
        )
        .help("leave the cloud provider out, or do not disable the cloud controller");
    }

    /// The kubelet has had no built-in cloud providers since 1.31 and does not start with the name of one.
    fn unknown_provider(&mut self, name: &str, at: &Pointer) {
        let message = format!("the kubelet would not start: it has no cloud provider `{name}`");
        self.error("cloud-provider", at, message)
            .help("write external and bring a cloud controller, or leave it out");
    }

    /// Arguments of the kubelet, to which the conversion may add one. K3s drops the element after one without `=`,
    /// whatever it is.
    pub(super) fn kubelet_arguments(&mut self, args: &[ComponentArg], more: bool, at: &Pointer) {
        for (index, arg) in args.iter().enumerate() {
            let is_last = index + 1 == args.len();
            if !arg.has_value() && (more || !is_last) && !needs_value(arg) {
                let message = if is_last {
                    format!("`{arg}` has no `=`: K3s would drop the cloud provider after it")
                } else {
                    format!("`{arg}` has no `=`: K3s would drop the argument after it")
                };
                self.error("argument-without-value", &at.join(index), message)
                    .help(format!("write {arg}=true"));
            }
        }
        self.arguments(args, at);
    }

    /// Arguments of any component.
    pub(super) fn arguments(&mut self, args: &[ComponentArg], at: &Pointer) {
        for (index, arg) in args.iter().enumerate() {
            self.tls_argument(arg, &at.join(index));
            if !arg.has_value() && needs_value(arg) {
                let message =
                    format!("`{arg}` has no `=`: it needs a value, and K3s would not start");
                self.error("argument-without-value", &at.join(index), message)
                    .help(format!("write {arg}=<value>"));
            }
        }
    }
}

/// Arguments that K3s reads, too: it panics where they have no value, and `true` is none for the components.
fn needs_value(arg: &ComponentArg) -> bool {
    ["tls-cipher-suites", "tls-min-version"].contains(&arg.key_value().0)
}

/// Ports of other parts of a node with K3s, and whose they are (K3s, "Networking", and the defaults of its components).
const PORTS_IN_USE: &[(u16, &str)] = &[
    (22, "the SSH server"),
    (2379, "etcd"),
    (2380, "etcd"),
    (2381, "etcd"),
    (2382, "etcd"),
    (10010, "containerd"),
    (10248, "the kubelet"),
    (10249, "kube-proxy"),
    (10250, "the kubelet"),
    (10256, "kube-proxy"),
    (10257, "the controller manager"),
    (10258, "the cloud controller"),
    (10259, "the scheduler"),
];
