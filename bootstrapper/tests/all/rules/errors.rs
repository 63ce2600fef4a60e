//! K3s configurations with one fault each.

/// Every case begins at line 9, column 1, and has its fault at the column given.
pub const SPEC_ERRORS: &[(&str, &str, usize)] = &[
    // Files: where they may be.
    ("files: [{path: etc/x}]", "path-not-absolute", 16),
    ("files: [{path: /usr/x}]", "path-outside", 16),
    ("files: [{path: /etcx/x}]", "path-outside", 16),
    ("files: [{path: /etc/../usr/x}]", "path-not-normal", 16),
    ("files: [{path: /etc//x}]", "path-not-normal", 16),
    ("files: [{path: /etc/x/}]", "path-not-normal", 16),
    (
        "files: [{path: /etc/rancher/k3s/config.yaml}]",
        "path-generated",
        16,
    ),
    ("files: [{path: /etc/rancher/emts/x}]", "path-generated", 16),
    ("files: [{path: \"/etc/a\\0b\"}]", "path-not-normal", 16),
    (
        "files: [{path: /etc/a}, {path: /etc/a}]",
        "duplicate-path",
        32,
    ),
    ("files: [{content: x}]", "missing-key", 9),
    // Files: what they hold.
    (
        "files: [{path: /etc/a, permissions: 0999}]",
        "file-mode",
        37,
    ),
    ("files: [{path: /etc/a, permissions: rw}]", "file-mode", 37),
    ("files: [{path: /etc/a, owner: 'a b'}]", "file-owner", 31),
    ("files: [{path: /etc/a, encoding: hex}]", "not-allowed", 34),
    (
        "files: [{path: /etc/a, encoding: gzip, content: x}]",
        "gzip-text",
        34,
    ),
    (
        "files: [{path: /etc/a, encoding: base64, content: '%'}]",
        "content-encoding",
        51,
    ),
    (
        "files: [{path: /etc/a, encoding: gzip+base64, content: AAAA}]",
        "content-encoding",
        56,
    ),
    (
        "files: [{path: /etc/a, contentFrom: {secret: {name: a, key: b}}}]",
        "content-from",
        24,
    ),
    (
        "files: [{path: /etc/a, content: \"a\\0b\"}]",
        "nul-character",
        33,
    ),
    ("files: [{path: /etc/a, contents: x}]", "unknown-key", 24),
    // Commands.
    ("preK3sCommands: ['']", "empty-command", 18),
    ("preK3sCommands: [~]", "empty-element", 18),
    ("postK3sCommands: echo", "wrong-type", 18),
    ("postK3sCommand: [echo]", "unknown-key", 1),
    // What the OS image fixes.
    ("version: v1.33.0+k3s1", "k3s-version-differs", 10),
    ("version: latest", "k3s-version", 10),
    ("agentConfig: {airGapped: false}", "air-gapped", 26),
    ("agentConfig: {airGapped: 'true'}", "wrong-type", 26),
    ("agentConfig: {airGapped: yes}", "wrong-type", 26),
    (
        "agentConfig: {airGappedInstallScriptPath: /opt/k3s.sh}",
        "install-script-path",
        43,
    ),
    // Arguments of components.
    ("agentConfig: {kubeletArgs: ['']}", "component-arg", 29),
    (
        "agentConfig: {kubeletArgs: ['max-pods 250']}",
        "component-arg",
        29,
    ),
    ("agentConfig: {kubeletArgs: ['-v=2']}", "component-arg", 29),
    (
        "agentConfig: {kubeletArgs: [foo, v=2]}",
        "argument-without-value",
        29,
    ),
    (
        "serverConfig: {kubeAPIServerArg: [tls-cipher-suites]}",
        "argument-without-value",
        35,
    ),
    (
        "agentConfig: {kubeletArgs: [tls-cipher-suites=TLS_FOO]}",
        "tls-name",
        29,
    ),
    (
        "agentConfig: {kubeletArgs: [tls-min-version=1.2]}",
        "tls-name",
        29,
    ),
    // containerd templates.
    (
        "files: [{path: /var/lib/rancher/k3s/agent/etc/containerd/config-v3.toml.tmpl, content: '{{ if }'}]",
        "template-syntax",
        88,
    ),
    (
        "files: [{path: /var/lib/rancher/k3s/agent/etc/containerd/config-v3.toml.tmpl, content: \"{{ template `base` . }}\\n[plugins.'io.containerd.cri.v1.runtime'.cni]\"}]",
        "containerd-table",
        88,
    ),
    (
        "files: [{path: /var/lib/rancher/k3s/agent/etc/containerd/config-v3.toml.tmpl, content: \"[plugins.'io.containerd.grpc.v1.cri'.containerd.runtimes.x]\"}]",
        "containerd-plugins",
        88,
    ),
    // Files that K3s reads.
    (
        "files: [{path: /etc/rancher/k3s/registries.yaml, content: 'mirror: {}'}]",
        "registries",
        59,
    ),
    (
        "files: [{path: /etc/rancher/k3s/registries.yaml, content: 'mirrors: {a: {endpoint: b}}'}]",
        "registries",
        59,
    ),
    (
        "files: [{path: /etc/rancher/k3s/config.yaml.d/a.yaml, content: 'a: ['}]",
        "k3s-file",
        64,
    ),
    // Names.
    ("agentConfig: {nodeName: Edge_1}", "node-name", 25),
    ("agentConfig: {nodeLabels: [zone]}", "node-label", 28),
    ("agentConfig: {nodeLabels: [-a=b]}", "node-label", 28),
    (
        "agentConfig: {nodeLabels: ['node-role.kubernetes.io/x=y']}",
        "node-label",
        28,
    ),
    ("agentConfig: {nodeTaints: ['a=b']}", "node-taint", 28),
    ("agentConfig: {nodeTaints: ['a=b:Never']}", "node-taint", 28),
    ("serverConfig: {tlsSan: ['a b']}", "subject-alt-name", 25),
    ("serverConfig: {httpsListenPort: 70000}", "port", 33),
    ("serverConfig: {httpsListenPort: 0}", "port", 33),
    ("serverConfig: {bindAddress: here}", "ip-address", 29),
    (
        "serverConfig: {clusterDomain: Cluster.Local}",
        "domain-name",
        31,
    ),
    (
        "serverConfig: {systemDefaultRegistry: 'https://r.io'}",
        "registry-prefix",
        39,
    ),
    (
        "serverConfig: {systemDefaultRegistry: r.io/}",
        "registry-prefix",
        39,
    ),
    (
        "serverConfig: {disableComponents: ['foo bar']}",
        "component-name",
        36,
    ),
    // Networks.
    ("serverConfig: {clusterCidr: 10.42.0.0}", "cidr", 29),
    ("serverConfig: {clusterCidr: 10.42.0.0/33}", "cidr", 29),
    (
        "serverConfig: {clusterCidr: '10.42.0.0/16,10.44.0.0/16'}",
        "cidr-list",
        29,
    ),
    ("serverConfig: {clusterCidr: 10.42.0.0/25}", "cidr-size", 29),
    ("serverConfig: {serviceCidr: 10.43.0.0/29}", "cidr-size", 29),
    (
        "serverConfig: {clusterCidr: 10.43.0.0/16}",
        "cidr-overlap",
        29,
    ),
    (
        "serverConfig: {serviceCidr: 10.42.128.0/20}",
        "cidr-overlap",
        29,
    ),
    (
        "serverConfig: {serviceCidr: 'fd00::/112'}",
        "cidr-family",
        29,
    ),
    ("serverConfig: {clusterDNS: 10.44.0.10}", "cluster-dns", 28),
    // The cloud controller.
    (
        "serverConfig: {disableCloudController: true, cloudProviderName: external}",
        "no-cloud-controller",
        65,
    ),
    (
        "serverConfig: {disableCloudController: false, disableComponents: [cloudController]}",
        "cloud-controller-conflict",
        67,
    ),
    // More of the same kinds.
    ("preK3sCommands: [\"a\\0b\"]", "nul-character", 18),
    (
        "agentConfig: {kubeletArgs: [cloud-provider=external]}, serverConfig: {disableComponents: [cloudController]}",
        "no-cloud-controller",
        29,
    ),
    (
        "serverConfig: {clusterCidr: 'fd00:42::/65', serviceCidr: 'fd00:43::/112'}",
        "cidr-size",
        29,
    ),
    (
        "serverConfig: {clusterCidr: 'fd00:42::/56', serviceCidr: 10.43.0.0/16}",
        "cidr-family",
        58,
    ),
    (
        "serverConfig: {clusterDNS: '10.43.0.10,10.44.0.1'}",
        "cluster-dns",
        28,
    ),
    (
        "files: [{path: /var/lib/rancher/k3s/agent/etc/containerd/config-v3.toml.tmpl, content: '{{ template \"other\" . }}'}]",
        "template-syntax",
        88,
    ),
    (
        "files: [{path: /var/lib/rancher/k3s/agent/etc/containerd/config-v3.toml.tmpl, content: '{{ if . }}'}]",
        "template-syntax",
        88,
    ),
    (
        "files: [{path: /var/lib/rancher/k3s/agent/etc/containerd/config-v3.toml.tmpl, content: '{{ nofunction . }}'}]",
        "template-syntax",
        88,
    ),
    (
        "files: [{path: /var/lib/rancher/k3s/agent/etc/containerd/config-v3.toml.tmpl, content: \"[a]\\nb = 1\\n[a]\"}]",
        "containerd-table",
        88,
    ),
    (
        "files: [{path: /var/lib/rancher/k3s/agent/etc/containerd/config-v3.toml.tmpl, content: \"[plugins.'io.containerd.cri.v1.runtime'.x]\\n[plugins.'io.containerd.grpc.v1.cri'.containerd.y]\"}]",
        "containerd-plugins",
        88,
    ),
    (
        "agentConfig: {kubeletArgs: [\"v=2\\nx\"]}",
        "component-arg",
        29,
    ),
    ("agentConfig: {nodeLabels: ['a=b c']}", "node-label", 28),
    (
        "agentConfig: {nodeTaints: ['a b:NoSchedule']}",
        "node-taint",
        28,
    ),
    ("serverConfig: {tlsSan: ['']}", "subject-alt-name", 25),
    ("serverConfig: {advertisePort: 6443x}", "port", 31),
    (
        "serverConfig: {kubeAPIServerArg: ['tls-cipher-suites=TLS_AES_128_GCM_SHA256, TLS_AES_256_GCM_SHA384']}",
        "tls-name",
        35,
    ),
    // The shape.
    (
        "kthreesConfigSpec: {version: v1.33.13+k3s1}, files: []",
        "mixed-spec",
        1,
    ),
    ("files: {path: /etc/a}, files: []", "duplicate-key", 24),
    ("serverConfig: []", "wrong-type", 1),
    ("foo: 1", "unknown-key", 1),
];
