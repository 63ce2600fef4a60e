//! RKE2 templates: conversion, the rules that differ from K3s', and what a standalone node cannot have.

use crate::support::golden;
use cluster_bootstrapper::Kubernetes;
use cluster_bootstrapper::Setting;
use cluster_bootstrapper::diagnostic::Severity;
use cluster_bootstrapper::{ParseOptions, Parsed, parse, rke2, schema};

/// A valid head; what follows begins at line 6, inside `spec.template.spec`.
const HEAD: &str = "operatingSystem: {users: [{username: root, password: Zm9yIHRoaXMgdGVzdA==}]}
kubernetes:
  kind: RKE2ControlPlaneTemplate
  apiVersion: controlplane.cluster.x-k8s.io/v1beta1
  spec: {template: {spec: {
";

pub fn with(spec: &str, options: &ParseOptions) -> Parsed {
    parse(&format!("{HEAD}{spec}\n  }}}}}}\n"), options)
}

fn findings(parsed: &Parsed) -> Vec<(Severity, &str, usize, usize)> {
    let found = parsed.diagnostics.iter();
    found
        .map(|d| (d.severity, d.code.as_str(), d.line, d.column))
        .collect()
}

/// Every key that is converted.
const FULL: &str = "
version: v1.33.1+rke2r1,
files: [{path: /etc/site/psa.yaml, content: \"a: b\\n\"}],
preRKE2Commands: [echo before],
postRKE2Commands: [echo after],
agentConfig: {
  dataDir: /var/lib/rancher/rke2, nodeLabels: [a.example/b=c], nodeTaints: ['a=b:NoSchedule'],
  containerRuntimeEndpoint: /run/other.sock, snapshotter: native, cisProfile: cis,
  podSecurityAdmissionConfigFile: /etc/site/psa.yaml, protectKernelDefaults: true,
  systemDefaultRegistry: registry.example.com, enableContainerdSElinux: true, kubeletPath: /opt/kubelet,
  kubelet: {extraArgs: [max-pods=250]},
  kubeProxy: {extraArgs: [v=2], extraEnv: {A: b}, extraMounts: {/etc/a: /b}, overrideImage: a/b},
  runtimeImage: a/c, loadBalancerPort: 6445, airGapped: true, format: cloud-config,
  airGappedChecksum: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08},
serverConfig: {
  bindAddress: 0.0.0.0, advertiseAddress: 192.0.2.1, tlsSan: [a.example.com],
  serviceNodePortRange: 30000-32000, clusterDNS: 10.43.0.11, clusterDomain: a.b,
  disableComponents: {kubernetesComponents: [scheduler, kubeProxy, cloudController],
    pluginComponents: [rke2-coredns, rke2-snapshot-validation-webhook]},
  cni: cilium, cniMultusEnable: true, pauseImage: a/d,
  etcd: {exposeMetrics: true, customConfig: {extraArgs: [quota-backend-bytes=1]},
    backupConfig: {disableAutomaticSnapshots: false, snapshotName: s, scheduleCron: '0 0 * * *', retention: 3,
      directory: /var/snapshots}},
  secretsEncryption: {provider: secretbox},
  kubeAPIServer: {extraArgs: [v=3]}, kubeControllerManager: {extraArgs: [v=4]},
  kubeScheduler: {extraArgs: [v=5]}, cloudControllerManager: {extraEnv: {C: d}},
  cloudProviderName: rancher, embeddedRegistry: true},
privateRegistriesConfig: {mirrors: {docker.io: {endpoint: ['https://mirror.example.com']}},
  configs: {mirror.example.com: {tls: {insecureSkipVerify: true}}}}";

#[test]
fn converts_every_key_to_the_golden_output() {
    let parsed = with(FULL, &ParseOptions::default());
    // The taint is on the cluster's only node.
    let told: Vec<&str> = parsed
        .diagnostics
        .iter()
        .map(|found| found.code.as_str())
        .collect();
    assert_eq!(told, ["taint-only-node"]);
    let boot = parsed.config.expect("valid").first_boot().expect("decoded");
    golden("golden/rke2-k8s.cfg", &boot.cloud_config());
}

#[test]
fn an_empty_template_leaves_all_to_rke2() {
    let parsed = with("", &ParseOptions::default());
    assert_eq!(findings(&parsed), []);
    let config = parsed.config.expect("valid");
    let Some(Kubernetes::Rke2(template)) = &config.kubernetes else {
        panic!("not RKE2: {:?}", config.kubernetes);
    };
    assert!(rke2::settings(&template.spec.template.spec).is_empty());
    let boot = config.first_boot().expect("decoded");
    let paths: Vec<&str> = boot.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "/etc/systemd/system/rke2-server.service.d/10-emts.conf",
            "/etc/rancher/emts/default-route.sh",
            "/etc/rancher/emts/login-screen.sh",
            "/etc/rancher/emts/install-rke2.sh",
            "/etc/rancher/rke2/config.yaml",
        ]
    );
}

#[test]
fn multus_stands_before_rke2s_own_plugin() {
    let parsed = with(
        "serverConfig: {cniMultusEnable: true}",
        &ParseOptions::default(),
    );
    let config = parsed.config.expect("valid");
    let Some(Kubernetes::Rke2(template)) = &config.kubernetes else {
        panic!("not RKE2: {:?}", config.kubernetes);
    };
    let settings = rke2::settings(&template.spec.template.spec);
    assert_eq!(
        settings.get("cni").map(Setting::values),
        Some(vec!["multus".into(), "canal".into()])
    );
}

#[test]
fn the_short_section_of_registries_is_rke2s_registries_yaml() {
    let text = format!("{HEAD}  }}}}}}\n").replace(
        "  spec:",
        "  registries: {mirrors: {docker.io: {endpoints: ['https://mirror.example.com']}}}\n  spec:",
    );
    let parsed = parse(&text, &ParseOptions::default());
    assert_eq!(findings(&parsed), []);
    let boot = parsed.config.expect("valid").first_boot().expect("decoded");
    assert_eq!(boot.files[0].path, "/etc/rancher/rke2/registries.yaml");
    assert_eq!(boot.files[0].mode, 0o600);
}

/// Every case begins at line 6, column 1, and has its fault at the column given.
const ERRORS: &[(&str, &str, usize)] = &[
    ("foo: 1", "unknown-key", 1),
    ("kthreesConfigSpec: {}", "unknown-key", 1),
    ("preK3sCommands: [a]", "unknown-key", 1),
    ("version: v1.33.1+k3s1", "rke2-version", 10),
    ("files: {path: /etc/a}", "wrong-type", 1),
    ("files: [{path: /usr/a}]", "path-outside", 16),
    (
        "files: [{path: /etc/a}, {path: /etc/a}]",
        "duplicate-path",
        32,
    ),
    (
        "files: [{path: /etc/rancher/rke2/config.yaml}]",
        "path-generated",
        16,
    ),
    ("files: [{path: /etc/rancher/emts/x}]", "path-generated", 16),
    (
        "files: [{path: /etc/a, contentFrom: {secret: {name: a, key: b}}}]",
        "content-from",
        24,
    ),
    ("agentConfig: {airGapped: false}", "air-gapped", 26),
    ("agentConfig: {airGappedChecksum: abc}", "sha256", 34),
    ("agentConfig: {cisProfile: cis-2}", "not-allowed", 27),
    ("agentConfig: {format: ignition}", "not-allowed", 23),
    ("agentConfig: {ntp: {enabled: true}}", "not-supported", 15),
    (
        "agentConfig: {additionalUserData: {strict: true}}",
        "not-supported",
        15,
    ),
    (
        "agentConfig: {resolvConf: {name: a}}",
        "cluster-reference",
        15,
    ),
    (
        "agentConfig: {imageCredentialProviderConfigMap: {name: a}}",
        "cluster-reference",
        15,
    ),
    (
        "agentConfig: {kubelet: {extraArgs: ['']}}",
        "component-arg",
        37,
    ),
    (
        "agentConfig: {kubelet: {extraArgs: [foo, v=2]}}",
        "argument-without-value",
        37,
    ),
    (
        "agentConfig: {kubelet: {extraArgs: [tls-cipher-suites=A]}}",
        "tls-name",
        37,
    ),
    (
        "agentConfig: {kubelet: {extraEnv: {A: b}}}",
        "unknown-key",
        25,
    ),
    (
        "agentConfig: {kubeletPath: kubelet}",
        "path-not-absolute",
        28,
    ),
    (
        "manifestsConfigMapReference: {name: a}",
        "cluster-reference",
        1,
    ),
    (
        "serverConfig: {auditPolicySecret: {name: a}}",
        "cluster-reference",
        16,
    ),
    (
        "serverConfig: {cloudProviderConfigMap: {name: a}}",
        "cluster-reference",
        16,
    ),
    (
        "serverConfig: {externalDatastoreSecret: {name: a}}",
        "cluster-reference",
        16,
    ),
    (
        "serverConfig: {etcd: {backupConfig: {s3: {endpoint: a}}}}",
        "cluster-reference",
        38,
    ),
    (
        "serverConfig: {secretsEncryption: {encryptionKeySecret: {name: a}}}",
        "cluster-reference",
        36,
    ),
    (
        "serverConfig: {serviceNodePortRange: 30000}",
        "port-range",
        38,
    ),
    (
        "serverConfig: {serviceNodePortRange: 32000-30000}",
        "port-range",
        38,
    ),
    ("serverConfig: {cni: flannel}", "not-allowed", 21),
    ("serverConfig: {clusterDNS: 10.44.0.10}", "cluster-dns", 28),
    (
        "serverConfig: {disableComponents: {pluginComponents: [traefik]}}",
        "not-allowed",
        55,
    ),
    (
        "serverConfig: {cloudProviderName: external, disableComponents: {kubernetesComponents: [cloudController]}}",
        "no-cloud-controller",
        35,
    ),
    (
        "privateRegistriesConfig: {configs: {a: {authSecret: {name: a}}}}",
        "cluster-reference",
        41,
    ),
    (
        "privateRegistriesConfig: {configs: {a: {tls: {tlsConfigSecret: {name: a}}}}}",
        "cluster-reference",
        47,
    ),
    (
        "serverConfig: {kubeAPIServer: {extraArgs: [tls-min-version=1]}}",
        "tls-name",
        44,
    ),
    (
        "serverConfig: {kubeControllerManager: {extraArgs: [tls-min-version=1]}}",
        "tls-name",
        52,
    ),
    (
        "serverConfig: {kubeScheduler: {extraArgs: [tls-min-version=1]}}",
        "tls-name",
        44,
    ),
    (
        "serverConfig: {cloudControllerManager: {extraArgs: [tls-min-version=1]}}",
        "tls-name",
        53,
    ),
    (
        "serverConfig: {etcd: {customConfig: {extraArgs: [tls-min-version=1]}}}",
        "tls-name",
        50,
    ),
    (
        "agentConfig: {kubeProxy: {extraArgs: [v=high]}}",
        "argument-value",
        39,
    ),
    (
        "files: [{path: /etc/rancher/rke2/registries.yaml, content: 'mirror: {}'}]",
        "registries",
        60,
    ),
    (
        "privateRegistriesConfig: {mirrors: {'https://a': {}}}",
        "registry-host",
        37,
    ),
    (
        "privateRegistriesConfig: {mirrors: {a: {endpoint: ['https://a'], rewrite: {'(': b}}}}",
        "rewrite-rule",
        76,
    ),
    (
        "privateRegistriesConfig: {mirrors: {a: {}}}, files: [{path: /etc/rancher/rke2/registries.yaml}]",
        "registries-twice",
        1,
    ),
];

#[test]
fn every_fault_is_found_at_its_place() {
    let mut wrong = vec![];
    for (spec, code, column) in ERRORS {
        let parsed = with(spec, &ParseOptions::default());
        assert!(parsed.config.is_none(), "accepted: {spec}");
        let found = findings(&parsed);
        if found != [(Severity::Error, *code, 6, *column)] {
            wrong.push(format!("{spec}: {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_registries_are_given_once() {
    let with_both = |own: &str| {
        let text = format!("{HEAD}privateRegistriesConfig: {own}\n  }}}}}}\n").replace(
            "  spec:",
            "  registries: {mirrors: {a: {endpoints: ['https://a']}}}\n  spec:",
        );
        parse(&text, &ParseOptions::default())
    };
    assert_eq!(findings(&with_both("{}")), []);
    let twice = with_both("{mirrors: {a: {}}}");
    assert_eq!(
        findings(&twice),
        [(Severity::Error, "registries-twice", 7, 1)]
    );
}

#[test]
fn an_external_cloud_needs_a_controller_and_a_switched_off_one_needs_no_cloud() {
    for server in [
        "{cloudProviderName: external}",
        "{disableComponents: {kubernetesComponents: [cloudController]}}",
        "{cloudProviderName: rancher, disableComponents: {kubernetesComponents: [cloudController]}}",
        "{clusterDNS: 10.43.7.7}",
    ] {
        let parsed = with(&format!("serverConfig: {server}"), &ParseOptions::default());
        assert_eq!(findings(&parsed), [], "{server}");
    }
}

#[test]
fn what_only_cluster_api_uses_is_noted() {
    // A single value is pointed at, of a mapping its key.
    let place = |field: &str| match field.split_once(": ") {
        Some((name, value)) if !value.starts_with('{') => name.len() + 3,
        _ => 1,
    };
    for field in [
        "gzipUserData: true",
        "replicas: 3",
        "machineTemplate: {infrastructureRef: {name: a}}",
        "infrastructureRef: {name: a}",
        "nodeDrainTimeout: 2m",
        "registrationMethod: internal-first",
        "registrationAddress: 192.0.2.1",
        "rolloutStrategy: {type: RollingUpdate}",
        "remediationStrategy: {maxRetry: 1}",
    ] {
        let parsed = with(field, &ParseOptions::default());
        assert_eq!(
            findings(&parsed),
            [(Severity::Note, "no-effect", 6, place(field))],
            "{field}"
        );
    }
    for field in ["nodeName: a", "nodeAnnotations: {a: b}"] {
        let parsed = with(
            &format!("agentConfig: {{{field}}}"),
            &ParseOptions::default(),
        );
        let column = 14 + place(field);
        assert_eq!(
            findings(&parsed),
            [(Severity::Note, "no-effect", 6, column)],
            "{field}"
        );
    }
}

#[test]
fn an_os_image_with_k3s_refuses_it() {
    let options = ParseOptions {
        k3s_version: Some("v1.33.5+k3s1".to_owned()),
    };
    let parsed = with("", &options);
    assert_eq!(
        findings(&parsed),
        [(Severity::Error, "other-distribution", 3, 9)]
    );
}

#[test]
fn another_api_version_is_refused() {
    let text = format!("{HEAD}  }}}}}}\n").replace("v1beta1", "v1beta2");
    let parsed = parse(&text, &ParseOptions::default());
    assert_eq!(findings(&parsed), [(Severity::Error, "not-allowed", 4, 15)]);
}

#[test]
fn every_leaf_is_in_the_golden_input_or_refused_or_noted() {
    let tried: String = ERRORS.iter().map(|case| case.0).chain([FULL]).collect();
    let noted = [
        "gzipUserData",
        "replicas",
        "machineTemplate",
        "infrastructureRef",
        "nodeDrainTimeout",
    ];
    let noted_too = [
        "registrationMethod",
        "registrationAddress",
        "rolloutStrategy",
        "remediationStrategy",
    ];
    let noted_agent = ["nodeAnnotations", "nodeName"];
    let section = "/kubernetes/spec/template/spec/";
    for leaf in schema::leaves_of("RKE2ControlPlaneTemplate") {
        let Some(rest) = leaf.strip_prefix(section) else {
            continue;
        };
        let name = rest.rsplit('/').find(|step| *step != "*").expect("a name");
        let known = [noted.as_slice(), &noted_too, &noted_agent].concat();
        // The files and the parts of a component are those of K3s and of the components that are there.
        let elsewhere = rest.starts_with("files/")
            || rest.contains("/extra")
            || name == "overrideImage"
            || name == "rewrite";
        assert!(
            elsewhere || known.contains(&name) || tried.contains(&format!("{name}:")),
            "no test has {leaf}"
        );
    }
}
