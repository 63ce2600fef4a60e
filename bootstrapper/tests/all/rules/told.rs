//! What is accepted without a word, and what is said of what is not.

/// What is at the edge of a rule and accepted, without any finding.
pub const ACCEPTED: &[&str] = &[
    "files: [{path: /var/lib/rancher/k3s/server/manifests/my-traefik.yaml}, {path: /var/lib/rancher/k3s/server/manifests/traefik.yaml.skip}, {path: /etc/manifests/traefik.yaml}]",
    "files: [{path: /var/lib/rancher/k3s/server/manifests/servicelb.yaml}]",
    "files: [{path: /etc/a/b}, {path: /etc/a/bc}, {path: /etc/ab}]",
    "files: [{path: /var/lib/rancher/k3s/agent/etc/containerd/config-v3.toml.tmpl, content: \"{{ if .IsRunningInUserNS }}base{{ end }}\\n[plugins.'io.containerd.cri.v1.runtime'.cni]\\nbin_dirs = [\\n['a'],\\n['a'],\\n]\\n\"}]",
    "files: [{path: /var/lib/rancher/k3s/agent/etc/containerd/config-v3.toml.tmpl, content: \"{{ template \\\"base\\\" . }}\\n[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.'runc2']\\n[[x]]\\n[[x]]\\n\"}]",
    "files: [{path: /var/lib/rancher/k3s/agent/etc/containerd/config-v3.toml.tmpl, content: \"{{ template \\\"base\\\" . }}\\n[plugins.'io.containerd.cri.v1.runtime'.containerd]\\ndefault_runtime_name = 'custom'\\n\"}]",
    "files: [{path: /etc/rancher/k3s/config.yaml.d/a.yaml, content: 'kubelet-arg+: [max-pods=64]'}], agentConfig: {kubeletArgs: [v=2]}",
    "files: [{path: /etc/rancher/k3s/config.yaml.d/a.yaml, content: 'write-kubeconfig-mode: \"0640\"'}]",
    "files: [{path: /etc/rancher/k3s/config.yaml.d/a.yaml, content: \"\\n  # nothing\\n\"}, {path: /etc/rancher/k3s/registries.yaml}]",
    "files: [{path: /etc/rancher/k3s/registries.yaml, content: 'configs: {a: {tls: {insecure_skip_verify: TRUE}}, b: }'}]",
    "files: [{path: /etc/rancher/k3s/registries.yaml, content: '{mirrors: , configs: {a: {auth: , tls: }}}'}]",
    "files: [{path: /etc/other/registries.yaml, content: 'a: ['}, {path: /etc/other/config.yaml.d/a.yaml, content: 'a: ['}]",
    "files: [{path: /etc/cloud/z.cfg, content: 'runcmd: []'}, {path: /etc/cloud/cloud.cfg.d/y.cfg, content: 'runcmd: ['}, {path: /etc/cloud/cloud.cfg.d/x.cfg, content: runcmd}]",
    "files: [{path: /etc/other/config.toml.tmpl, content: '{{ if'}, {path: /var/lib/rancher/k3s/agent/etc/containerd/other.tmpl, content: '{{ if'}]",
    "files: [{path: /var/lib/rancher/k3s/agent/etc/containerd/config-v3.toml.tmpl, content: \"[plugins.'io.containerd.grpc.v1.cri']\\nstream_server_port = '1'\\n\"}]",
    "files: [{path: /var/lib/rancher/k3s/agent/etc/containerd/config.toml.tmpl, content: \"[plugins.'io.containerd.grpc.v1.cri'.containerd.runtimes.x]\"}]",
    "serverConfig: {kubeAPIServerArg: [tls-min-version=VersionTLS13, 'tls-cipher-suites=TLS_AES_128_GCM_SHA256,TLS_AES_256_GCM_SHA384', profiling]}",
    "version: 1.33.13+k3s1",
    "files: [{path: /etc/a, owner: 'root:adm'}, {path: /etc/b, owner: daemon}, {path: /etc/c, owner: root}]",
    "agentConfig: {kubeletArgs: [fail-swap-on]}",
    "agentConfig: {kubeletArgs: ['system-reserved=cpu=100m, memory=1Gi', 'provider-id=b c']}",
    "agentConfig: {kubeletArgs: [cloud-provider=external]}",
    "agentConfig: {kubeletArgs: ['feature-gates+=NodeSwap=true', v-=2]}",
    "serverConfig: {cloudProviderName: ''}",
    "serverConfig: {cloudProviderName: external, disableCloudController: false}",
    "serverConfig: {httpsListenPort: 443}",
    "serverConfig: {httpsListenPort: 65534}",
    "serverConfig: {httpsListenPort: 10246}",
    "serverConfig: {clusterDNS: 10.43.0.2}",
    "serverConfig: {clusterDNS: 10.43.255.254}",
    "serverConfig: {clusterCidr: 10.42.0.0/24, serviceCidr: 10.43.0.0/28}",
    "serverConfig: {serviceCidr: 176.0.0.0/12}",
    "serverConfig: {clusterCidr: 'fd00:42::/48', serviceCidr: 'fd00:43::/108'}",
    "serverConfig: {clusterCidr: 'fd00:42::/64', serviceCidr: 'fd00:43::/124', advertiseAddress: 'fd00::7'}",
    "serverConfig: {clusterCidr: '10.42.0.0/16,fd00:42::/56', serviceCidr: '10.43.0.0/16,fd00:43::/112'}",
    "serverConfig: {advertiseAddress: 192.0.2.7, advertisePort: 6443, bindAddress: 192.0.2.7}",
];

/// What to do, as far as it depends on what was seen.
pub const HELP: &[(&str, &str)] = &[
    (
        "agentConfig: {kubeletArgs: ['tls-cipher-suites= TLS_AES_128_GCM_SHA256']}",
        "write TLS_AES_128_GCM_SHA256 without spaces",
    ),
    (
        "agentConfig: {kubeletArgs: [tls-cipher-suites=TLS_AES_128_GCM_SHA255]}",
        "did you mean TLS_AES_128_GCM_SHA256?",
    ),
    (
        "agentConfig: {kubeletArgs: [tls-min-version=1]}",
        "known: VersionTLS10, VersionTLS11, VersionTLS12, VersionTLS13",
    ),
    (
        "agentConfig: {kubeletArgs: ['max-pods 250']}",
        "write max-pods=250",
    ),
    (
        "files: [{path: /var/lib/rancher/k3s/agent/etc/containerd/config-v3.toml.tmpl, content: '# {{ .NodeConfg }}'}]",
        "did you mean `NodeConfig`?",
    ),
    ("agentConfig: {kubeletArgs: ['-v=2']}", "write v=2"),
    (
        "agentConfig: {kubeletArgs: ['v=2 --a=b']}",
        "make `--a=b` a list element of its own",
    ),
    (
        "serverConfig: {disableComponents: [disable-kube-proxy]}",
        "K3s has a switch for it: `disable-kube-proxy: true` in a file below /etc/rancher/k3s/config.yaml.d",
    ),
    (
        "serverConfig: {disableComponents: [traefic]}",
        "did you mean `traefik`?",
    ),
    (
        "serverConfig: {disableComponents: [foo]}",
        "known components: ccm, coredns, local-storage, metrics-server, rolebindings, runtimes, traefik, servicelb",
    ),
    (
        "serverConfig: {disableComponents: [etcd-proxy]}",
        "it can be left out; a standalone node has no etcd proxy",
    ),
    (
        "files: [{path: /etc/rancher/k3s/registries.yaml, content: 'mirors: {}'}]",
        "did you mean `mirrors`?",
    ),
    (
        "version: v1.33.0+k3s1",
        "leave `version` out, or write `version: v1.33.13+k3s1`",
    ),
];

/// What is said, as far as it depends on what was seen.
pub const MESSAGES: &[(&str, &str)] = &[
    (
        "serverConfig: {httpsListenPort: 10250}",
        "port 10250 is that of the kubelet on the same node",
    ),
    (
        "serverConfig: {httpsListenPort: 10247}",
        "the API server inside the node would listen on port 10248, which the kubelet has",
    ),
    (
        "serverConfig: {httpsListenPort: 65535}",
        "the API server inside the node would listen on port 65536",
    ),
    (
        "agentConfig: {kubeletArgs: [foo, v=2]}",
        "`foo` has no `=`: K3s would drop the argument after it",
    ),
    (
        "agentConfig: {kubeletArgs: [v=2, foo]}, serverConfig: {cloudProviderName: external}",
        "`foo` has no `=`: K3s would drop the cloud provider after it",
    ),
    (
        "serverConfig: {kubeSchedulerArgs: [tls-min-version]}",
        "`tls-min-version` has no `=`: it needs a value, and K3s would not start",
    ),
    (
        "serverConfig: {clusterCidr: 10.42.0.9/25}",
        "10.42.0.0/25 is too small, it must have at least a /24: a node's pods need a network of their own",
    ),
    (
        "serverConfig: {clusterCidr: 'fd00::/40', serviceCidr: 'fd01::/112'}",
        "fd00::/40 is too large: the controller manager takes a /48 at most and would not start",
    ),
    (
        "serverConfig: {serviceCidr: 10.43.0.0/29}",
        "10.43.0.0/29 is too small, it must have at least a /28: the cluster's DNS is its tenth address",
    ),
    (
        "serverConfig: {clusterDNS: 10.44.0.10}",
        "clusterDNS 10.44.0.10 is not inside serviceCidr 10.43.0.0/16",
    ),
    (
        "serverConfig: {clusterDNS: 10.43.0.1}",
        "clusterDNS 10.43.0.1 is taken: the first addresses of a network and its last are no service's to choose",
    ),
    (
        "serverConfig: {advertiseAddress: 224.0.0.1}",
        "224.0.0.1 is not an address at which the node can be reached",
    ),
    (
        "serverConfig: {advertiseAddress: 'fd00::7'}",
        "fd00::7 is of another address family than serviceCidr 10.43.0.0/16",
    ),
    (
        "serverConfig: {clusterCidr: 10.43.0.0/17}",
        "clusterCidr 10.43.0.0/17 and serviceCidr 10.43.0.0/16 overlap",
    ),
    (
        "files: [{path: /etc/a/b}, {path: /etc/a}]",
        "/etc/a and /etc/a/b cannot both be files",
    ),
    (
        "files: [{path: /etc/a}, {path: /etc/a/b/c}]",
        "/etc/a/b/c and /etc/a cannot both be files",
    ),
    (
        "files: [{path: /etc/a}, {path: /etc/b}, {path: /etc/a}]",
        "/etc/a is written by files[0] already",
    ),
    (
        "files: [{path: /var/lib/rancher/k3s/agent/etc/containerd/config.toml.tmpl}, {path: /var/lib/rancher/k3s/agent/etc/containerd/config-v3.toml.tmpl}]",
        "K3s reads /var/lib/rancher/k3s/agent/etc/containerd/config-v3.toml.tmpl and would ignore /var/lib/rancher/k3s/agent/etc/containerd/config.toml.tmpl, which is here, too",
    ),
    (
        "files: [{path: /var/lib/rancher/k3s/agent/etc/containerd/config-v3.toml.tmpl, content: \"[a]\\n['a']\"}]",
        "the table [\"a\"] occurs twice in the template",
    ),
    (
        "files: [{path: /var/lib/rancher/k3s/agent/etc/containerd/config-v3.toml.tmpl, content: \"{{ template `base` . }}\\n[plugins.'io.containerd.cri.v1.images']\"}]",
        "the table [\"plugins\".\"io.containerd.cri.v1.images\"] is in K3s' base template already",
    ),
    (
        "files: [{path: /etc/rancher/k3s/registries.yaml, content: 'mirrors: {a: {endpoint: [{}]}}'}]",
        "/etc/rancher/k3s/registries.yaml: mirrors.a.endpoint is not a list of URLs",
    ),
    (
        "files: [{path: /etc/rancher/k3s/registries.yaml, content: 'configs: {a: {auth: {username: []}}}'}]",
        "/etc/rancher/k3s/registries.yaml: configs.a.auth.username is not a string",
    ),
    (
        "files: [{path: /etc/rancher/k3s/registries.yaml, content: 'configs: {a: b}'}]",
        "/etc/rancher/k3s/registries.yaml: configs.a is not a mapping",
    ),
    (
        "kthreesConfigSpec: {}, agentConfig: {}",
        "kthreesConfigSpec stands beside `agentConfig`",
    ),
];
