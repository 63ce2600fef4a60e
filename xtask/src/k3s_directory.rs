//! A directory with the files of a K3s release, as `--k3s-dir` names it: found by name, checked by the publisher's sums.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use arch::ARCH;
use artifacts::checksums::Checksums;
use pipeline::choice::Release;
use pipeline::input::Source;

/// The publisher's checksum file.
const SUMS: &str = ARCH.k3s_sums;
/// How the archive of preloaded images may end; K3s takes these and others (pkg/agent/containerd, `imageFiles`).
const ARCHIVES: [&str; 3] = [".tar.zst", ".tar.gz", ".tar"];

/// Whether a file is by its name an archive of K3s' preloaded images for this architecture.
pub fn is_airgap_archive(name: &str) -> bool {
    let all = ["amd64", "arm64", "armhf", "-arm", "s390x", "riscv64"];
    let mut foreign = all.iter().filter(|it| !ARCH.k3s_images.contains(*it));
    name.contains("airgap")
        && ARCHIVES.iter().any(|end| name.ends_with(end))
        && !foreign.any(|other| name.contains(other))
}

/// The release in `directory`.
///
/// # Errors
/// A file is missing (all that are, at once), there are several archives of images, or a sum differs from the
/// publisher's.
pub fn read(directory: &Path) -> Result<Release> {
    ensure!(
        directory.is_dir(),
        "--k3s-dir {}: there is no such directory",
        directory.display()
    );
    let archives = archives(directory)?;
    let mut missing = Vec::new();
    for name in ["k3s", "install.sh"] {
        if !directory.join(name).is_file() {
            missing.push(name.to_owned());
        }
    }
    if archives.is_empty() {
        missing.push(format!("{} (or .tar.gz, .tar)", ARCH.k3s_images));
    }
    if !missing.is_empty() {
        bail!(
            "--k3s-dir {} lacks {}. A release has k3s and the archive among its files; install.sh is in K3s' source tree \
             of the same tag",
            directory.display(),
            missing.join(", ")
        );
    }
    let [airgap] = &archives[..] else {
        let names = archives.iter().map(|path| path.display().to_string());
        bail!(
            "--k3s-dir has several archives of images; keep one of {}",
            names.collect::<Vec<_>>().join(", ")
        );
    };
    let release = Release {
        version: None,
        k3s: Source::read("k3s", &directory.join("k3s"))?,
        install: Source::read("install.sh", &directory.join("install.sh"))?,
        airgap: Source::read("airgap images", airgap)?,
        airgap_name: file_name(airgap),
    };
    check_sums(directory, &release)?;
    Ok(release)
}

/// A file's name without its directory.
pub fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn archives(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs_err::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_file() && is_airgap_archive(&name) {
            found.push(fs_err::canonicalize(&path)?);
        }
    }
    found.sort();
    Ok(found)
}

fn check_sums(directory: &Path, release: &Release) -> Result<()> {
    let path = directory.join(SUMS);
    if !path.is_file() {
        return Ok(());
    }
    let sums = Checksums::parse(&fs_err::read_to_string(&path)?)
        .with_context(|| format!("reading {}", path.display()))?;
    for taken in [&release.k3s, &release.install, &release.airgap] {
        let name = file_name(taken.path());
        let Some(published) = sums.get(&name).map(|sum| sum.to_string()) else {
            continue;
        };
        ensure!(
            published == taken.sha256().unwrap_or_default(),
            "{} has sha256 {}; {SUMS} has {published}: it is damaged or of another version",
            taken.path().display(),
            taken.sha256().unwrap_or_default()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(names: &[&str]) -> Result<tempfile::TempDir> {
        let dir = tempfile::tempdir()?;
        for name in names {
            fs_err::write(dir.path().join(name), name)?;
        }
        Ok(dir)
    }

    #[test]
    fn an_archive_may_have_another_name_and_compression() -> Result<()> {
        for archive in [
            "k3s-airgap-images-amd64.tar.zst",
            "k3s-airgap-images-amd64.tar.gz",
            "airgap.tar",
        ] {
            let dir = directory(&["k3s", "install.sh", archive, "k3s-airgap-images-arm64.tar"])?;
            assert!(read(dir.path())?.airgap.path().ends_with(archive));
        }
        Ok(())
    }

    #[test]
    fn all_that_is_missing_is_named_at_once() -> Result<()> {
        let error = read(directory(&["k3s-images.txt"])?.path()).expect_err("nothing is there");
        let message = error.to_string();
        for name in ["k3s,", "install.sh", "k3s-airgap-images-amd64.tar.zst"] {
            assert!(message.contains(name), "{message}");
        }
        Ok(())
    }

    #[test]
    fn two_archives_are_refused_by_name() -> Result<()> {
        let dir = directory(&["k3s", "install.sh", "airgap-1.tar", "airgap-2.tar"])?;
        let error = read(dir.path()).expect_err("two archives");
        assert!(error.to_string().contains("airgap-2.tar"), "{error}");
        Ok(())
    }

    #[test]
    fn the_publishers_sums_are_checked_where_they_are() -> Result<()> {
        let dir = directory(&["k3s", "install.sh", "airgap.tar"])?;
        let sums = dir.path().join(SUMS);
        fs_err::write(&sums, format!("{}  k3s\n", artifacts::Sha256::of(b"k3s")))?;
        read(dir.path())?;
        fs_err::write(&sums, format!("{}  k3s\n", artifacts::Sha256::of(b"other")))?;
        assert!(read(dir.path()).is_err());
        Ok(())
    }

    #[test]
    fn a_directory_that_is_not_there_is_named_with_its_option() {
        let error = read(Path::new("/nonexistent")).expect_err("no directory");
        assert_eq!(
            error.to_string(),
            "--k3s-dir /nonexistent: there is no such directory"
        );
    }
}
