//! The fields of what K3s fills containerd's templates in with (K3s, pkg/agent/templates and pkg/daemons/config), of all
//! releases of 1.33. Behind any other one the filling in ends, and K3s with it.

use crate::text::closest;

/// A structure of Go: its fields, and those of them whose fields are known in turn.
struct Type {
    fields: &'static [&'static str],
    structures: &'static [(&'static str, &'static Type)],
}

/// The first field of a path, such as `.NodeConfig.SELinux`, that is not there, and the known one that was meant.
pub(super) fn unknown(path: &[String]) -> Option<(&str, Option<&'static str>)> {
    let mut of = &CONFIG;
    for name in path {
        let structures = of.structures.iter();
        let mut structures = structures.filter(|(field, _)| field == name);
        match structures.next() {
            Some((_, inner)) => of = inner,
            None if of.fields.contains(&name.as_str()) => return None,
            None => {
                let structures = of.structures.iter().map(|(field, _)| *field);
                let known = of.fields.iter().copied().chain(structures);
                return Some((name, closest(name, known)));
            }
        }
    }
    None
}

const CONFIG: Type = Type {
    fields: &[
        "DisableCgroup",
        "EnableUnprivileged",
        "ExtraRuntimes",
        "IsRunningInUserNS",
        "NoDefaultEndpoint",
        "NonrootDevices",
        "Program",
        "SystemdCgroup",
    ],
    structures: &[
        ("NodeConfig", &NODE),
        ("PrivateRegistryConfig", &REGISTRIES),
    ],
};

const REGISTRIES: Type = Type {
    fields: &["Auths", "Configs", "Mirrors"],
    structures: &[],
};

const NODE: Type = Type {
    fields: &[
        "ContainerRuntimeEndpoint",
        "CRIDockerd",
        "DefaultRuntime",
        "Docker",
        "EgressSelectorMode",
        "EmbeddedRegistry",
        "EnablePProf",
        "Flannel",
        "FlannelBackend",
        "FlannelConfFile",
        "FlannelConfOverride",
        "FlannelExternalIP",
        "FlannelIPv6Masq",
        "FlannelIface",
        "ImageServiceEndpoint",
        "Images",
        "NoFlannel",
        "SELinux",
        "ServerHTTPSPort",
        "SupervisorMetrics",
        "SupervisorPort",
        "Token",
    ],
    structures: &[("AgentConfig", &AGENT), ("Containerd", &CONTAINERD)],
};

const CONTAINERD: Type = Type {
    fields: &[
        "Address",
        "BlockIOConfig",
        "Config",
        "ConfigVersion",
        "Debug",
        "Log",
        "NoDefault",
        "NonrootDevices",
        "Opt",
        "RDTConfig",
        "Registry",
        "Root",
        "SELinux",
        "State",
        "Template",
    ],
    structures: &[],
};

const AGENT: Type = Type {
    fields: &[
        "AirgapExtraRegistry",
        "AlsoLogToStderr",
        "CNIBinDir",
        "CNIConfDir",
        "CNIPlugin",
        "CipherSuites",
        "ClientCA",
        "ClientKubeletCert",
        "ClientKubeletKey",
        "ClusterCIDR",
        "ClusterCIDRs",
        "ClusterDNS",
        "ClusterDNSs",
        "ClusterDomain",
        "DisableCCM",
        "DisableNPC",
        "DisableServiceLB",
        "EnableIPv4",
        "EnableIPv6",
        "ExtraKubeProxyArgs",
        "ExtraKubeletArgs",
        "FlannelCniConfFile",
        "IPSECPSK",
        "ImageCredProvBinDir",
        "ImageCredProvConfig",
        "ImageServiceSocket",
        "KubeConfigK3sController",
        "KubeConfigKubeProxy",
        "KubeConfigKubelet",
        "KubeletConfigDir",
        "ListenAddress",
        "LogFile",
        "MinTLSVersion",
        "NodeConfigPath",
        "NodeExternalDNSs",
        "NodeExternalIP",
        "NodeExternalIPs",
        "NodeIP",
        "NodeIPs",
        "NodeInternalDNSs",
        "NodeLabels",
        "NodeName",
        "NodeTaints",
        "PauseImage",
        "PodManifests",
        "ProtectKernelDefaults",
        "Registry",
        "ResolvConf",
        "RootDir",
        "Rootless",
        "RuntimeSocket",
        "ServiceCIDR",
        "ServiceCIDRs",
        "ServiceNodePortRange",
        "ServingKubeletCert",
        "ServingKubeletKey",
        "Snapshotter",
        "SystemDefaultRegistry",
        "Systemd",
        "VLevel",
        "VModule",
    ],
    structures: &[],
};
