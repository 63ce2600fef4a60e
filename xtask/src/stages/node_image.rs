//! Stage `node-image`: the bootable disk image of the node, and `os-image.json`, which describes it.
//!
//! Its content is defined in `vm-tests/reference-node/`; the packages come from the stage
//! `node-root`. No loop device is used, and nothing but `node-root` needs root rights.
//! There are two layouts of one content, [`Layout`].

mod apt_sources;
pub(super) mod disk;
mod inspect;
pub(super) mod manifest;
mod root;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;
use hookos::oci::T0;
use serde::{Deserialize, Serialize};

use super::k3s::output;
use super::{Context, Input, Options, Stage, sources, test_double};
use crate::process;
use crate::signing::Signing;

pub use root::STAGE as ROOT_STAGE;
pub(super) use root::build as collect_packages;

/// Where the image's content is defined, below the checkout.
const SOURCE: &str = "vm-tests/reference-node";
/// The K3s files that go into the image.
const K3S_FILES: [&str; 4] = ["k3s", "install.sh", output::IMAGES, output::VERSION];

/// What of the node outlives a reboot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// One root file system that everything is written to
    #[default]
    Plain,
    /// A root file system that is never written to, /etc and /var in memory, a partition for what has to last
    Immutable,
}

impl Layout {
    /// Its name for `assemble-root.sh` and the stage's inputs.
    fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Immutable => "immutable",
        }
    }

    /// What `os-image.json` calls the image.
    fn image_name(self) -> &'static str {
        match self {
            Self::Plain => "emts-reference-node",
            Self::Immutable => "emts-reference-node-immutable",
        }
    }
}

/// The stage.
pub const STAGE: Stage = Stage {
    name: "node-image",
    summary: "os-image.raw.zst: Debian, systemd, cloud-init and K3s on a GPT disk",
    compiles: false,
    // An image of the user's own is taken as it is.
    needs: |options| match options.os_image {
        Some(_) => &[],
        None => &["node-root", "k3s"],
    },
    inputs: stage_inputs,
    build: build_stage,
};

fn stage_inputs(root: &Path, options: &Options) -> Result<Vec<Input>> {
    let mut inputs = sources(
        root,
        &[
            "xtask/src/stages/node_image.rs",
            "xtask/src/stages/node_image/disk.rs",
            "xtask/src/stages/node_image/manifest.rs",
            "xtask/src/stages/node_image/inspect.rs",
            "xtask/src/stages/decoder.rs",
            "xtask/src/stages/test_double.rs",
            "hookos/assembler/src/uki.rs",
            "vm-tests/reference-node/assemble-root.sh",
            "vm-tests/reference-node/boot",
            "vm-tests/reference-node/initramfs",
            "vm-tests/reference-node/make-ext4.sh",
            "vm-tests/reference-node/rootfs",
        ],
    );
    inputs.push(Input::Value("layout", options.layout.name().into()));
    if options.layout == Layout::Immutable {
        inputs.extend(sources(root, &["vm-tests/reference-node/immutable"]));
    }
    match &options.os_image {
        // An image of the user's own stays as it is.
        Some(image) => {
            inputs.push(Input::Path(image.clone()));
            let version = options.k3s_version.clone();
            inputs.push(Input::Value("K3s", version.unwrap_or_default()));
        }
        None => {
            inputs.extend([disk::LOADER, disk::STUB].map(|path| Input::Path(path.into())));
            inputs.extend(Signing::inputs(options.signing.as_ref())?);
        }
    }
    Ok(inputs)
}

fn build_stage(context: &Context) -> Result<()> {
    if let Some(image) = &context.options.os_image {
        let version = context.options.k3s_version.as_deref();
        return inspect::accept(image, version, &context.out);
    }
    let k3s = context.need("k3s")?;
    let inputs = NodeImageInputs {
        layout: context.options.layout,
        source: context.root.join(SOURCE),
        base: context.need("node-root")?.join(root::ARCHIVE),
        k3s: k3s.to_owned(),
        scratch: context.scratch.clone(),
        signing: context.options.signing.clone(),
    };
    build(&inputs, &context.out)
}

/// What the image is made of.
#[derive(Debug)]
pub struct NodeImageInputs {
    /// Which of the two images.
    pub layout: Layout,
    /// The folder `vm-tests/reference-node`.
    pub source: PathBuf,
    /// The archive that the stage `node-root` made.
    pub base: PathBuf,
    /// The output of the stage `k3s`.
    pub k3s: PathBuf,
    /// Folder for temporary files, of about 2 GiB.
    pub scratch: PathBuf,
    /// The key that the boot files are signed with.
    pub signing: Option<Signing>,
}

/// Makes `os-image.raw.zst` and `os-image.json` in the folder `out`.
pub fn build(inputs: &NodeImageInputs, out: &Path) -> Result<()> {
    require_k3s(&inputs.k3s)?;
    let version = k3s_version(&inputs.k3s)?;
    let test_double = test_double::of(&inputs.k3s)?;
    let work = tempfile::tempdir_in(&inputs.scratch)?;
    assemble_root(inputs, work.path())?;
    let raw = work.path().join("os-image.raw");
    let signing = inputs.signing.as_ref();
    disk::make(inputs.layout, &inputs.source, signing, work.path(), &raw)?;
    manifest::write(
        &mut fs_err::File::open(&raw)?,
        &manifest::Description {
            name: inputs.layout.image_name(),
            k3s_version: Some(&version),
            reference: true,
            test_double: test_double.as_deref(),
        },
        out,
    )
}

/// All missing K3s files in one message.
fn require_k3s(dir: &Path) -> Result<()> {
    let missing: Vec<_> = K3S_FILES
        .iter()
        .filter(|name| !dir.join(name).exists())
        .copied()
        .collect();
    if !missing.is_empty() {
        bail!(
            "the output of the stage k3s, {}, lacks {}",
            dir.display(),
            missing.join(", ")
        );
    }
    Ok(())
}

fn k3s_version(dir: &Path) -> Result<String> {
    let path = dir.join(output::VERSION);
    let text = fs_err::read_to_string(&path)?;
    let version = text.trim();
    let well_formed =
        version.starts_with('v') && version.contains('+') && !version.contains(char::is_whitespace);
    if !well_formed {
        bail!(
            "{} holds {version:?}; expected one line such as v1.33.5+k3s1",
            path.display()
        );
    }
    Ok(version.to_owned())
}

/// Fills `work` with the root file system, kernel and initramfs.
fn assemble_root(inputs: &NodeImageInputs, work: &Path) -> Result<()> {
    let script = inputs.source.join("assemble-root.sh");
    let mut command = process::with_files_of_root(&script);
    command
        .arg(inputs.layout.name())
        .arg(&inputs.base)
        .arg(&inputs.k3s)
        .arg(work)
        .env("ROOT_UUID", disk::ROOT_UUID)
        .env("PERSISTENT_UUID", disk::PERSISTENT_UUID)
        .env("SOURCE_DATE_EPOCH", T0.to_string());
    process::run(&mut command).context("assembling the node's root file system")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_k3s_files_are_named_all_at_once() -> Result<()> {
        let dir = tempfile::tempdir()?;
        fs_err::write(dir.path().join("k3s"), "")?;
        fs_err::write(dir.path().join("version"), "")?;
        let message = require_k3s(dir.path())
            .expect_err("two files are missing")
            .to_string();
        assert!(message.ends_with("lacks install.sh, images"), "{message}");
        Ok(())
    }

    #[test]
    fn a_version_file_with_anything_but_a_version_is_refused() -> Result<()> {
        let dir = tempfile::tempdir()?;
        fs_err::write(dir.path().join("version"), "v1.33.13+refk3s1\n")?;
        assert_eq!(k3s_version(dir.path())?, "v1.33.13+refk3s1");
        for wrong in ["", "1.33.5", "k3s version v1.33.5+k3s1"] {
            fs_err::write(dir.path().join("version"), wrong)?;
            assert!(k3s_version(dir.path()).is_err(), "accepted {wrong:?}");
        }
        Ok(())
    }
}
