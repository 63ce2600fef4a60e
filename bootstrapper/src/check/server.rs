//! Checks of the agent and server settings: fixed values, arguments, the cloud controller, and the networks.

use super::Meaning;
use crate::model::ConfigSpec;
use crate::values::{Cidr, CidrList, ComponentArg, ComponentName, TextValue as _};
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
        self.arguments(
            &spec.agent_config.kubelet_args,
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
        self.cloud_provider(spec, &section);
    }

    fn cloud_provider(&mut self, spec: &ConfigSpec, section: &Pointer) {
        let server = &spec.server_config;
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

    /// K3s drops the element after one without `=`, whatever it is.
    pub(super) fn arguments(&mut self, args: &[ComponentArg], at: &Pointer) {
        for (index, arg) in args.iter().enumerate() {
            self.tls_argument(arg, &at.join(index));
            let drops_next = !arg.has_value() && index + 1 < args.len();
            if drops_next && at.as_str().ends_with("/kubeletArgs") {
                let message = format!("`{arg}` has no `=`: K3s would drop the argument after it");
                self.error("argument-without-value", &at.join(index), message)
                    .help(format!("write {arg}=true"));
            } else if !arg.has_value()
                && ["tls-cipher-suites", "tls-min-version"].contains(&arg.key_value().0)
            {
                let message = format!("`{arg}` has no `=`: K3s would crash on it");
                self.error("argument-without-value", &at.join(index), message)
                    .help(format!("write {arg}=<value>"));
            }
        }
    }

    pub(super) fn networks(&mut self, spec: &ConfigSpec) {
        let section = self.spec.join("serverConfig");
        let server = &spec.server_config;
        let Some((cluster, service)) = cluster_networks(spec) else {
            return;
        };
        let cluster_at = section.join("clusterCidr");
        let service_at = section.join("serviceCidr");
        let at = if server.service_cidr.is_some() {
            &service_at
        } else {
            &cluster_at
        };
        let families = |list: &CidrList| -> Vec<bool> {
            let mut found: Vec<bool> = list
                .networks()
                .iter()
                .map(|n| n.network().addr().is_ipv4())
                .collect();
            found.sort_unstable();
            found
        };
        if families(&cluster) != families(&service) {
            let message =
                format!("clusterCidr {cluster} and serviceCidr {service} differ in family");
            self.error("cidr-family", at, message)
                .help("give both as IPv4, both as IPv6, or both as dual stack");
        }
        for a in cluster.networks() {
            for b in service.networks() {
                let (a, b) = (a.network(), b.network());
                if a.contains(&b) || b.contains(&a) {
                    let message = format!("clusterCidr {a} and serviceCidr {b} overlap");
                    self.error("cidr-overlap", at, message)
                        .help("choose networks that have no address in common");
                }
            }
        }
        for cidr in cluster.networks() {
            self.network_size(
                cidr,
                24,
                64,
                &cluster_at,
                "a node's pods need a network of their own",
            );
        }
        for cidr in service.networks() {
            self.network_size(
                cidr,
                28,
                124,
                &service_at,
                "the cluster's DNS is its tenth address",
            );
        }
        self.cluster_dns(spec, &service, &section.join("clusterDNS"));
    }

    fn network_size(&mut self, cidr: &Cidr, v4: u8, v6: u8, at: &Pointer, why: &str) {
        let network = cidr.network();
        let smallest = if network.addr().is_ipv4() { v4 } else { v6 };
        if network.prefix_len() > smallest {
            self.error(
                "cidr-size",
                at,
                format!("{network} is too small, it must have at least a /{smallest}: {why}"),
            );
        }
    }

    fn cluster_dns(&mut self, spec: &ConfigSpec, service: &CidrList, at: &Pointer) {
        let Some(dns) = &spec.server_config.cluster_dns else {
            return;
        };
        for address in dns.addresses() {
            let inside = |cidr: &Cidr| cidr.network().contains(&address.address());
            if !service.networks().iter().any(inside) {
                self.error(
                    "cluster-dns",
                    at,
                    format!("clusterDNS {address} is not inside serviceCidr {service}"),
                )
                .help("leave it out: K3s takes the tenth address of serviceCidr");
            }
        }
    }
}

/// clusterCidr and serviceCidr, K3s' own where they were left out.
fn cluster_networks(spec: &ConfigSpec) -> Option<(CidrList, CidrList)> {
    let server = &spec.server_config;
    let list = |given: &Option<CidrList>, default: &str| {
        let given = given.clone();
        given.or_else(|| CidrList::parse(default).ok())
    };
    list(&server.cluster_cidr, "10.42.0.0/16").zip(list(&server.service_cidr, "10.43.0.0/16"))
}
