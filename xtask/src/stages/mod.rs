//! The build as a list of stages: each has named inputs, other stages it needs, and one output folder.

pub mod bundle;
mod decoder;
pub mod hookos;
pub mod k3s;
pub mod node_image;
mod program_image;
pub mod reference_images;
pub mod small_image;
mod static_binary;
mod test_double;
mod usb;
pub mod workload;
pub mod workstation;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::digest;
use crate::signing::Signing;
use k3s::K3s;
use node_image::Layout;

/// The parts that a user may choose instead of the profile's own.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Options {
    /// Name of the profile that the parts come from.
    #[serde(default)]
    pub profile: String,
    /// The node's Kubernetes.
    #[serde(default)]
    pub k3s: K3s,
    /// Version of the K3s in `os_image`, when it is known.
    #[serde(default)]
    pub k3s_version: Option<String>,
    /// OS image (raw, or raw compressed by zstd, gzip or xz) instead of the reference one.
    pub os_image: Option<PathBuf>,
    /// Which of the two reference OS images, where `os_image` names none.
    #[serde(default)]
    pub layout: Layout,
    /// The config-file that the USB stick carries.
    pub config_file: Option<PathBuf>,
    /// The reference images take the packages that the archive has at this moment, not the locked ones.
    pub newest_packages: Option<String>,
    /// The key that boot files are signed with; without it they are not signed.
    pub signing: Option<Signing>,
    /// What HookOS is made of.
    #[serde(default)]
    pub hookos: hookos::Choice,
    /// A LinuxKit file that is merged before `hook-os.yaml`, for measurements; its `source:` files are relative to
    /// `hookos/`.
    pub before_hookos: Option<PathBuf>,
}

/// The file in a stage's output with what people should know of it, one note a line.
pub const NOTES: &str = "notes";

/// One named input of a stage.
#[derive(Debug)]
pub enum Input {
    /// A file or folder; its content counts, and its path below the checkout is its name.
    Path(PathBuf),
    /// A named text, such as a compiler's version.
    Value(&'static str, String),
}

/// What a stage's build function gets.
#[derive(Debug, Serialize, Deserialize)]
pub struct Context {
    /// The checkout.
    pub root: PathBuf,
    /// The empty folder to fill.
    pub out: PathBuf,
    /// A folder for temporary files.
    pub scratch: PathBuf,
    /// Output folders of the needed stages.
    pub needs: BTreeMap<String, PathBuf>,
    /// The user's choices.
    pub options: Options,
}

impl Context {
    /// Output folder of a stage that this one needs.
    pub fn need(&self, stage: &str) -> Result<&Path> {
        let path = self
            .needs
            .get(stage)
            .with_context(|| format!("the stage {stage} is not among the needed ones"))?;
        Ok(path)
    }
}

/// A build step.
pub struct Stage {
    /// Name, as commands and the store show it.
    pub name: &'static str,
    /// One line for `cargo xtask stages`.
    pub summary: &'static str,
    /// Whether cargo compiles it.
    pub compiles: bool,
    /// Stages whose outputs it reads.
    pub needs: fn(&Options) -> &'static [&'static str],
    /// Everything else that its output depends on.
    pub inputs: fn(root: &Path, options: &Options) -> Result<Vec<Input>>,
    /// Fills the output folder.
    pub build: fn(&Context) -> Result<()>,
}

/// All stages; each comes after those that it needs, and of others the one first on which most waits.
pub const ALL: &[Stage] = &[
    static_binary::HOOKOS_INIT,
    static_binary::BOOTSTRAPPER,
    static_binary::DISK_WRITER,
    reference_images::STAGE,
    program_image::BOOTSTRAPPER,
    program_image::DISK_WRITER,
    hookos::STAGE,
    k3s::STAGE,
    small_image::STAGE,
    node_image::ROOT_STAGE,
    node_image::STAGE,
    bundle::STAGE,
    usb::STAGE,
    workstation::STAGE,
    static_binary::TEST_WORKLOAD,
    workload::STAGE,
];

/// Stages whose packages come from a mirror: what a site without a network cannot make.
pub const FROM_MIRRORS: &[&str] = &["reference-images", "node-root"];

/// The stage called `name`.
pub fn find(name: &str) -> Result<&'static Stage> {
    ALL.iter()
        .find(|stage| stage.name == name)
        .with_context(|| {
            let names: Vec<_> = ALL.iter().map(|stage| stage.name).collect();
            format!(
                "there is no stage {name}; the stages are {}",
                names.join(", ")
            )
        })
}

impl Stage {
    /// What its usual time is kept under: copying a K3s release takes seconds, compiling the double minutes.
    pub fn history_name(&self, options: &Options) -> &'static str {
        match options.k3s {
            K3s::Release(_) if self.name == k3s::STAGE.name => "k3s release",
            _ => self.name,
        }
    }

    /// Input names and digests, the needed stages' outputs among them.
    pub fn input_digests(
        &self,
        root: &Path,
        options: &Options,
        outputs: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, String>> {
        let mut digests = BTreeMap::new();
        for input in (self.inputs)(root, options)
            .with_context(|| format!("looking at the inputs of {}", self.name))?
        {
            let (name, value) = match input {
                Input::Value(name, value) => (name.to_owned(), value),
                Input::Path(path) => {
                    let name = path
                        .strip_prefix(root)
                        .unwrap_or(&path)
                        .display()
                        .to_string();
                    (name, digest::of_path(&path)?)
                }
            };
            digests.insert(name, value);
        }
        for need in (self.needs)(options) {
            let output = outputs
                .get(*need)
                .with_context(|| format!("{} comes before {need}", self.name))?;
            digests.insert(format!("stage {need}"), output.clone());
        }
        Ok(digests)
    }
}

/// Inputs that are files or folders of the checkout.
fn sources(root: &Path, paths: &[&str]) -> Vec<Input> {
    paths
        .iter()
        .map(|path| Input::Path(root.join(path)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stage_comes_after_what_it_needs() {
        let mut seen = Vec::new();
        for stage in ALL {
            assert!(!seen.contains(&stage.name), "{} is there twice", stage.name);
            for need in (stage.needs)(&Options::default()) {
                assert!(
                    seen.contains(need),
                    "{} needs {need}, which comes later",
                    stage.name
                );
            }
            seen.push(stage.name);
        }
    }
}
