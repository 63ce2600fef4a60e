//! Templates of Cluster API and EMF: into a config-file by `migrate`, and out of one by `export`.

use crate::support::{here, read, run, stderr, stdout};
use cluster_bootstrapper::ConfigFile;
use cluster_bootstrapper::export::{ExportError, Target, cluster_template, left_out, manifest};
use cluster_bootstrapper::migrate::{MigrateError, Migrated, migrate};
use cluster_bootstrapper::{FirstBoot, Parsed};

const HEAD: &str =
    "kind: KThreesControlPlaneTemplate\napiVersion: controlplane.cluster.x-k8s.io/v1beta2\n";
/// Texts that YAML, jinja and cloud-init's way with final line breaks each take differently.
const CONTENTS: &[&str] = &[
    "a: b\n",
    "",
    "no line break",
    "two\n\n",
    " indented\n",
    "{{ template \"base\" . }}\n",
    "carriage\r\nreturn\n",
    "\u{e9}\n",
];

fn target() -> Target {
    Target {
        name: "edge".to_owned(),
        version: Some("v1.33.0+k3s1".to_owned()),
    }
}

fn accepted(text: &str) -> Parsed {
    let parsed = read(text);
    assert!(parsed.config.is_some(), "{text}\n{:#?}", parsed.diagnostics);
    parsed
}

fn config(text: &str) -> ConfigFile {
    accepted(text).config.expect("accepted")
}

fn first_boot(parsed: &Parsed) -> FirstBoot {
    let config = parsed.config.as_ref().expect("accepted");
    config.first_boot().expect("decoded")
}

fn template(spec: &str) -> Migrated {
    let text = format!("{HEAD}spec:\n  template:\n    spec:\n      kthreesConfigSpec: {spec}\n");
    migrate(&text).expect("migrated")
}

fn left(migrated: &Migrated) -> Vec<(usize, &str)> {
    let dropped = migrated.remarks.iter().filter(|remark| remark.dropped);
    dropped
        .map(|remark| (remark.line, remark.key.as_str()))
        .collect()
}

/// Config-files whose conversion shows all that a template can say.
fn configs() -> Vec<Parsed> {
    let sample = crate::support::sample();
    let files: String = CONTENTS
        .iter()
        .enumerate()
        .map(|(index, text)| {
            format!("{{path: /etc/t/{index}, content: {text:?}, permissions: 0600}}, ")
        })
        .collect();
    // Rust and YAML write a character by its number in different ways.
    let files = files.replace("\\u{e9}", "\\u00e9");
    let k3s = |registries: &str, spec: &str| {
        accepted(&format!(
            "kubernetes:\n  kind: KThreesControlPlaneTemplate\n  apiVersion: controlplane.cluster.x-k8s.io/v1beta2\n{registries}  spec: {{template: {{spec: {spec}}}}}\n"
        ))
    };
    let every_key =
        std::fs::read_to_string(here("../vm-tests/tests/every-key.yaml")).expect("every key");
    vec![
        accepted(&without_run_commands(&every_key)),
        accepted(&sample),
        k3s("", "{}"),
        k3s("", &format!("{{files: [{files}]}}")),
        k3s(
            "  registries: {mirrors: {docker.io: {endpoints: [https://m.example.com]}}}\n",
            "{agentConfig: {nodeName: edge, nodeLabels: ['a=yes'], nodeTaints: ['a=b:NoSchedule'], kubeletArgs: \
             [max-pods=200]}, serverConfig: {httpsListenPort: '6444', tlsSan: [a.example.com], clusterDomain: a.b, \
             clusterCidr: 10.44.0.0/16}, postK3sCommands: ['echo 0644', \"cat <<E\\n a: b\\nE\"]}",
        ),
    ]
}

/// Commands of the operating system have no place in a template.
fn without_run_commands(text: &str) -> String {
    let mut inside = false;
    let keep = |line: &&str| {
        inside = line.starts_with("  runCommands:") || inside && line.starts_with("   ");
        !inside
    };
    text.lines()
        .filter(keep)
        .map(|line| format!("{line}\n"))
        .collect()
}

#[test]
fn a_manifest_that_is_migrated_converts_to_the_same_first_boot() {
    for config_file in configs() {
        let text = manifest(&config_file, &target()).expect("exported");
        let migrated = migrate(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let found = config(&migrated.text).first_boot().expect("decoded");
        assert_eq!(found, first_boot(&config_file), "{text}");
    }
}

#[test]
fn a_cluster_template_that_is_migrated_converts_to_the_same_first_boot() {
    for config_file in configs() {
        let text = cluster_template(&config_file, &target()).expect("exported");
        let migrated = migrate(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let found = config(&migrated.text).first_boot().expect("decoded");
        assert_eq!(found, first_boot(&config_file), "{text}");
        let keys: Vec<&str> = left(&migrated).into_iter().map(|(_, key)| key).collect();
        assert_eq!(keys, ["version"]);
    }
}

#[test]
fn a_manifest_says_what_the_provider_would_set_otherwise() {
    let text = manifest(&configs()[2], &target()).expect("exported");
    let value: serde_json::Value = serde_saphyr::from_str(&text).expect("YAML");
    let spec = &value["spec"]["template"]["spec"]["kthreesConfigSpec"];
    assert_eq!(value["metadata"]["name"], "edge");
    assert_eq!(spec["agentConfig"]["airGapped"], true);
    assert_eq!(spec["serverConfig"]["disableCloudController"], false);
    assert_eq!(spec["serverConfig"]["cloudProviderName"], "");
    assert_eq!(spec["version"], "v1.33.0+k3s1");
}

#[test]
fn a_content_that_cloud_init_would_render_is_exported_in_base64() {
    let text = manifest(&configs()[3], &target()).expect("exported");
    let value: serde_json::Value = serde_saphyr::from_str(&text).expect("YAML");
    let files = value["spec"]["template"]["spec"]["kthreesConfigSpec"]["files"].as_array();
    let plain: Vec<&str> = files
        .into_iter()
        .flatten()
        .filter(|file| file.get("encoding").is_none())
        .filter_map(|file| file["content"].as_str())
        .collect();
    assert_eq!(plain, ["a: b\n"]);
}

#[test]
fn a_command_that_cloud_init_would_render_is_told() {
    let config_file = config(
        "kubernetes: {kind: KThreesControlPlaneTemplate, apiVersion: controlplane.cluster.x-k8s.io/v1beta2, spec: \
         {template: {spec: {preK3sCommands: [a, 'echo ${#b}', 'echo {{ c }}']}}}}",
    );
    let told = left_out(&config_file);
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[1].starts_with("preK3sCommands[1] ") && told[2].starts_with("preK3sCommands[2] "));
}

#[test]
fn a_cluster_template_needs_a_version_and_a_template_k3s() {
    let unnamed = Target {
        name: "a".to_owned(),
        version: None,
    };
    assert!(matches!(
        cluster_template(&configs()[2], &unnamed),
        Err(ExportError::NoVersion)
    ));
    let rke2 = accepted(
        "kubernetes: {kind: RKE2ControlPlaneTemplate, apiVersion: controlplane.cluster.x-k8s.io/v1beta1, spec: \
         {template: {spec: {}}}}",
    );
    assert!(matches!(
        manifest(&rke2, &unnamed),
        Err(ExportError::NotK3s)
    ));
}

#[test]
fn keys_are_taken_in_any_case_and_what_says_nothing_is_left_away() {
    let migrated = template(
        "{files: [{}], agentConfig: {nodeName: '', airgapped: true}, serverConfig: {kubeApiServerArg: [v=1]}}",
    );
    assert_eq!(left(&migrated), [(6, "files")]);
    let config_file = config(&migrated.text);
    assert_eq!(config_file.k3s().server_config.kube_api_server_arg.len(), 1);
    assert!(config_file.k3s().agent_config.node_name.is_none());
}

#[test]
fn what_a_standalone_node_cannot_have_is_left_out_with_the_reason() {
    let migrated = template(
        "{version: v1.32.4+k3s1, agentConfig: {airGapped: false, colour: red}, files: [{path: /opt/x, content: a}], \
         preK3sCommands: [a, reboot, b]}",
    );
    let mut keys: Vec<&str> = left(&migrated).into_iter().map(|(_, key)| key).collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        ["airGapped", "colour", "files", "preK3sCommands", "version"]
    );
    let config_file = config(&migrated.text);
    assert_eq!(config_file.k3s().pre_k3s_commands.len(), 2);
    assert!(
        migrated
            .text
            .contains("#   line 6, colour: an unknown key\n"),
        "{}",
        migrated.text
    );
}

const SECRETS: &str = "---
apiVersion: v1
kind: Secret
metadata: {name: site}
data: {text: YTogYgo=, bytes: /wA=, wrong: '!'}
stringData: {plain: c}
---
kind: Cluster
---
";

fn with_secret(key: &str) -> Result<Migrated, MigrateError> {
    migrate(&format!(
        "# all of it\n{SECRETS}{HEAD}metadata: {{name: a}}\nspec: {{template: {{spec: {{kthreesConfigSpec: {{files: \
         [{{path: /etc/a, permissions: '0600', contentFrom: {{secret: {{name: site, key: {key}}}}}}}]}}}}}}}}\n"
    ))
}

#[test]
fn contents_are_taken_from_the_secrets_beside_the_template() {
    for (key, bytes) in [
        ("text", &b"a: b\n"[..]),
        ("bytes", b"\xff\0"),
        ("plain", b"c"),
    ] {
        let migrated = with_secret(key).expect("migrated");
        assert_eq!(left(&migrated), [(9, "kind")], "the Cluster");
        let boot = config(&migrated.text).first_boot().expect("decoded");
        assert_eq!(
            (boot.files[0].bytes.as_slice(), boot.files[0].mode),
            (bytes, 0o600),
            "{key}"
        );
    }
}

#[test]
fn a_secret_that_is_not_there_or_is_not_base64_is_an_error_with_its_line() {
    for (key, line) in [("other", 14), ("wrong", 6)] {
        let error = with_secret(key).expect_err("refused");
        assert!(
            matches!(error, MigrateError::Template { line: found, .. } if found == line),
            "{error}"
        );
    }
}

#[test]
fn what_is_no_template_of_k3s_is_an_error() {
    for text in [
        "kind: Secret\nmetadata: {name: a}\n",
        "kind: RKE2ControlPlaneTemplate\nspec: {template: {spec: {}}}\n",
        "{\"name\": \"a\", \"clusterconfiguration\": {\"kind\": \"KubeadmControlPlaneTemplate\"}}",
        "kind: [\n",
        "kind: a\nkind: b\n",
    ] {
        assert!(
            matches!(migrate(text), Err(MigrateError::Template { .. })),
            "{text}"
        );
    }
    let config_file = "{\"operatingSystem\": {}}";
    assert!(matches!(
        migrate(config_file),
        Err(MigrateError::AlreadyYaml { line: 1 })
    ));
    let split = format!("{HEAD}spec: {{template: {{spec: {{preK3sCommands: [a, 'if b']}}}}}}\n");
    assert!(matches!(
        migrate(&split),
        Err(MigrateError::Template { line: 3, .. })
    ));
}

#[test]
fn the_first_of_several_templates_is_taken_and_those_of_a_list_are_found() {
    let one = |name: &str| {
        format!("{HEAD}spec: {{template: {{spec: {{agentConfig: {{nodeName: {name}}}}}}}}}\n")
    };
    let migrated = migrate(&format!("{}---\n{}", one("a"), one("b"))).expect("migrated");
    let name = |text: &str| {
        let agent = config(text).k3s().agent_config.clone();
        agent.node_name.map(|name| name.to_string())
    };
    assert_eq!(
        (name(&migrated.text), left(&migrated)),
        (Some("a".to_owned()), vec![(5, "kind")])
    );
    let list = "kind: List\nitems:\n- kind: KThreesControlPlane\n  spec: {kthreesConfigSpec: {agentConfig: {nodeName: c}}}\n";
    assert_eq!(
        name(&migrate(list).expect("migrated").text),
        Some("c".to_owned())
    );
}

#[test]
fn export_writes_for_the_owner_alone() {
    use std::os::unix::fs::MetadataExt as _;
    let folder = tempfile::tempdir().expect("temporary directory");
    let out = folder.path().join("template.yaml");
    let sample = crate::support::sample_file();
    let config_file = sample.path().display().to_string();
    let arguments = ["export", "--config-file", &config_file];
    let printed = run(&arguments);
    assert_eq!(printed.status.code(), Some(0), "{}", stderr(&printed));
    assert!(stderr(&printed).contains("operatingSystem is not exported"));
    let path = out.display().to_string();
    let done = run(&[arguments.as_slice(), &["--out", &path]].concat());
    assert_eq!(done.status.code(), Some(0));
    assert_eq!(
        std::fs::read_to_string(&out).expect("written"),
        stdout(&printed)
    );
    assert_eq!(
        std::fs::metadata(&out).expect("there").mode() & 0o7777,
        0o600
    );
    let emf = run(&[arguments.as_slice(), &["--format", "emf-json"]].concat());
    assert_eq!(emf.status.code(), Some(1));
    assert!(stderr(&emf).contains("--k3s-version"));
}
