//! Files that are generated from the model are up to date, and the reader agrees with a validator of JSON Schema.

use cluster_bootstrapper::codes::page;
use cluster_bootstrapper::{ParseOptions, document, parse, schema};
use std::path::Path;

const MEND: &str =
    "run: UPDATE_GENERATED=1 cargo test -p cluster-bootstrapper --test all generated";

fn up_to_date(path: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        std::fs::write(&path, text).expect("writing a generated file");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == text,
        "{} is not up to date; {MEND}",
        path.display()
    );
}

#[test]
fn the_schema_file_is_up_to_date() {
    up_to_date("configs/config-file.schema.json", &schema::schema_text());
}

#[test]
fn the_description_is_up_to_date() {
    up_to_date("docs/config-file.md", &document::document());
}

#[test]
fn the_page_of_the_codes_is_up_to_date() {
    up_to_date("docs/diagnostics.md", &page::markdown());
}

#[test]
fn the_schema_is_valid_and_takes_the_sample() {
    let schema = schema::schema();
    let validator = jsonschema::validator_for(&schema).expect("a valid JSON Schema");
    let value: serde_json::Value = serde_saphyr::from_str(&crate::support::sample()).expect("YAML");
    let errors: Vec<String> = validator
        .iter_errors(&value)
        .map(|e| e.to_string())
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

#[test]
fn the_schema_refuses_what_the_reader_refuses() {
    let schema = schema::schema();
    let validator = jsonschema::validator_for(&schema).expect("a valid JSON Schema");
    let head = "kubernetes: {kind: KThreesControlPlaneTemplate, apiVersion: controlplane.cluster.x-k8s.io/v1beta2, spec: {template: {spec: ";
    for spec in [
        "{foo: 1}",
        "{files: [{path: /usr/x}]}",
        "{files: [{content: x}]}",
        "{preK3sCommands: ['']}",
        "{serverConfig: []}",
        "{serverConfig: {disableComponents: ['foo bar']}}",
        "{serverConfig: {httpsListenPort: 'x'}}",
        "{agentConfig: {airGapped: 'true'}}",
    ] {
        let text = format!("{head}{spec}}}}}}}\n");
        let value: serde_json::Value = serde_saphyr::from_str(&text).expect("YAML");
        assert!(!validator.is_valid(&value), "the schema takes {spec}");
        assert!(
            parse(&text, &ParseOptions::default()).config.is_none(),
            "the reader takes {spec}"
        );
    }
}

#[test]
fn every_leaf_has_a_description() {
    let leaves = schema::schema_leaves();
    assert!(
        leaves.contains(&"/operatingSystem/users/*/username".to_owned()),
        "{leaves:?}"
    );
    assert!(leaves.contains(&"/kubernetes/spec/template/spec/agentConfig/kubeletArgs".to_owned()));
    let text = document::document();
    for leaf in leaves {
        let name = leaf.rsplit('/').find(|step| *step != "*").expect("a name");
        assert!(
            text.contains(&format!("| `{name}` |")),
            "docs/config-file.md lacks {leaf}"
        );
    }
}

#[test]
fn a_leaf_without_effect_is_not_among_those_with_effect() {
    let (all, with_effect) = (schema::schema_leaves(), schema::leaves_with_effect());
    let is_in = |leaf: &str, leaves: &[String]| leaves.iter().any(|found| found == leaf);
    for (leaf, effect) in [
        ("/operatingSystem/hostname", true),
        ("/kubernetes/metadata", false),
    ] {
        assert!(is_in(leaf, &all), "{all:?}");
        assert_eq!(is_in(leaf, &with_effect), effect, "{with_effect:?}");
    }
}

#[test]
fn leaves_are_the_keys_with_a_value_of_their_own() {
    let (k3s, rke2) = (
        schema::schema_leaves(),
        schema::leaves_of("RKE2ControlPlaneTemplate"),
    );
    let below = |leaves: &[String], section: &str| -> Vec<String> {
        let found = leaves.iter().filter_map(|leaf| leaf.strip_prefix(section));
        found.map(str::to_owned).collect()
    };
    for leaves in [&k3s, &rke2] {
        assert_eq!(
            below(leaves, "/operatingSystem/users/"),
            ["*/password", "*/username"]
        );
        assert_eq!(below(leaves, "/operatingSystem/sshKey"), [""]);
        assert_eq!(
            below(leaves, "/operatingSystem/services/"),
            ["disable", "enable"]
        );
        assert_eq!(
            below(leaves, "/kubernetes/registries/mirrors/"),
            ["*/endpoints", "*/rewrite/*"]
        );
        assert!(leaves.is_sorted(), "{leaves:?}");
    }
    // One file may stand for a list of one.
    let of_a_file = below(&k3s, "/kubernetes/spec/template/spec/files/");
    for key in ["*/path", "path"] {
        assert!(of_a_file.contains(&key.to_owned()), "{of_a_file:?}");
    }
    let agent = "/kubernetes/spec/template/spec/agentConfig/";
    let (k3s, rke2) = (below(&k3s, agent), below(&rke2, agent));
    for (key, of_k3s) in [
        ("airGappedInstallScriptPath", true),
        ("kubelet/extraArgs", false),
    ] {
        assert_eq!(k3s.contains(&key.to_owned()), of_k3s, "{k3s:?}");
        assert_eq!(rke2.contains(&key.to_owned()), !of_k3s, "{rke2:?}");
    }
}
