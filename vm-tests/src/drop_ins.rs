//! What the files of a config-file set of K3s besides its keys: drop-ins of K3s' configuration.

use std::collections::BTreeMap;

use cluster_bootstrapper::ConfigFile;
use cluster_bootstrapper::model::File;
use serde_json::Value;

/// The folder of K3s' drop-ins.
pub const FOLDER: &str = "/etc/rancher/k3s/config.yaml.d/";
/// Where K3s keeps its data unless it was told another place.
const DATA: &str = "/var/lib/rancher/k3s";

/// The settings of one drop-in; one that K3s could not read has none.
pub type Settings = BTreeMap<String, Value>;

/// The drop-ins in the order in which K3s reads them.
#[must_use]
pub fn all(config: &ConfigFile) -> Vec<Settings> {
    let files = config.operating_system.write_files.iter();
    let files = files.chain(config.k3s().files.as_slice());
    let mut drop_ins: Vec<&File> = files
        .filter(|file| file.path.as_str().starts_with(FOLDER))
        .collect();
    drop_ins.sort_by_key(|file| file.path.as_str());
    drop_ins.into_iter().map(read).collect()
}

/// The settings of a drop-in.
#[must_use]
pub fn read(file: &File) -> Settings {
    let bytes = file.bytes().unwrap_or_default();
    serde_saphyr::from_str(&String::from_utf8_lossy(&bytes)).unwrap_or_default()
}

/// The texts that a setting is given, also by `key+`.
#[must_use]
pub fn values(settings: &Settings, key: &str) -> Vec<String> {
    let keys = [key.to_owned(), format!("{key}+")];
    let values = keys.iter().filter_map(|key| settings.get(key));
    let texts = values.flat_map(|value| match value {
        Value::Array(list) => list.clone(),
        one => vec![one.clone()],
    });
    texts
        .filter_map(|value| value.as_str().map(str::to_owned))
        .collect()
}

/// Where K3s keeps its data.
#[must_use]
pub fn data_folder(config: &ConfigFile) -> String {
    let given = all(config)
        .iter()
        .filter_map(|settings| values(settings, "data-dir").pop())
        .next_back();
    given.unwrap_or_else(|| DATA.to_owned())
}

#[cfg(test)]
mod tests {
    use cluster_bootstrapper::{ParseOptions, parse};

    use super::*;

    fn config(files: &str) -> ConfigFile {
        let text = format!(
            "version: 1.0\nkubernetes:\n  kind: KThreesControlPlaneTemplate\n  apiVersion: controlplane.cluster.x-k8s.io/v1beta2\n  spec: {{template: {{spec: {{files: [{files}]}}}}}}\n"
        );
        let parsed = parse(&text, &ParseOptions::default());
        parsed
            .config
            .unwrap_or_else(|| panic!("{:?}", parsed.diagnostics))
    }

    #[test]
    fn the_last_drop_in_names_the_data_folder() {
        let files = [("50-b", "/data/b"), ("10-a", "/data/a")].map(|(name, folder)| {
            format!("{{path: {FOLDER}{name}.yaml, content: \"data-dir: {folder}\"}}")
        });
        assert_eq!(data_folder(&config(&files.join(", "))), "/data/b");
    }

    #[test]
    fn without_a_drop_in_it_is_k3s_own() {
        assert_eq!(data_folder(&config("")), DATA);
    }
}
