//! Stage `node-root`: the Debian packages of the node, unpacked and configured by mmdebstrap.
//!
//! A stage of its own, so that another K3s or another setting needs neither network nor root rights.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use hookos::oci::T0;

use super::super::{Context, Input, Stage, sources};
use super::{SOURCE, apt_sources};
use crate::process;

/// The stage's output.
pub const ARCHIVE: &str = "rootfs.tar.zst";
/// Debian release of the image.
const SUITE: &str = "bookworm";
/// zstd level; the archive is read once per image.
const LEVEL: i32 = 3;
/// Settings that have to reach apt through `sudo`, which clears the environment.
const PASSED_ON: [&str; 7] = [
    "TMPDIR",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
];

/// The stage.
pub const STAGE: Stage = Stage {
    name: "node-root",
    summary: "rootfs.tar.zst: the node's Debian packages, by mmdebstrap",
    compiles: false,
    needs: |_| &[],
    inputs: |root, _| {
        let mut inputs = sources(
            root,
            &[
                "xtask/src/stages/node_image/root.rs",
                "vm-tests/reference-node/packages.txt",
                "vm-tests/reference-node/dpkg.conf",
            ],
        );
        inputs.push(Input::Value("suite", SUITE.into()));
        Ok(inputs)
    },
    build: |context: &Context| {
        build(
            &context.root.join(SOURCE),
            &context.scratch,
            &context.out.join(ARCHIVE),
        )
    },
};

/// Makes `archive` from the package list in the folder `source`.
pub fn build(source: &Path, scratch: &Path, archive: &Path) -> Result<()> {
    let list = fs_err::read_to_string(source.join("packages.txt"))?;
    let packages = packages(&list)?;
    let plain = scratch.join("rootfs.tar");
    let mut command = process::privileged("env");
    for name in PASSED_ON {
        if let Some(value) = std::env::var_os(name) {
            command.arg([name.as_ref(), "=".as_ref(), value.as_os_str()].join("".as_ref()));
        }
    }
    command
        // mmdebstrap and the packages' own scripts take the time from it.
        .arg(format!("SOURCE_DATE_EPOCH={T0}"))
        .args([
            "mmdebstrap",
            "--mode=root",
            "--variant=essential",
            "--format=tar",
        ])
        .arg(format!("--include={}", packages.join(",")))
        .arg(format!("--dpkgopt={}", source.join("dpkg.conf").display()))
        .arg(format!("--customize-hook={}", forget_run()))
        .args([SUITE, "-"])
        .args(apt_sources::of_host(SUITE)?)
        // On standard output, so that the file belongs to the caller also under sudo.
        .stdout(fs_err::File::create(&plain)?.into_file());
    process::run(&mut command).context("collecting the node's Debian packages")?;
    compress(&plain, archive)?;
    fs_err::remove_file(plain)?;
    Ok(())
}

/// What mmdebstrap runs at its end: no other run has the same keys, no other host the same name, resolvers and mirror.
fn forget_run() -> String {
    format!(
        r#"set -e
rm -f "$1/etc/hostname" "$1/etc/resolv.conf" "$1"/etc/ssh/ssh_host_*
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
    fn a_package_list_has_comments_and_one_name_a_line() -> Result<()> {
        assert_eq!(
            packages("# boot\nsystemd\n\nrunc # both names\n")?,
            ["systemd", "runc"]
        );
        assert!(packages("systemd runc\n").is_err());
        Ok(())
    }
}
