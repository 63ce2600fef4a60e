//! Stage `node-image`: the bootable disk image of the node, and `os-image.json`, which describes it.
//!
//! Its content is defined in `vm-tests/reference/node/`; the packages come from the stage
//! `node-root`. No loop device is used, and nothing but `node-root` needs root rights.
//! There are two layouts of one content, [`Layout`].

mod apt_sources;
pub(super) mod described;
pub(super) mod disk;
mod efi_programs;
mod ext;
mod files;
mod identities;
mod inspect;
pub(super) mod manifest;
mod partitions;
mod raw;
mod root;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use disk::Boot;
use serde::{Deserialize, Serialize};

use super::k3s::output;
use super::{assemble, boot_files, test_double};
use crate::choice::{Layout, Options, Signing};
use crate::input::{Output, Source, Sources};
use crate::process;
use crate::stage::{Recipe, Request, Stage, Work};

pub use inspect::check as check_own;
pub use root::LOCK as ROOT_LOCK;
pub use root::STAGE as ROOT_STAGE;
pub(super) use root::{Packages, build as collect_packages};

/// The K3s files that go into the image.
const K3S_FILES: [&str; 4] = ["k3s", "install.sh", output::IMAGES, output::VERSION];

/// What is taken from there, in every layout, and in the immutable one alone.
const CONTENT: [&str; 3] = ["node/boot", "node/configure.sh", "node/rootfs"];
const CONTENT_IMMUTABLE: &str = "node/immutable";

/// Its name for `node/configure.sh`.
fn layout_name(layout: Layout) -> &'static str {
    match layout {
        Layout::Plain => "plain",
        Layout::Immutable => "immutable",
    }
}

/// What `os-image.json` calls the image.
fn image_name(layout: Layout) -> &'static str {
    match layout {
        Layout::Plain => "emts-reference-node",
        Layout::Immutable => "emts-reference-node-immutable",
    }
}

/// The stage.
pub const STAGE: Stage = Stage::of::<NodeImage>();

/// How the image is made.
pub struct NodeImage;

/// What the image is made of.
#[derive(Serialize, Deserialize)]
pub enum Inputs {
    /// An image of the user's own, which stays as it is.
    Own {
        /// The image.
        image: Source,
        /// Its file name.
        name: String,
        /// Version of the K3s inside, when it is known.
        k3s_version: Option<String>,
    },
    /// The reference image.
    Reference(Box<Reference>),
}

/// What the reference image is made of.
#[derive(Debug, Serialize, Deserialize)]
pub struct Reference {
    layout: Layout,
    content: Sources,
    packages: Output,
    k3s: Output,
    boot_loader: Source,
    stub: Source,
    signing: Option<Signing>,
}

impl Recipe for NodeImage {
    type Inputs = Inputs;
    const NAME: &'static str = "node-image";
    const SUMMARY: &'static str =
        "os-image.raw.zst: Debian, systemd, cloud-init and K3s on a GPT disk";
    const MODULE: &'static str = module_path!();
    const USUAL: Duration = Duration::from_secs(36);

    fn needs(options: &Options) -> &'static [&'static str] {
        match options.os_image {
            Some(_) => &[],
            None => &["node-root", "k3s"],
        }
    }

    fn inputs(request: &Request<'_>) -> Result<Inputs> {
        let options = request.options;
        if let Some(image) = &options.os_image {
            let name = image.file_name().unwrap_or_default();
            return Ok(Inputs::Own {
                image: Source::named("the OS image", image),
                name: name.to_string_lossy().into_owned(),
                k3s_version: options.k3s_version.clone(),
            });
        }
        let mut content = CONTENT.to_vec();
        if options.layout == Layout::Immutable {
            content.push(CONTENT_IMMUTABLE);
        }
        Ok(Inputs::Reference(Box::new(Reference {
            layout: options.layout,
            content: assemble::content(request, &content),
            packages: request.output("node-root")?,
            k3s: request.output("k3s")?,
            boot_loader: boot_files::loader(),
            stub: boot_files::stub(),
            signing: options.signing.clone(),
        })))
    }

    fn build(inputs: Inputs, work: &Work) -> Result<()> {
        match inputs {
            Inputs::Own {
                image,
                name,
                k3s_version,
            } => inspect::accept(
                image.path(),
                &name,
                k3s_version.as_deref(),
                &work.scratch,
                &work.out,
            ),
            Inputs::Reference(inputs) => build(&inputs, &work.scratch, &work.out),
        }
    }
}

/// Makes `os-image.raw.zst` and `os-image.json` in the directory `out`. `scratch` needs about 2 GiB.
fn build(inputs: &Reference, scratch: &Path, out: &Path) -> Result<()> {
    let k3s = &inputs.k3s.directory;
    require_k3s(k3s)?;
    let version = k3s_version(k3s)?;
    let test_double = test_double::of(k3s)?;
    let work = tempfile::tempdir_in(scratch)?;
    assemble_root(inputs, work.path())?;
    let raw = work.path().join("os-image.raw");
    let boot = Boot {
        loader: &inputs.boot_loader,
        loader_settings: inputs.content.part("node/boot/loader.conf")?,
        stub: &inputs.stub,
        arguments: inputs.content.part("node/boot/cmdline")?,
        signing: inputs.signing.as_ref(),
    };
    disk::make(inputs.layout, &boot, work.path(), &raw)?;
    let (described, _) = partitions::describe(&raw, work.path())?;
    let drivers = drivers(work.path())?;
    manifest::write(
        &mut fs_err::File::open(&raw)?,
        &manifest::Description {
            name: image_name(inputs.layout),
            k3s_version: Some(&version),
            reference: true,
            test_double: test_double.as_deref(),
            drivers: Some(&drivers),
            disk: &described,
        },
        out,
    )
}

/// The modules of the initramfs and of its kernel, one a line, as the kernel names them.
fn drivers(work: &Path) -> Result<Vec<String>> {
    let text = fs_err::read_to_string(work.join("drivers"))?;
    Ok(text.lines().map(str::to_owned).collect())
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
fn assemble_root(inputs: &Reference, work: &Path) -> Result<()> {
    let base = inputs.packages.directory.join(root::ARCHIVE);
    let mut command = assemble::command(&inputs.content, "node", &base, work)?;
    command
        .arg(layout_name(inputs.layout))
        .arg(&inputs.k3s.directory)
        .env("PERSISTENT_UUID", disk::PERSISTENT_UUID);
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
