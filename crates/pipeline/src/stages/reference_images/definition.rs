//! hookos/images.yaml as types.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use diagnostics::decode::decode;
use serde::Deserialize;

use super::selection::{Pattern, Selection};

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// Debian's name of the release.
    pub suite: String,
    /// Patterns of paths that are left out of every image.
    #[serde(default)]
    pub drop: Vec<String>,
    /// In the order in which they are made.
    pub images: Vec<Image>,
}

/// One image.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// Name in the layout, made canonical there.
    pub reference: String,
    /// What it is for; becomes the description label.
    pub about: String,
    /// How packages become files.
    pub variant: Variant,
    /// Debian packages; what they depend on comes along.
    pub packages: Vec<String>,
    /// Patterns of the paths that stay; all do when there are none.
    #[serde(default)]
    pub keep: Vec<String>,
    /// Patterns of paths that are left out, beside those for all images.
    #[serde(default)]
    pub drop: Vec<String>,
    /// The kernel of a kernel image.
    #[serde(default)]
    pub kernel: Option<Kernel>,
    /// Whether PID 1 is put into it.
    #[serde(default)]
    pub init_binary: bool,
    /// Directories to be made.
    #[serde(default)]
    pub directories: Vec<String>,
    /// Symbolic links to be made: path and target.
    #[serde(default)]
    pub links: BTreeMap<String, String>,
    /// Text files to be made: path and content.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// `Entrypoint` of the image.
    #[serde(default)]
    pub entrypoint: Vec<String>,
    /// `Cmd` of the image.
    #[serde(default)]
    pub cmd: Vec<String>,
    /// `Env` of the image.
    #[serde(default)]
    pub env: Vec<String>,
    /// LinuxKit's defaults for containers of the image (label `org.mobyproject.config`).
    #[serde(default)]
    pub linuxkit: Option<serde_json::Value>,
}

/// mmdebstrap's variants that are of use here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Variant {
    /// Packages are unpacked; their scripts do not run.
    Extract,
    /// Debian's essential packages and the named ones are installed.
    Essential,
}

/// What a kernel image takes from its packages.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kernel {
    /// Patterns of modules, relative to lib/modules/VERSION/kernel.
    pub modules: Vec<String>,
    /// Patterns of firmware, relative to lib/firmware.
    #[serde(default)]
    pub firmware: Vec<String>,
    /// Names of modules that any init loads before volumes and containers.
    #[serde(default)]
    pub early: Vec<String>,
}

impl Definition {
    /// Reads and checks the file.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs_err::read_to_string(path)?;
        Self::parse(&text).with_context(|| format!("reading {}", path.display()))
    }

    fn parse(text: &str) -> Result<Self> {
        let definition: Self = decode(text)?;
        for (at, image) in definition.images.iter().enumerate() {
            let twice = definition.images[..at]
                .iter()
                .any(|other| other.reference == image.reference);
            ensure!(!twice, "the image {} is described twice", image.reference);
            ensure!(
                !image.packages.is_empty(),
                "the image {} has no packages",
                image.reference
            );
        }
        Ok(definition)
    }
}

impl Image {
    /// Which files of the packages get into the image.
    pub fn selection(&self, definition: &Definition) -> Result<Selection> {
        let keep = if self.keep.is_empty() {
            None
        } else {
            Some(Pattern::list(&self.keep)?)
        };
        let mut drop = Pattern::list(&definition.drop)?;
        drop.extend(Pattern::list(&self.drop)?);
        Ok(Selection { keep, drop })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "suite: bookworm\nimages:\n  - reference: emts/x:1\n    about: x\n    variant: extract\n    packages: [kmod]\n";

    #[test]
    fn the_projects_own_definition_is_valid() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../hookos/images.yaml");
        let definition = Definition::read(&path).unwrap();
        for image in &definition.images {
            image.selection(&definition).unwrap();
        }
        assert_eq!(
            definition
                .images
                .iter()
                .filter(|image| image.kernel.is_some())
                .count(),
            1
        );
        assert_eq!(
            definition
                .images
                .iter()
                .filter(|image| image.init_binary)
                .count(),
            1
        );
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let error = Definition::parse(&ONE.replace("about", "abuot"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("abuot"), "{error}");
    }

    #[test]
    fn an_image_described_twice_is_refused() {
        let image = ONE.split_once("images:\n").unwrap().1;
        let error = Definition::parse(&format!("{ONE}{image}"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("emts/x:1 is described twice"), "{error}");
    }
}
