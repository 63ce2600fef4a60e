//! Stage `node-root`: the Debian packages of the node, unpacked and configured by mmdebstrap.
//!
//! A stage of its own, so that another K3s or another setting needs neither network nor root rights.

use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use hookos::oci::T0;
use serde::{Deserialize, Serialize};

use super::super::debian::{self, PINS, Package, Wanted};
use super::apt_sources;
use crate::input::Source;
use crate::stage::{Recipe, Request, Stage, Work};

/// Where the image's content is defined, below the checkout.
const SOURCE: &str = "vm-tests/reference/node";
/// The locked versions of the packages.
pub const LOCK: &str = "vm-tests/reference/node/packages.lock";
/// The stage's output.
pub const ARCHIVE: &str = "rootfs.tar.zst";
/// Debian release of the image.
const SUITE: &str = "bookworm";
/// zstd level; the archive is read once per image.
const LEVEL: i32 = 3;
/// The stage.
pub const STAGE: Stage = Stage::of::<NodeRoot>();

/// How the packages are collected.
pub struct NodeRoot;

/// What they are collected by.
#[derive(Serialize, Deserialize)]
pub struct Inputs {
    packages: Packages,
    suite: String,
}

impl Recipe for NodeRoot {
    type Inputs = Inputs;
    const NAME: &'static str = "node-root";
    const SUMMARY: &'static str = "rootfs.tar.zst: the node's Debian packages, by mmdebstrap";
    const MODULE: &'static str = module_path!();
    const USUAL: Duration = Duration::from_secs(200);

    fn inputs(request: &Request<'_>) -> Result<Inputs> {
        Ok(Inputs {
            packages: Packages {
                list: request.source(&format!("{SOURCE}/packages.txt")),
                dpkg_settings: request.source(&format!("{SOURCE}/dpkg.conf")),
                versions: Wanted::of(request, LOCK),
            },
            suite: SUITE.to_owned(),
        })
    }

    fn build(inputs: Inputs, work: &Work) -> Result<()> {
        build(&inputs.packages, work, &work.out.join(ARCHIVE))
    }
}

/// The files that say which packages are collected.
#[derive(Serialize, Deserialize)]
pub struct Packages {
    /// Their names, one a line.
    pub list: Source,
    /// dpkg's options while they are unpacked.
    pub dpkg_settings: Source,
    /// The versions that are wanted.
    pub versions: Wanted,
}

/// Makes `archive` of the listed packages, and says in the output which they are.
pub fn build(of: &Packages, work: &Work, archive: &Path) -> Result<()> {
    let text = fs_err::read_to_string(of.list.path())?;
    let packages = packages(&text)?;
    let lock = of.versions.lock()?;
    let scratch = &work.scratch;
    let (plain, list) = (scratch.join("rootfs.tar"), scratch.join("list"));
    let sources = apt_sources::of_host(SUITE)?;
    // mmdebstrap and the packages' own scripts take the time from it.
    let time = T0.to_string();
    let settings = [
        ("SOURCE_DATE_EPOCH", OsStr::new(&time)),
        ("EMTS_LIST", list.as_os_str()),
    ];
    let note = debian::mmdebstrap(&lock, scratch, &settings, |command| {
        command
            .args([
                "--mode=root",
                "--variant=essential",
                "--format=tar",
                // The list of packages is made of their files.
                "--skip=essential/unlink",
            ])
            .arg(format!("--include={}", packages.join(",")))
            .arg(["--dpkgopt=".as_ref(), of.dpkg_settings.path().as_os_str()].join("".as_ref()))
            .arg(format!(
                "--customize-hook={}",
                debian::list_hook("\"$EMTS_LIST\"")
            ))
            .arg(format!("--customize-hook={}", forget_run()))
            .args([SUITE, "-"])
            .args(&sources)
            // On standard output, so that the file belongs to the caller also under sudo.
            .stdout(fs_err::File::create(&plain)?.into_file());
        Ok(())
    });
    let note = note.context("collecting Debian packages")?;
    let taken = Package::list(&fs_err::read_to_string(&list)?)?;
    debian::keep(&work.out, &lock, &taken.into_iter().collect(), note)?;
    compress(&plain, archive)?;
    fs_err::remove_file(plain)?;
    Ok(())
}

/// What mmdebstrap runs at its end: no other run has the same keys, no other host the same name, resolvers and mirror, and
/// the node is not held at the locked versions.
fn forget_run() -> String {
    format!(
        r#"set -e
rm -f "$1/etc/hostname" "$1/etc/resolv.conf" "$1"/etc/ssh/ssh_host_* "$1/{PINS}"
cat > "$1/etc/apt/sources.list" <<'END'
# The site's own archive of Debian {SUITE} goes here.
END
"#
    )
}

/// Package names, one a line; `#` begins a comment.
fn packages(text: &str) -> Result<Vec<&str>> {
    let names: Vec<&str> = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim())
        .filter(|name| !name.is_empty())
        .collect();
    match names.iter().find(|name| name.contains([' ', ',', '\t'])) {
        Some(line) => bail!("packages.txt: {line:?} is not one package name"),
        None => Ok(names),
    }
}

fn compress(plain: &Path, archive: &Path) -> Result<()> {
    let mut encoder = zstd::Encoder::new(fs_err::File::create(archive)?, LEVEL)?;
    encoder.multithread(2)?;
    std::io::copy(&mut fs_err::File::open(plain)?, &mut encoder)?;
    encoder.finish()?.sync_all()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_node_keeps_nothing_of_how_it_was_made() -> Result<()> {
        let dir = tempfile::tempdir()?;
        let there = [
            "etc/hostname",
            "etc/resolv.conf",
            "etc/ssh/ssh_host_rsa_key",
            PINS,
        ];
        for name in there
            .iter()
            .chain(&["etc/apt/preferences.d/own", "etc/ssh/sshd_config"])
        {
            let path = dir.path().join(name);
            fs_err::create_dir_all(path.parent().context("a directory")?)?;
            fs_err::write(path, "")?;
        }
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", &forget_run(), "hook"]).arg(dir.path());
        crate::process::run(&mut shell)?;
        for name in there {
            assert!(!dir.path().join(name).exists(), "{name}");
        }
        for name in ["etc/apt/preferences.d/own", "etc/ssh/sshd_config"] {
            assert!(dir.path().join(name).exists(), "{name}");
        }
        Ok(())
    }

    #[test]
    fn a_package_list_has_comments_and_one_name_a_line() -> Result<()> {
        assert_eq!(
            packages("# boot\nsystemd\n\nrunc # both names\n")?,
            ["systemd", "runc"]
        );
        assert!(packages("systemd runc\n").is_err());
        Ok(())
    }
}
