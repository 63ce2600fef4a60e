//! One case a rule: a config-file with one fault, and the code, line and column of the finding.

use cluster_bootstrapper::diagnostic::Severity;
use cluster_bootstrapper::{ParseOptions, Parsed, parse};

/// A valid head; what follows begins at line 9, inside `spec.template.spec`.
const HEAD: &str = "version: 1.0
operatingSystem:
  users: [{username: root, password: c2VjcmV0}]
kubernetes:
  kind: KThreesControlPlaneTemplate
  apiVersion: controlplane.cluster.x-k8s.io/v1beta2
  spec:
    template: {spec: {
";

fn options() -> ParseOptions {
    ParseOptions {
        k3s_version: Some("v1.33.13+k3s1".to_owned()),
    }
}

/// The K3s configuration, written in flow style from line 9 on.
fn with_spec(spec: &str) -> Parsed {
    parse(&format!("{HEAD}{spec}\n    }}}}\n"), &options())
}

fn with_os(os: &str) -> Parsed {
    let rest = HEAD.split_once("kubernetes:").expect("there").1;
    let text = format!("operatingSystem:\n{os}kubernetes:{rest}    }}}}\n");
    parse(&text, &options())
}

#[track_caller]
fn finds(parsed: &Parsed, severity: Severity, code: &str, line: usize, column: usize) {
    let found: Vec<_> = parsed
        .diagnostics
        .iter()
        .map(|d| (d.severity, d.code, d.line, d.column))
        .collect();
    assert_eq!(
        found,
        [(severity, code, line, column)],
        "{:#?}",
        parsed.diagnostics
    );
    assert_eq!(parsed.config.is_some(), severity != Severity::Error);
}

/// Every case begins at line 9, column 1, and has its fault at the column given.
const SPEC_ERRORS: &[(&str, &str, usize)] = &[
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
    ("serverConfig: {kubeApiServerArg: []}", "unknown-key", 16),
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
    (
        "agentConfig: {privateRegistry: /opt/r.yaml}",
        "path-outside",
        32,
    ),
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
        "serverConfig: {disableComponents: [foo]}",
        "unknown-component",
        36,
    ),
    (
        "serverConfig: {disableComponents: [kube-proxy]}",
        "unknown-component",
        36,
    ),
    // Networks.
    ("serverConfig: {clusterCidr: 10.42.0.0}", "cidr", 29),
    ("serverConfig: {clusterCidr: 10.42.0.0/33}", "cidr", 29),
    (
        "serverConfig: {clusterCidr: '10.42.0.0/16,10.44.0.0/16'}",
        "cidr-family",
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
    // A second look at what would ruin the node.
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
        "agentConfig: {kubeProxyArgs: [tls-min-version=VersionTLS9]}",
        "tls-name",
        31,
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
    ("files: [{path: /etc/a, owner: '1000'}]", "file-owner", 31),
    (
        "files: [{path: /etc/a}, {path: /etc/b, owner: 'root:0'}]",
        "file-owner",
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
    // The shape.
    (
        "kthreesConfigSpec: {version: v1.33.13+k3s1}, files: []",
        "mixed-spec",
        46,
    ),
    ("files: {path: /etc/a}, files: []", "duplicate-key", 24),
    ("serverConfig: []", "wrong-type", 1),
    ("foo: 1", "unknown-key", 1),
];

#[test]
fn every_fault_of_the_k3s_configuration_is_found_at_its_place() {
    for (spec, code, column) in SPEC_ERRORS {
        let parsed = with_spec(spec);
        let found: Vec<_> = parsed
            .diagnostics
            .iter()
            .filter(|d| d.severity == Severity::Error)
            .map(|d| (d.code, d.line, d.column))
            .collect();
        assert_eq!(
            found,
            [(*code, 9, *column)],
            "{spec}: {:#?}",
            parsed.diagnostics
        );
        assert!(parsed.config.is_none(), "{spec} was accepted");
    }
}

/// What is at the edge of a rule and accepted, without any finding.
const ACCEPTED: &[&str] = &[
    "files: [{path: /var/lib/rancher/k3s/server/manifests/my-traefik.yaml}, {path: /var/lib/rancher/k3s/server/manifests/traefik.yaml.skip}, {path: /etc/manifests/traefik.yaml}]",
    "files: [{path: /var/lib/rancher/k3s/server/manifests/servicelb.yaml}]",
    "files: [{path: /etc/a/b}, {path: /etc/a/bc}, {path: /etc/ab}]",
    "files: [{path: /var/lib/rancher/k3s/agent/etc/containerd/config-v3.toml.tmpl, content: \"{{ if .IsRunningInUserNS }}base{{ end }}\\n[plugins.'io.containerd.cri.v1.runtime'.cni]\\nbin_dirs = [\\n['a'],\\n['a'],\\n]\\n\"}]",
    "files: [{path: /var/lib/rancher/k3s/agent/etc/containerd/config-v3.toml.tmpl, content: \"{{ template \\\"base\\\" . }}\\n[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.'runc2']\\n[[x]]\\n[[x]]\\n\"}]",
    "files: [{path: /etc/rancher/k3s/config.yaml.d/a.yaml, content: 'kubelet-arg+: [a=b]'}], agentConfig: {kubeletArgs: [v=2]}",
    "files: [{path: /etc/rancher/k3s/config.yaml.d/a.yaml, content: 'write-kubeconfig-mode: \"0640\"'}, {path: /etc/rancher/k3s/config.yaml.d/a.conf, content: 'x: y'}]",
    "files: [{path: /etc/rancher/k3s/config.yaml.d/a.yaml, content: \"\\n  # nothing\\n\"}, {path: /etc/rancher/k3s/registries.yaml}]",
    "files: [{path: /etc/rancher/k3s/registries.yaml, content: 'configs: {a: {tls: {insecure_skip_verify: TRUE}}, b: }'}]",
    "files: [{path: /etc/other/registries.yaml, content: 'a: ['}, {path: /etc/rancher/k3s/config.yaml.d/sub/a.yaml, content: 'a: ['}]",
    "files: [{path: /etc/cloud/cloud.cfg.d/z.conf, content: 'runcmd: []'}, {path: /etc/cloud/z.cfg, content: 'runcmd: []'}, {path: /etc/cloud/cloud.cfg.d/y.cfg, content: 'runcmd: ['}, {path: /etc/cloud/cloud.cfg.d/x.cfg, content: runcmd}]",
    "files: [{path: /etc/other/config.toml.tmpl, content: '{{ if'}, {path: /var/lib/rancher/k3s/agent/etc/containerd/other.tmpl, content: '{{ if'}]",
    "files: [{path: /var/lib/rancher/k3s/agent/etc/containerd/config-v3.toml.tmpl, content: \"[plugins.'io.containerd.grpc.v1.cri']\\nstream_server_port = '1'\\n\"}]",
    "files: [{path: /var/lib/rancher/k3s/agent/etc/containerd/config.toml.tmpl, content: \"[plugins.'io.containerd.grpc.v1.cri'.containerd.runtimes.x]\"}]",
    "serverConfig: {kubeAPIServerArg: [tls-min-version=VersionTLS13, 'tls-cipher-suites=TLS_AES_128_GCM_SHA256,TLS_AES_256_GCM_SHA384', feature]}",
    "version: 1.33.13+k3s1",
    "files: [{path: /etc/a, owner: 'root:adm'}, {path: /etc/b, owner: daemon}, {path: /etc/c, owner: root}]",
    "agentConfig: {kubeletArgs: [foo]}",
    "agentConfig: {kubeletArgs: ['system-reserved=cpu=100m, memory=1Gi', 'a=b c']}",
    "agentConfig: {kubeletArgs: [cloud-provider=external]}",
    "agentConfig: {kubeletArgs: ['feature-gates+=A=true', v-=2]}",
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

const OS_ERRORS: &[(&str, &str, usize, usize)] = &[
    ("  users: [{username: Ed}]\n", "user-name", 2, 22),
    ("  users: [{username: sshd}]\n", "user-name-system", 2, 22),
    (
        "  users: [{username: a, password: '?'}]\n",
        "password-encoding",
        2,
        35,
    ),
    (
        "  users: [{username: a, password: Cg==}]\n",
        "password-empty",
        2,
        35,
    ),
    (
        "  users: [{username: a, password: $6$x}]\n",
        "password-hash",
        2,
        35,
    ),
    (
        "  users: [{username: a, password: YQ==}, {username: a}]\n",
        "duplicate-user",
        2,
        53,
    ),
    ("  users: [{password: YQ==}]\n", "missing-key", 2, 11),
    ("  sshKey: ssh-ed25519\n", "ssh-key", 2, 11),
    ("  sshKey: ssh-ed25519 AAAA\n", "ssh-key", 2, 11),
    (
        "  sshKey: ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n",
        "ssh-key",
        2,
        11,
    ),
    ("  sshKey: [x]\n", "ssh-key", 2, 12),
    (
        "  proxy: {httpProxy: proxy:8080}\n  users: [{username: a, password: YQ==}]\n",
        "proxy-url",
        2,
        22,
    ),
    (
        "  proxy: {httpProxy: 'http://p:99999'}\n  users: [{username: a, password: YQ==}]\n",
        "proxy-url",
        2,
        22,
    ),
    (
        "  proxy: {noProxy: 'http://x'}\n  users: [{username: a, password: YQ==}]\n",
        "no-proxy",
        2,
        20,
    ),
    (
        "  proxy: {noProxy: 10.0.0.0/99}\n  users: [{username: a, password: YQ==}]\n",
        "no-proxy",
        2,
        20,
    ),
    (
        "  hostname: Edge\n  users: [{username: a, password: YQ==}]\n",
        "host-name",
        2,
        13,
    ),
];

#[test]
fn what_is_just_right_has_no_finding() {
    let schema = cluster_bootstrapper::schema::schema();
    let validator = jsonschema::validator_for(&schema).expect("a valid JSON Schema");
    for spec in ACCEPTED {
        let parsed = with_spec(spec);
        // Editors must not complain of it either.
        let value: serde_json::Value = serde_saphyr::from_str(parsed.source()).expect("YAML");
        let complaint = validator.iter_errors(&value).next();
        assert!(complaint.is_none(), "{spec}: {complaint:?}");
        assert!(
            parsed.diagnostics.is_empty(),
            "{spec}: {:#?}",
            parsed.diagnostics
        );
    }
}

#[test]
fn every_fault_of_the_operating_system_is_found_at_its_place() {
    for (os, code, line, column) in OS_ERRORS {
        let parsed = with_os(os);
        let found: Vec<_> = parsed
            .diagnostics
            .iter()
            .filter(|d| d.severity == Severity::Error)
            .map(|d| (d.code, d.line, d.column))
            .collect();
        assert_eq!(
            found,
            [(*code, *line, *column)],
            "{os}: {:#?}",
            parsed.diagnostics
        );
    }
}

#[test]
fn a_setting_in_a_file_of_k3s_that_has_no_effect_or_another_is_told() {
    let drop_in = |text: &str| {
        with_spec(&format!(
            "agentConfig: {{kubeletArgs: [v=2]}}, files: [{{path: /etc/rancher/k3s/config.yaml.d/a.yml, content: '{text}'}}]"
        ))
    };
    finds(
        &drop_in("kubelet-args+: [a=b]"),
        Severity::Warning,
        "k3s-setting",
        9,
        98,
    );
    let help = drop_in("kubelet-args: x").diagnostics[0].help.clone();
    assert_eq!(help.as_deref(), Some("did you mean `kubelet-arg`?"));
    finds(
        &drop_in("kubelet-arg: [a=b]"),
        Severity::Note,
        "k3s-setting-replaced",
        9,
        98,
    );
}

#[test]
fn warns_of_an_owner_that_the_node_may_not_have() {
    let owner = |owner: &str| with_spec(&format!("files: [{{path: /etc/a, owner: '{owner}'}}]"));
    for name in ["plant", "plant:root", "root:plant"] {
        finds(&owner(name), Severity::Warning, "file-owner-unknown", 9, 31);
    }
    let user = "  users: [{username: plant, password: YQ==}]\n";
    let parsed = crate::support::with(user, "{files: [{path: /etc/a, owner: 'plant:plant'}]}");
    assert!(parsed.diagnostics.is_empty(), "{:#?}", parsed.diagnostics);
}

#[test]
fn warns_when_nobody_can_log_in() {
    finds(
        &with_os("  hostname: edge\n"),
        Severity::Warning,
        "no-login",
        1,
        1,
    );
}

#[test]
fn does_not_say_that_nobody_can_log_in_when_the_way_in_was_refused() {
    for os in [
        "  users: [{username: a, password: '?'}]\n",
        "  users: [{username: A, password: YQ==}]\n",
        "  sshKey: ssh-dss AAAAB3NzaC1kc3M=\n",
        "  sshKeys: x\n  sshKey: [x]\n",
    ] {
        let parsed = with_os(os);
        assert!(parsed.config.is_none(), "{os}");
        let codes: Vec<_> = parsed.diagnostics.iter().map(|d| d.code).collect();
        assert!(!codes.contains(&"no-login"), "{os}: {codes:?}");
    }
}

#[test]
fn notes_a_password_that_ends_in_a_line_break() {
    let parsed = with_os("  users: [{username: a, password: cGFzc3dvcmQK}]\n");
    finds(&parsed, Severity::Note, "password-newline", 2, 35);
}

#[test]
fn reports_all_errors_in_one_run() {
    let parsed =
        with_spec("foo: 1, files: [{path: x}], serverConfig: {clusterCidr: y, httpsListenPort: z}");
    let codes: Vec<_> = parsed.diagnostics.iter().map(|d| d.code).collect();
    assert_eq!(codes, ["unknown-key", "path-not-absolute", "cidr", "port"]);
}

/// What to do, as far as it depends on what was seen.
const HELP: &[(&str, &str)] = &[
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
        "known components: coredns, servicelb, traefik, local-storage, metrics-server, runtimes, cloudController",
    ),
    (
        "serverConfig: {disableComponents: ['traefik,servicelb']}",
        "write one component per list element",
    ),
    (
        "serverConfig: {disableComponents: [etcd-proxy]}",
        "leave it out: a standalone node has no etcd proxy",
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

#[test]
fn the_help_fits_what_was_seen() {
    for (spec, help) in HELP {
        let parsed = with_spec(spec);
        let found = parsed.diagnostics[0].help.as_deref();
        assert_eq!(found, Some(*help), "{spec}");
    }
}

#[test]
fn suggests_the_key_that_was_meant() {
    let parsed = with_spec("serverConfig: {clusterCIDRs: 10.42.0.0/16}");
    let help = parsed.diagnostics[0].help.as_deref();
    assert_eq!(help, Some("did you mean `clusterCidr`?"));
}
