//! What is installed where, as the installer's state files say it.

use std::fs;

use serde::Deserialize;

use crate::error::escaped;
use crate::state::{State, Target};

/// What is installed where, ready to be shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The OS image; none before the manifest was read.
    pub image: Option<String>,
    /// The target disk; none before it was chosen.
    pub disk: Option<String>,
    path: Option<String>,
}

#[derive(Deserialize)]
struct Manifest {
    id: String,
    #[serde(rename = "osImage")]
    image: Image,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Image {
    name: String,
    k3s_version: Option<String>,
}

impl Facts {
    /// Reads what is there by now. Nobody waits for what is missing: the steps themselves say what is wrong with it.
    #[must_use]
    pub fn read(state: &State) -> Self {
        let manifest = fs::read(state.directory().join("manifest.json")).ok();
        let manifest = manifest.and_then(|text| serde_json::from_slice(&text).ok());
        let target = state.read::<Target>().ok();
        Self {
            image: manifest.as_ref().map(image),
            disk: target.as_ref().map(disk),
            path: target.map(|target| escaped(&target.path.to_string_lossy())),
        }
    }

    /// The target disk's node, such as `/dev/nvme0n1`.
    #[must_use]
    pub fn disk_path(&self) -> Option<&str> {
        self.path.as_deref()
    }
}

fn image(manifest: &Manifest) -> String {
    let image = &manifest.image;
    let kubernetes = image
        .k3s_version
        .iter()
        .map(|version| format!(", Kubernetes {version}"));
    let kubernetes: String = kubernetes.collect();
    escaped(&format!(
        "{}{kubernetes}, bundle {}",
        image.name, manifest.id
    ))
}

fn disk(target: &Target) -> String {
    let serial = match target.serial.as_str() {
        "" => "without a serial number".into(),
        serial => format!("serial {serial}"),
    };
    let words = [
        target.path.display().to_string(),
        target.model.trim().to_owned(),
        size(target.size),
        target.transport.clone(),
        serial,
    ];
    let words: Vec<_> = words.into_iter().filter(|word| !word.is_empty()).collect();
    escaped(&words.join(", "))
}

/// As it stands on the disk's label: 512.1 GB.
#[must_use]
pub fn size(bytes: u64) -> String {
    let tenths = |unit: u64| (bytes + unit / 20) / (unit / 10);
    let (tenths, unit) = match bytes {
        0..1_000_000_000 => (tenths(1_000_000), "MB"),
        1_000_000_000..1_000_000_000_000 => (tenths(1_000_000_000), "GB"),
        _ => (tenths(1_000_000_000_000), "TB"),
    };
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_labels() {
        for (bytes, text) in [
            (0, "0.0 MB"),
            (999_949_999, "999.9 MB"),
            (1_000_000_000, "1.0 GB"),
            (512_110_190_592, "512.1 GB"),
            (2_000_398_934_016, "2.0 TB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn says_what_is_installed_where() -> Result<(), Box<dyn std::error::Error>> {
        let directory = tempfile::tempdir()?;
        let state = State::at(directory.path());
        assert_eq!(Facts::read(&state), Facts::default());
        let mut manifest = serde_json::json!({
            "id": "0123", "osImage": {"name": "edge\u{1b}", "k3sVersion": "v1.33"}
        });
        let write = |manifest: &serde_json::Value| {
            fs::write(directory.path().join("manifest.json"), manifest.to_string())
        };
        write(&manifest)?;
        let image = Facts::read(&state).image;
        assert_eq!(
            image.as_deref(),
            Some(r"edge\x1b, Kubernetes v1.33, bundle 0123")
        );
        manifest["osImage"]["k3sVersion"] = serde_json::Value::Null;
        write(&manifest)?;
        let image = Facts::read(&state).image;
        assert_eq!(image.as_deref(), Some(r"edge\x1b, bundle 0123"));
        Ok(())
    }

    #[test]
    fn a_disk_is_described_by_what_is_known_of_it() {
        let mut target = Target {
            partitions: Vec::new(),
            path: "/dev/sda".into(),
            name: "sda".into(),
            size: 1_000_000_000,
            sector_size: 512,
            transport: "sata".into(),
            model: " Model\n".into(),
            serial: "S-1".into(),
            wwn: String::new(),
            mounts: Vec::new(),
            swaps: Vec::new(),
            loses: Vec::new(),
            selected: false,
        };
        assert_eq!(disk(&target), "/dev/sda, Model, 1.0 GB, sata, serial S-1");
        (target.model, target.serial) = (String::new(), String::new());
        assert_eq!(
            disk(&target),
            "/dev/sda, 1.0 GB, sata, without a serial number"
        );
    }
}
