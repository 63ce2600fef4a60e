//! What config-files of the field got wrong, or were wrongly refused for: one case, one test. A case is the K3s
//! configuration, or the operating system section, and what is reported of it, each finding at its line of the case.

use cluster_bootstrapper::diagnostic::Severity;
use cluster_bootstrapper::{ParseOptions, parse};

const USERS: &str = "  users: [{username: edge, password: bm90LXRoZS11c3VhbC1vbmU=}]";

/// What is reported of a case: severity, code, and the line of the case, from 1.
#[track_caller]
fn reported(os: &str, kubernetes: &str, spec: &str, of: &str) -> Vec<String> {
    let indented = |text: &str, by: usize| -> String {
        text.lines()
            .map(|line| format!("{:by$}{line}\n", ""))
            .collect()
    };
    let text = format!(
        "version: 1.0\noperatingSystem:\n{USERS}\n{}kubernetes:\n  kind: KThreesControlPlaneTemplate\n  apiVersion: controlplane.cluster.x-k8s.io/v1beta2\n{}  spec:\n    template:\n      spec:\n        version: v1.33.13+k3s2\n{}",
        indented(os, 2),
        indented(kubernetes, 2),
        indented(spec, 8),
    );
    let parsed = parse(&text, &ParseOptions::default());
    let before = text
        .lines()
        .position(|line| Some(line.trim()) == of.lines().next().map(str::trim));
    let first = before.unwrap_or_default();
    let shown = parsed.diagnostics.iter().map(|found| {
        let severity = match found.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        format!(
            "{severity} {} {}",
            found.code,
            found.line.saturating_sub(first)
        )
    });
    shown.collect()
}

/// Cases of a place in the config-file.
macro_rules! cases {
    ($place:ident: $($name:ident: $text:expr => [$($finding:expr),* $(,)?];)+) => {$(
        #[test]
        fn $name() {
            let expected: Vec<&str> = vec![$($finding),*];
            assert_eq!($place($text), expected, "{}", $text);
        }
    )+};
}

fn spec(text: &str) -> Vec<String> {
    reported("", "", text, text)
}

fn os(text: &str) -> Vec<String> {
    reported(text, "", "", text)
}

fn kubernetes(text: &str) -> Vec<String> {
    reported("", text, "", text)
}

fn drop_in(text: &str) -> Vec<String> {
    let lines: String = text.lines().map(|line| format!("      {line}\n")).collect();
    let spec = format!(
        "files:\n  - path: /etc/rancher/k3s/config.yaml.d/50-site.yaml\n    content: |\n{lines}"
    );
    reported("", "", &spec, text)
}

fn template(text: &str) -> Vec<String> {
    let lines: String = text.lines().map(|line| format!("      {line}\n")).collect();
    let spec = format!(
        "files:\n  - path: /var/lib/rancher/k3s/agent/etc/containerd/config-v3.toml.tmpl\n    content: |\n{lines}"
    );
    reported("", "", &spec, text)
}

fn manifest(text: &str) -> Vec<String> {
    let lines: String = text.lines().map(|line| format!("      {line}\n")).collect();
    let spec = format!(
        "files:\n  - path: /var/lib/rancher/k3s/server/manifests/app.yaml\n    content: |\n{lines}"
    );
    reported("", "", &spec, text)
}

cases! { drop_in:
    a_port_of_another_part: "https-listen-port: 10250" => ["error port-taken 1"];
    networks_that_overlap: "cluster-cidr: 10.43.0.0/16" => ["error cidr-overlap 1"];
    a_service_network_over_the_pods: "service-cidr: 10.42.0.0/16\ncluster-dns: 1.1.1.1"
        => ["error cidr-overlap 1", "error cluster-dns 2"];
    a_taint_without_an_effect: "debug: true\nnode-taint: dedicated=vision" => ["error node-taint 2"];
    a_role_label: "node-label:\n- a=b\n- node-role.kubernetes.io/edge=true" => ["error node-label 3"];
    an_octal_mode: "write-kubeconfig-mode: 0644" => ["error k3s-value-changed 1"];
    a_quoted_mode: "write-kubeconfig-mode: \"0644\"" => [];
    a_token_of_digits: "token: 0123456789" => ["error k3s-value-changed 1"];
    a_word_that_is_true: "cluster-domain: yes" => ["error k3s-value-changed 1"];
    a_switch_that_is_a_word: "embedded-registry: yes" => [];
    a_quoted_switch_that_is_no_truth_value: "embedded-registry: \"yes\"" => ["error k3s-value 1"];
    a_mapping_for_a_list: "node-label:\n  zone: a\n  rack: b" => ["error k3s-value-changed 2"];
    a_list_as_one_text: "kubelet-arg: \"max-pods=100 v=2\"" => ["error component-arg 1"];
    parts_between_commas: "disable: traefik,servicelb" => [];
    a_time_without_a_unit: "etcd-s3-timeout: \"5\"" => ["error k3s-value 1"];
    a_backend_that_is_not: "flannel-backend: vxlam" => ["error k3s-value 1"];
    no_network_plugin: "flannel-backend: none" => ["warning no-cni 1"];
    a_component_that_is_a_switch: "disable: cloudController" => ["warning unknown-component 1"];
    an_unknown_key: "flanel-backend: host-gw" => ["warning k3s-setting 1"];
    a_provider_without_its_controller: "disable-cloud-controller: true\nkubelet-arg: [cloud-provider=external]"
        => ["error no-cloud-controller 2"];
    a_provider_that_the_kubelet_has_not: "kubelet-arg: [cloud-provider=aws]" => ["error cloud-provider 1"];
    a_range_that_is_not_of_ports: "service-node-port-range: 1-70000" => ["error k3s-value 1"];
    a_range_of_ports: "service-node-port-range: 30000+100" => [];
    a_reset_at_every_start: "cluster-reset: true" => ["error k3s-conflict 1"];
    a_reset_that_is_off: "cluster-reset: false" => [];
    a_server_without_a_token: "server: https://192.0.2.10:6443" => ["error k3s-conflict 1"];
    a_server_with_a_token_in_the_environment: "server: https://192.0.2.10:6443 # K3S_TOKEN of k3s.service.d" => [];
    a_server_that_is_no_url: "server: 192.0.2.10:6443\ntoken: a" => ["error k3s-value 1"];
    a_server_without_etcd: "disable-etcd: true" => ["error k3s-conflict 1"];
    a_mode_that_is_not_octal: "write-kubeconfig-mode: \"0999\"" => ["warning k3s-value-ignored 1"];
    a_time_table_that_cron_does_not_read: "etcd-snapshot-schedule-cron: every day" => ["warning k3s-value-ignored 1"];
    time_tables: "etcd-snapshot-schedule-cron: \"TZ=UTC 0 */12 * * mon-fri\"" => [];
    a_setting_given_twice: "debug: true\nnode-label: [a=b]\nnode-label: [c=d]" => ["warning k3s-setting-twice 3"];
    a_setting_that_is_added_to: "node-label: [a=b]\nnode-label+: [c=d]" => [];
    a_second_document: "debug: true\n---\ndebug: false" => ["error k3s-file 2"];
    services_of_one_component: "kube-apiserver-arg: [service-cluster-ip-range=10.96.0.0/16]" => ["warning argument-own 1"];
    a_balancer_on_the_port_of_another: "lb-server-port: 10250" => ["error port-taken 1"];
    registries_that_nobody_writes: "private-registry: /etc/none.yaml" => ["warning argument-file 1"];
}

cases! { template:
    the_default_runtime_over_the_base: "{{ template \"base\" . }}\n[plugins.'io.containerd.cri.v1.runtime'.containerd]\ndefault_runtime_name = \"runsc\"" => [];
    a_quote_that_is_not_closed: "{{ template \"base\" . }}\n[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.own.options]\nBinaryName = \"/usr/bin/own"
        => ["error containerd-toml 3"];
    mirrors_beside_the_base: "{{ template \"base\" . }}\n[plugins.\"io.containerd.cri.v1.images\".registry.mirrors.\"docker.io\"]\nendpoint = []"
        => ["error containerd-registry 1"];
    a_field_that_k3s_does_not_give: "{{ template \"base\" . }}\n# {{ .NodeConfig.Snapshotter }}" => ["warning template-field 1"];
    a_field_that_k3s_gives: "{{ template \"base\" . }}\n# {{ .NodeConfig.AgentConfig.Snapshotter }}" => [];
    a_plugin_of_version_1: "[plugins.cri.containerd.runtimes.own]\nruntime_type = \"a\"" => ["error containerd-plugins 1"];
    the_base_twice: "{{ template \"base\" . }}\n{{ template \"base\" . }}" => ["error containerd-table 1"];
    a_runtime_that_k3s_finds: "{{ template \"base\" . }}\n[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.nvidia]\nruntime_type = \"a\""
        => ["warning containerd-runtime 1"];
}

fn kubelet(text: &str) -> Vec<String> {
    let lines: String = text.lines().map(|line| format!("      {line}\n")).collect();
    let spec = format!(
        "files:\n  - path: /var/lib/rancher/k3s/agent/etc/kubelet.conf.d/50-site.conf\n    content: |\n{lines}"
    );
    reported("", "", &spec, text)
}

fn policy(text: &str) -> Vec<String> {
    let lines: String = text.lines().map(|line| format!("      {line}\n")).collect();
    let spec = format!(
        "serverConfig: {{kubeAPIServerArg: [audit-policy-file=/etc/audit.yaml]}}\nfiles:\n  - path: /etc/audit.yaml\n    content: |\n{lines}"
    );
    reported("", "", &spec, text)
}

cases! { kubelet:
    settings_of_the_kubelet: "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nmaxPods: 64" => [];
    settings_of_the_kubelet_without_a_kind: "maxPods: 64" => ["warning configuration-file 1"];
    settings_of_the_kubelet_that_are_no_yaml: "kind: KubeletConfiguration\nmaxPods: : 64" => ["error configuration-file 2"];
}

cases! { policy:
    a_policy: "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: []" => [];
    a_policy_that_is_another_object: "apiVersion: v1\nkind: ConfigMap" => ["error configuration-file 1"];
    a_policy_that_is_no_yaml: "kind: Policy\nrules: a: b" => ["error configuration-file 2"];
}

cases! { manifest:
    a_manifest_that_is_no_yaml: "kind: Namespace\n  metadata:\n    name: a" => ["error manifest-syntax 2"];
    several_manifests: "{apiVersion: v1, kind: A, metadata: {name: a}}\n---\n# nothing\n--- # more\n{apiVersion: v1, kind: B, metadata: {name: b}}" => [];
    a_chart_with_the_name_of_a_repository: "{apiVersion: v1, kind: HelmChart, metadata: {name: a}, spec: {\nchart: a/b, repo: https://charts.example.com}}"
        => ["warning helm-chart 2"];
    a_chart_of_a_registry: "apiVersion: v1\nkind: HelmChart\nmetadata: {name: a}\nspec: {chart: oci://example.com/a}" => [];
    a_chart_with_the_name_of_a_repository_in_a_later_document:
        "{apiVersion: v1, kind: A, metadata: {name: a}}\n---\n{apiVersion: v1, kind: HelmChart, metadata: {name: a}, spec: {\nchart: a/b, repo: https://charts.example.com}}"
        => ["warning helm-chart 4"];
    an_object_without_a_kind: "apiVersion: v1\nmetadata: {name: a}" => ["warning manifest-object 1"];
    an_object_without_a_version: "apiVersion: v1\nkind: A\nmetadata: {name: a}\n---\nkind: Pod\nmetadata: {name: a}"
        => ["warning manifest-object 5"];
    an_object_without_a_name: "apiVersion: v1\nkind: Pod\nmetadata: {labels: {a: b}}" => ["warning manifest-object 1"];
    objects_that_need_no_name: "apiVersion: v1\nkind: PodList\nitems: []\n---\napiVersion: v1\nkind: Job\nmetadata: {generateName: a-}" => [];
    a_manifest_that_is_a_list: "- apiVersion: v1" => ["warning manifest-object 1"];
    a_template_of_helm: "apiVersion: v1\nkind: Pod\nmetadata: {name: {{ .Values.name }}}" => ["error manifest-syntax 3"];
}

cases! { spec:
    a_list_of_a_name_with_a_sign: "preK3sCommands: [\"a-b=(c d)\"]" => ["error shell-syntax 1"];
    a_list_of_a_name_with_a_number_first: "preK3sCommands: [\"1a=(c d)\"]" => ["error shell-syntax 1"];
    two_taints_of_one_key: "agentConfig: {nodeTaints: [a=b:NoExecute,\n  a=c:NoExecute, a:NoSchedule]}"
        => ["note taint-only-node 1", "error node-taint-twice 2", "note taint-only-node 2", "note taint-only-node 2"];
    an_argument_given_again: "agentConfig: {kubeletArgs: [max-pods=64,\n  max-pods=65]}" => ["warning argument-twice 1"];
    lists_given_again: "agentConfig: {kubeletArgs: [feature-gates=NodeSwap=true, feature-gates=NodeSwap=true, node-labels=a=b, node-labels=c=d]}" => [];
    a_containerd_drop_in_that_is_no_toml: "files: [{path: /var/lib/rancher/k3s/agent/etc/containerd/config-v3.toml.d/a.toml, content: '[a'}]"
        => ["error containerd-toml 1"];
    a_key_of_another_case: "serverConfig: {kubeApiServerArg: [v=2]}" => ["note key-case 1"];
    empty_texts: "serverConfig: {bindAddress: \"\", httpsListenPort: '', clusterCidr: \"\"}" => [];
    nothing_but_empty_files: "files: [{}]" => ["note empty-elements 1"];
    a_component_of_cluster_api: "serverConfig: {disableComponents: [etcd-proxy]}" => ["note no-effect 1"];
    a_component_of_ones_own: "serverConfig: {disableComponents: [my-own]}" => ["warning unknown-component 1"];
    a_node_name_in_upper_case: "agentConfig: {nodeName: Edge-1}" => ["note node-name-case 1"];
    a_small_network_with_its_mask: "serverConfig: {clusterCidr: 10.42.0.0/25, kubeControllerManagerArgs: [node-cidr-mask-size=25]}" => [];
    few_services_with_their_dns: "serverConfig: {serviceCidr: 10.43.0.0/29, clusterDNS: 10.43.0.4}" => [];
    a_registries_file_of_the_image: "agentConfig: {privateRegistry: /opt/registries.yaml}" => [];
    a_file_that_k3s_writes: "files: [{path: /var/lib/rancher/k3s/agent/etc/containerd/config.toml, content: a}]"
        => ["warning file-without-effect 1"];
    a_containerd_that_is_not_k3s: "files: [{path: /etc/containerd/config.toml, content: a}]" => ["warning file-without-effect 1"];
    an_environment_that_the_installer_empties: "files: [{path: /etc/systemd/system/k3s.service.env, content: a}]"
        => ["warning file-without-effect 1"];
    a_drop_in_of_no_unit: "files: [{path: /etc/systemd/system/k3s-server.service.d/a.conf, content: a}]"
        => ["warning file-without-effect 1"];
}

cases! { kubernetes:
    the_name_of_the_object: "metadata: {name: edge}" => ["note no-effect 1"];
    a_credential_of_several_lines: "registries: {configs: {gcr.io: {auth: {username: _json_key, password: \"{\\n}\\n\"}}}}" => [];
    a_ca_of_the_image: "registries: {configs: {a.io: {tls: {caFile: /usr/share/ca-certificates/a.crt}}}}" => [];
    a_mirror_without_a_value: "registries: {mirrors: {\"*\": }}" => [];
    an_endpoint_without_a_scheme: "registries: {mirrors: {docker.io: {endpoints: [\"mirror.example.com:5000\"]}}}" => [];
    a_group_that_the_rule_has_not: "registries: {mirrors: {docker.io: {endpoints: [a.io], rewrite: {\"cp/app\": x/$1}}}}"
        => ["error rewrite-group 1"];
    groups_of_the_rule: "registries: {mirrors: {docker.io: {endpoints: [a.io], rewrite: {\"(?P<the_app>.*)\": \"$the_app/${the_app}-${1}/$$x\"}}}}"
        => [];
    a_group_of_another_name: "registries: {mirrors: {docker.io: {endpoints: [a.io], rewrite: {\"(?P<the_app>.*)\": \"x/$the\"}}}}"
        => ["error rewrite-group 1"];
    credentials_of_another_port: "registries: {mirrors: {docker.io: {endpoints: [\"https://m.io:5000\"]}}, configs: {m.io: {auth: {username: u, password: p}}}}"
        => ["warning registry-unused 1"];
}

cases! { os:
    a_gateway_on_the_link: "network: [{interface: e0, addresses: [203.0.113.7/32], gateway: 198.51.100.1}]" => [];
    a_time_zone_that_is_not: "timezone: Europe/Berln" => ["warning time-zone-unknown 1"];
    time_zones_of_older_names: "timezone: US/Pacific" => [];
    a_gateway_outside_of_the_network: "network: [{interface: e0, addresses: [10.1.0.2/24], gateway: 10.1.1.1}]"
        => ["warning network-gateway-on-link 1"];
    a_host_name_that_is_no_label: "hostname: a234567890123456789012345678901.a23456789012345678901234567890ab"
        => ["error node-name 1"];
    a_node_of_one_family: "network: [{interface: e0, addresses: [\"2001:db8:1::24/64\"]}]" => ["note node-family-default 1"];
}

/// The paths of some files, each in a line of its own.
fn files(paths: &str) -> Vec<String> {
    let entries: String = paths
        .lines()
        .map(|path| format!("- path: {path}\n"))
        .collect();
    let spec = format!("files:\n{entries}");
    reported("", "", &spec, &format!("- path: {paths}"))
}

cases! { files:
    a_drop_in_of_another_ending: "/etc/rancher/k3s/config.yaml.d/a.conf" => ["warning file-without-effect 1"];
    a_drop_in_in_a_directory: "/etc/rancher/k3s/config.yaml.d/sub/a.yaml" => ["warning file-without-effect 1"];
    a_manifest_of_another_ending: "/var/lib/rancher/k3s/server/manifests/a.tpl" => ["warning file-without-effect 1"];
    a_containerd_drop_in_of_another_ending: "/var/lib/rancher/k3s/agent/etc/containerd/config-v3.toml.d/a.conf"
        => ["warning file-without-effect 1"];
    a_kubelet_drop_in_of_another_ending: "/var/lib/rancher/k3s/agent/etc/kubelet.conf.d/a.yaml"
        => ["warning file-without-effect 1"];
    registries_of_another_ending: "/etc/rancher/k3s/registries.yml" => ["warning file-without-effect 1"];
    the_kubeconfig: "/etc/rancher/k3s/k3s.yaml" => ["warning file-without-effect 1"];
    a_file_of_rke2: "/var/lib/rancher/rke2/server/manifests/a.yaml" => ["warning file-without-effect 1"];
    networks_of_another_containerd: "/etc/cni/net.d/10-a.conflist" => ["warning file-without-effect 1"];
    a_kubelet_that_is_not_k3s: "/var/lib/kubelet/config.yaml" => ["warning file-without-effect 1"];
    kernel_settings_without_their_ending: "/etc/sysctl.d/90-site" => ["warning file-without-effect 1"];
    a_unit_drop_in_of_another_ending: "/etc/systemd/system/ssh.service.d/a.cfg" => ["warning file-without-effect 1"];
    a_network_of_another_ending: "/etc/systemd/network/10-a.net" => ["warning file-without-effect 1"];
    a_rule_that_sudo_skips: "/etc/sudoers.d/a.conf" => ["warning file-without-effect 1"];
    a_file_in_memory: "/var/run/a" => ["warning file-without-effect 1"];
    drop_ins_of_units_that_are_there: "/etc/systemd/system/k3s.service.d/a.conf\n/etc/systemd/system/other.service.d/a.conf"
        => [];
    names_that_are_read: "/etc/rancher/k3s/config.yaml.d/a.YML\n/etc/rancher/k3s/audit.yaml\n/etc/sysctl.d/a.conf\n/etc/sudoers.d/site\n/etc/systemd/network/a.link\n/etc/systemd/network/10-a.network.d/b.conf\n/var/lib/rancher/k3s/server/manifests/x/a.json\n/var/lib/rancher/k3s/server/manifests/traefik.yaml.skip\n/var/lib/running"
        => [];
}

#[test]
fn a_mirror_without_a_value_is_written() {
    let text = format!(
        "version: 1.0\noperatingSystem:\n{USERS}\nkubernetes:\n  kind: KThreesControlPlaneTemplate\n  apiVersion: controlplane.cluster.x-k8s.io/v1beta2\n  registries: {{mirrors: {{'*': }}}}\n  spec: {{template: {{spec: {{}}}}}}\n"
    );
    let config = parse(&text, &ParseOptions::default())
        .config
        .expect("valid");
    let boot = config.first_boot().expect("decoded");
    let file = boot
        .files
        .iter()
        .find(|file| file.path.ends_with("/registries.yaml"));
    let text = String::from_utf8_lossy(&file.expect("written").bytes).into_owned();
    assert!(text.contains("\"*\": {}"), "{text}");
}
