//! K3s configurations that K3s would take, and the node would not survive.

/// As in the other table: code and column in line 9.
pub const NODE_ERRORS: &[(&str, &str, usize)] = &[
    (
        "agentConfig: {kubeletArgs: [foo]}, serverConfig: {cloudProviderName: external}",
        "argument-without-value",
        29,
    ),
    (
        "agentConfig: {kubeletArgs: [tls-min-version, v=2]}",
        "argument-without-value",
        29,
    ),
    (
        "agentConfig: {kubeletArgs: ['max-pods=250 --v=2']}",
        "component-arg",
        29,
    ),
    (
        "serverConfig: {kubeSchedulerArgs: ['v=2  profiling=false']}",
        "component-arg",
        36,
    ),
    (
        "agentConfig: {kubeletArgs: [cloud-provider=aws]}",
        "cloud-provider",
        29,
    ),
    (
        "serverConfig: {cloudProviderName: aws}",
        "cloud-provider",
        35,
    ),
    ("serverConfig: {httpsListenPort: 10250}", "port-taken", 33),
    ("serverConfig: {httpsListenPort: 10249}", "port-taken", 33),
    ("serverConfig: {httpsListenPort: 10247}", "port-taken", 33),
    ("serverConfig: {httpsListenPort: 65535}", "port-taken", 33),
    ("serverConfig: {clusterDNS: 10.43.0.0}", "cluster-dns", 28),
    ("serverConfig: {clusterDNS: 10.43.0.1}", "cluster-dns", 28),
    (
        "serverConfig: {clusterDNS: 10.43.255.255}",
        "cluster-dns",
        28,
    ),
    (
        "serverConfig: {clusterCidr: 'fd00:42::/56', serviceCidr: 'fd00:43::/112', clusterDNS: 'fd00:43::1'}",
        "cluster-dns",
        87,
    ),
    (
        "serverConfig: {clusterCidr: 'fd00:42::/47', serviceCidr: 'fd00:43::/112'}",
        "cidr-size",
        29,
    ),
    (
        "serverConfig: {clusterCidr: 'fd00:42::/48', serviceCidr: 'fd00:43::/107'}",
        "cidr-size",
        58,
    ),
    ("serverConfig: {serviceCidr: 176.0.0.0/11}", "cidr-size", 29),
    (
        "serverConfig: {clusterCidr: '10.42.0.0/16,fd00:42::/56', serviceCidr: 'fd00:43::/112,10.43.0.0/16'}",
        "cidr-family",
        71,
    ),
    (
        "serverConfig: {advertiseAddress: 127.0.0.1}",
        "advertise-address",
        34,
    ),
    (
        "serverConfig: {advertiseAddress: 0.0.0.0}",
        "advertise-address",
        34,
    ),
    (
        "serverConfig: {advertiseAddress: 'fd00::7'}",
        "advertise-address",
        34,
    ),
    (
        "files: [{path: /etc/a}, {path: /etc/a/b}]",
        "path-below-file",
        32,
    ),
    (
        "files: [{path: /etc/a/b/c}, {path: /etc/a-z}, {path: /etc/a}]",
        "path-below-file",
        54,
    ),
    (
        "files: [{path: /var/lib/rancher/k3s/server/manifests/traefik.yaml}]",
        "manifest-packaged",
        16,
    ),
    (
        "files: [{path: /var/lib/rancher/k3s/server/manifests/coredns.json}]",
        "manifest-packaged",
        16,
    ),
    (
        "files: [{path: /var/lib/rancher/k3s/server/manifests/metrics-server/x.yml}]",
        "manifest-packaged",
        16,
    ),
    (
        "serverConfig: {disableComponents: [servicelb]}, files: [{path: /var/lib/rancher/k3s/server/manifests/servicelb.yaml}]",
        "manifest-packaged",
        64,
    ),
    (
        "files: [{path: /var/lib/rancher/k3s/agent/etc/containerd/config-v3.toml.tmpl, content: \"{{ template \\\"base\\\" . }}\\n [ plugins . 'io.containerd.cri.v1.runtime'.containerd.runtimes.\\\"runc\\\" ] # [x]\\n\"}]",
        "containerd-table",
        88,
    ),
    (
        "files: [{path: /var/lib/rancher/k3s/agent/etc/containerd/config-v3.toml.tmpl, content: \"{{ template \\\"base\\\" . }}\\n[plugins.\\\"io.containerd.grpc.v1.cri\\\"]\\n\"}]",
        "containerd-table",
        88,
    ),
    (
        "files: [{path: /var/lib/rancher/k3s/agent/etc/containerd/config-v3.toml.tmpl, content: \"[a.b]\\n[[c]]\\n[[c]]\\n[ a . \\\"b\\\" ]\\n\"}]",
        "containerd-table",
        88,
    ),
    (
        "agentConfig: {kubeletArgs: [v=2, cloud-provider=external]}, serverConfig: {disableCloudController: true}",
        "no-cloud-controller",
        34,
    ),
    (
        "agentConfig: {kubeletArgs: [cloud-provider=external]}, serverConfig: {disableCloudController: true, cloudProviderName: external}",
        "no-cloud-controller",
        120,
    ),
    (
        "serverConfig: {clusterCidr: 10.43.128.0/20}",
        "cidr-overlap",
        29,
    ),
    (
        "serverConfig: {clusterCidr: '10.50.0.0/16,fd00:42::/56', serviceCidr: '10.51.0.0/16,fd00:42::/112'}",
        "cidr-overlap",
        71,
    ),
    (
        "serverConfig: {kubeSchedulerArgs: [tls-min-version=VersionTLS9]}",
        "tls-name",
        36,
    ),
    (
        "files: [{path: /etc/rancher/k3s/config.yaml.d/A.YML, content: 'a: ['}]",
        "k3s-file",
        63,
    ),
    (
        "files: [{path: /etc/rancher/k3s/config.yaml.d/a.yaml, content: '- a'}]",
        "k3s-file",
        64,
    ),
    (
        "files: [{path: /etc/rancher/k3s/registries.yaml, content: '[]'}]",
        "k3s-file",
        59,
    ),
    (
        "files: [{path: /etc/rancher/k3s/registries.yaml, content: 'configs: {a: {tls: {ca_file: [b]}}}'}]",
        "registries",
        59,
    ),
    (
        "files: [{path: /etc/cloud/cloud.cfg.d/z.cfg, encoding: base64, content: cnVuY21kOiBbXQ==}]",
        "cloud-config-list",
        73,
    ),
    (
        "files: [{path: /etc/a, owner: '1000'}]",
        "file-owner-number",
        31,
    ),
    (
        "files: [{path: /etc/a}, {path: /etc/b, owner: 'root:0'}]",
        "file-owner-number",
        47,
    ),
    (
        "files: [{path: /var/lib/rancher/k3s/agent/etc/containerd/config.toml.tmpl}, {path: /var/lib/rancher/k3s/agent/etc/containerd/config-v3.toml.tmpl}]",
        "containerd-template-twice",
        84,
    ),
    (
        "files: [{path: /var/lib/rancher/k3s/agent/etc/containerd/config-v3.toml.tmpl}, {path: /var/lib/rancher/k3s/agent/etc/containerd/config.toml.tmpl}]",
        "containerd-template-twice",
        87,
    ),
];
