//! The JSON Schema of scenario files is the one that editors have, and takes all of the project's.

use std::path::Path;

fn configs() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs")
}

#[test]
fn the_schema_is_fresh() {
    let written = fs_err::read_to_string(configs().join("scenario.schema.json")).unwrap();
    assert!(
        written == vm_tests::scenario::schema(),
        "run: cargo run -p vm-tests -- schema > configs/scenario.schema.json"
    );
}

#[test]
fn the_projects_scenarios_fit_and_a_mistyped_key_does_not() {
    let schema = serde_json::from_str(&vm_tests::scenario::schema()).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    let mut seen = 0;
    for entry in fs_err::read_dir(configs().join("scenarios")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|end| end != "yaml") {
            continue;
        }
        let text = fs_err::read_to_string(&path).unwrap();
        assert!(
            text.starts_with("# yaml-language-server: $schema=../scenario.schema.json\n"),
            "{}: its first line does not name the schema",
            path.display()
        );
        let mut value: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
        let errors: Vec<String> = schema
            .iter_errors(&value)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert_eq!(errors, [""; 0], "{}", path.display());
        value["machine"]["memory"] = 1.into();
        assert!(!schema.is_valid(&value));
        seen += 1;
    }
    assert!(seen > 40, "{seen}");
}
