//! Stage `small-image`: a raw disk image of the node image's layout without an operating system in it.
//!
//! Scenarios that test the installer alone install it in a fraction of the time. Its root file system has
//! what the installer configures, and some incompressible data so that writing it takes a while; its ESP
//! has a boot loader with nothing to start.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use hookos::oci::T0;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::boot_files;
use super::node_image::disk::{self, EspFile};
use crate::choice::Signing;
use crate::input::Source;
use crate::process;
use crate::stage::{Recipe, Request, Stage, Work};

/// Name of the image in the stage's output.
pub const IMAGE: &str = "small-image.raw";

/// The stage.
pub const STAGE: Stage = Stage::of::<SmallImage>();

/// How the image is made.
pub struct SmallImage;

/// What the image is made of beside what stands here.
#[derive(Serialize, Deserialize)]
pub struct Inputs {
    boot_loader: Source,
    signing: Option<Signing>,
}

impl Recipe for SmallImage {
    type Inputs = Inputs;
    const NAME: &'static str = "small-image";
    const SUMMARY: &'static str = "a disk image of the node's layout without an operating system, for scenarios of the installer";
    const MODULE: &'static str = module_path!();
    const USUAL: Duration = Duration::from_secs(4);

    fn inputs(request: &Request<'_>) -> Result<Inputs> {
        Ok(Inputs {
            boot_loader: boot_files::loader(),
            signing: request.options.signing.clone(),
        })
    }

    fn build(inputs: Inputs, work: &Work) -> Result<()> {
        build(&inputs, &work.scratch, &work.out.join(IMAGE))
    }
}

/// The least that is FAT32 with clusters of one sector, and some room.
const ESP_SIZE: u64 = 40 << 20;
/// Size of the root file system in MiB.
const ROOT_MIB: u64 = 96;
/// Incompressible data in the root file system, in blocks of 32 bytes.
const DATA_BLOCKS: u32 = (48 << 20) / 32;

/// Directories of the root file system.
const DIRECTORIES: &[&str] = &[
    "dev",
    "etc/cloud/cloud.cfg.d",
    "etc/ssh",
    "etc/systemd/system",
    "home",
    "proc",
    "root",
    "run",
    "sys",
    "usr/bin",
    "var/lib",
];

/// Files of the root file system: what `cluster-bootstrapper install` edits.
const FILES: &[(&str, u32, &str)] = &[
    ("etc/passwd", 0o644, "root:x:0:0:root:/root:/bin/bash\n"),
    ("etc/shadow", 0o640, "root:*:20000:0:99999:7:::\n"),
    ("etc/group", 0o644, "root:x:0:\nsudo:x:27:\n"),
    ("etc/gshadow", 0o640, "root:*::\nsudo:*::\n"),
    (
        "etc/os-release",
        0o644,
        "ID=emts-small\nPRETTY_NAME=\"emts small image, no operating system\"\n",
    ),
];

fn build(inputs: &Inputs, scratch: &Path, out: &Path) -> Result<()> {
    let work = tempfile::tempdir_in(scratch)?;
    let tree = work.path().join("tree");
    fill(&tree)?;
    let root = work.path().join("root.ext4");
    // The tree has to belong to root inside the image; a user gets that view from fakeroot.
    let mut command = if rustix::process::geteuid().is_root() {
        Command::new("mke2fs")
    } else {
        let mut command = Command::new("fakeroot");
        command.args(["--", "mke2fs"]);
        command
    };
    let path = std::env::var("PATH").unwrap_or_default();
    command
        .env("PATH", format!("{path}:/usr/sbin:/sbin"))
        // The same bytes each time.
        .env("E2FSPROGS_FAKE_TIME", T0.to_string())
        .args([
            "-q",
            "-F",
            "-t",
            "ext4",
            // With the smaller blocks of a small file system it would not grow beyond 1 TiB.
            "-b",
            "4096",
            "-L",
            "rootfs",
            "-U",
            disk::ROOT_UUID,
        ])
        .args(["-E", &format!("hash_seed={}", disk::ROOT_UUID), "-d"])
        .arg(&tree)
        .arg(&root)
        .arg(format!("{ROOT_MIB}m"));
    process::run(&mut command)?;
    let files = disk::sign(
        vec![EspFile::boot_loader(inputs.boot_loader.path())],
        inputs.signing.as_ref(),
        work.path(),
    )?;
    disk::compose(work.path(), &files, ESP_SIZE, &[disk::ROOT], out)
}

fn fill(tree: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    for directory in DIRECTORIES {
        fs_err::create_dir_all(tree.join(directory))?;
    }
    // Whatever the user's umask is.
    for entry in walkdir::WalkDir::new(tree) {
        let path = entry?.into_path();
        fs_err::set_permissions(path, std::fs::Permissions::from_mode(0o755))?;
    }
    for (name, mode, content) in FILES {
        let path = tree.join(name);
        fs_err::write(&path, content)?;
        fs_err::set_permissions(&path, std::fs::Permissions::from_mode(*mode))?;
    }
    Ok(fs_err::write(tree.join("var/lib/data"), data())?)
}

/// The same incompressible bytes every time: the sums of the numbers from 0 on.
fn data() -> Vec<u8> {
    (0..DATA_BLOCKS)
        .flat_map(|number| Sha256::digest(number.to_le_bytes()))
        .collect()
}
