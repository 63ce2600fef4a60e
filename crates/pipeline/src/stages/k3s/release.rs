//! The files of a K3s release: copied, checked against what is known of them, never run but for their version.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use arch::ARCH;

use super::output::{self, make_executable};
use crate::choice::Release;
use crate::digest;
use crate::input::Source;

/// What a program begins with (ELF specification: magic, 64 bits, little endian), and where its machine is.
const ELF: [u8; 6] = [0x7f, b'E', b'L', b'F', 2, 1];
const MACHINE_AT: usize = 18;

fn copy(file: &Source, target: &Path) -> Result<()> {
    fs_err::copy(file.path(), target)?;
    let seen = digest::of_file(target)?;
    let known = file.sha256().unwrap_or_default();
    ensure!(
        seen == known,
        "{} changed while it was copied: sha256 {seen}, before {known}",
        file.path().display()
    );
    Ok(())
}

/// Copies the files to `out` and asks `k3s` for its version.
pub(super) fn take(release: &Release, out: &Path) -> Result<()> {
    let k3s = out.join("k3s");
    let from = release.k3s.path().display();
    copy(&release.k3s, &k3s)?;
    require_program(&k3s).with_context(|| format!("taking {from}"))?;
    make_executable(&k3s)?;
    let script = out.join("install.sh");
    copy(&release.install, &script)?;
    require_script(&script)
        .with_context(|| format!("taking {}", release.install.path().display()))?;
    make_executable(&script)?;
    copy(
        &release.airgap,
        &out.join(output::IMAGES).join(&release.airgap_name),
    )?;
    let version = version_of(&k3s)?;
    if let Some(expected) = &release.version
        && *expected != version
    {
        bail!(
            "{from} is K3s {version}; the profile has K3s {expected}: name the version with --k3s-version, or take the \
             files of {expected}"
        );
    }
    fs_err::write(out.join(output::VERSION), format!("{version}\n"))?;
    Ok(())
}

/// A script or a page under the name `k3s` is not run to see what it does.
fn require_program(path: &Path) -> Result<()> {
    let head = head(path)?;
    let machine = head.get(MACHINE_AT..MACHINE_AT + 2);
    ensure!(
        head.starts_with(&ELF) && machine == Some(&ARCH.elf.to_le_bytes()),
        "it is not a program for {}; it starts with {:?}",
        ARCH.name,
        String::from_utf8_lossy(&head[..head.len().min(16)])
    );
    Ok(())
}

fn require_script(path: &Path) -> Result<()> {
    let head = head(path)?;
    ensure!(
        head.starts_with(b"#!"),
        "it is not a shell script; it starts with {:?}",
        String::from_utf8_lossy(&head[..head.len().min(16)])
    );
    Ok(())
}

fn head(path: &Path) -> Result<Vec<u8>> {
    use std::io::Read as _;
    let mut head = Vec::new();
    fs_err::File::open(path)?.take(64).read_to_end(&mut head)?;
    Ok(head)
}

/// The version that the program prints. It gets nothing of the user's environment.
fn version_of(k3s: &Path) -> Result<String> {
    let output = Command::new(k3s)
        .arg("--version")
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("asking {} for its version", k3s.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text
        .strip_prefix("k3s version ")
        .and_then(|rest| rest.split_whitespace().next());
    match version {
        Some(version) => Ok(version.to_owned()),
        None => bail!(
            "{} --version printed {text:?}; it should start with `k3s version v`",
            k3s.display()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(dir: &Path, name: &str, content: &[u8]) -> Result<Source> {
        let path = dir.join(name);
        fs_err::write(&path, content)?;
        Source::read(name, &path)
    }

    /// A release whose `k3s` has this content.
    fn release(dir: &Path, k3s: &[u8]) -> Result<Release> {
        Ok(Release {
            version: None,
            k3s: taken(dir, "k3s", k3s)?,
            install: taken(dir, "install.sh", b"#!/bin/sh\n")?,
            airgap: taken(dir, "images.tar.gz", b"images")?,
            airgap_name: "images.tar.gz".to_owned(),
        })
    }

    fn out() -> Result<tempfile::TempDir> {
        let out = tempfile::tempdir()?;
        fs_err::create_dir(out.path().join(output::IMAGES))?;
        Ok(out)
    }

    #[test]
    fn a_script_under_the_programs_name_is_not_run() -> Result<()> {
        let (dir, out) = (tempfile::tempdir()?, out()?);
        let seen = dir.path().join("seen");
        let script = format!("#!/bin/sh\ntouch {}\n", seen.display());
        let error =
            take(&release(dir.path(), script.as_bytes())?, out.path()).expect_err("a script");
        assert!(
            format!("{error:#}").contains("not a program for x86-64;"),
            "{error:#}"
        );
        assert!(!seen.exists());
        Ok(())
    }

    #[test]
    fn a_program_that_is_not_k3s_is_refused_with_what_it_printed() -> Result<()> {
        let (dir, out) = (tempfile::tempdir()?, out()?);
        let program = fs_err::read("/bin/true")?;
        let error = take(&release(dir.path(), &program)?, out.path()).expect_err("it is `true`");
        assert!(
            error
                .to_string()
                .contains("should start with `k3s version v`"),
            "{error}"
        );
        Ok(())
    }

    #[test]
    fn a_file_that_changed_since_it_was_chosen_is_refused() -> Result<()> {
        let (dir, out) = (tempfile::tempdir()?, out()?);
        let release = release(dir.path(), b"before")?;
        fs_err::write(dir.path().join("k3s"), "after")?;
        let error = take(&release, out.path()).expect_err("it changed");
        assert!(
            error.to_string().contains("changed while it was copied"),
            "{error}"
        );
        Ok(())
    }

    #[test]
    fn the_content_counts_and_not_the_place() -> Result<()> {
        let (one, two) = (tempfile::tempdir()?, tempfile::tempdir()?);
        let values = |dir: &Path| -> Result<Vec<String>> {
            let release = serde_json::to_value(release(dir, b"k3s")?)?;
            let counted = crate::input::digests(&release)?.into_iter();
            Ok(counted.map(|(name, digest)| name + &digest).collect())
        };
        assert_eq!(values(one.path())?, values(two.path())?);
        Ok(())
    }
}
