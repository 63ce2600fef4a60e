//! The files `kernel` and `kernel.tar` of a LinuxKit kernel image, out of Debian's kernel package.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use tar::EntryType;

use super::definition::Kernel;
use super::root::{RootTar, new_header};
use super::selection::Pattern;
use crate::process;

/// Where the names of modules are that are loaded before volumes and containers, and the program that loads them for an
/// init which does not look there (hookos/init, `modules.rs`).
const EARLY: (&str, &str) = ("etc/modules-load.d/kernel.conf", "etc/init.d/001-modules");

/// Adds `kernel` and `kernel.tar` to the image. `debian` is the tar of the kernel's packages.
pub fn write(
    debian: &Path,
    kernel: &Kernel,
    init_binary: &Path,
    scratch: &Path,
    image: &mut RootTar,
) -> Result<()> {
    let root = scratch.join("kernel-root");
    unpack(debian, &root)?;
    let modules = Modules::find(&root)?;
    modules.depmod(&root)?;
    let chosen = modules.chosen(&Pattern::list(&kernel.modules)?)?;
    modules.remove_others(&chosen)?;
    modules.depmod(&root)?;
    remove_other_firmware(
        &root.join("lib/firmware"),
        &Pattern::list(&kernel.firmware)?,
    )?;
    load_early(&root, kernel, &chosen, init_binary)?;
    let tar = scratch.join("kernel.tar");
    pack(&root, &tar)?;
    image.file_from(
        "kernel",
        0o644,
        &root
            .join("boot")
            .join(format!("vmlinuz-{}", modules.version)),
    )?;
    image.file_from("kernel.tar", 0o644, &tar)?;
    fs_err::remove_file(tar)?;
    fs_err::remove_dir_all(root)?;
    Ok(())
}

/// Adds what loads `early` to the root. Every name has to be one of the chosen modules.
fn load_early(
    root: &Path,
    kernel: &Kernel,
    chosen: &BTreeSet<String>,
    init_binary: &Path,
) -> Result<()> {
    for name in &kernel.early {
        let file = format!("/{name}.ko");
        ensure!(
            chosen.iter().any(|path| path.ends_with(&file)),
            "the kernel image has no module {name}, which is to be loaded early"
        );
    }
    if kernel.early.is_empty() {
        return Ok(());
    }
    let (names, program) = (root.join(EARLY.0), root.join(EARLY.1));
    for path in [&names, &program] {
        fs_err::create_dir_all(path.parent().unwrap_or(root))?;
    }
    fs_err::write(names, kernel.early.join("\n") + "\n")?;
    fs_err::copy(init_binary, program)?;
    Ok(())
}

/// Unpacks kernel, modules and firmware only.
fn unpack(debian: &Path, root: &Path) -> Result<()> {
    fs_err::create_dir_all(root)?;
    let mut archive = tar::Archive::new(File::open(debian)?);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.to_string_lossy().into_owned();
        let path = path.trim_start_matches("./");
        let wanted = ["boot/vmlinuz-", "lib/modules/", "lib/firmware/"];
        if wanted.iter().any(|start| path.starts_with(start)) {
            entry
                .unpack_in(root)
                .with_context(|| format!("unpacking {path}"))?;
        }
    }
    Ok(())
}

/// The modules of one kernel version.
struct Modules {
    version: String,
    dir: PathBuf,
}

impl Modules {
    fn find(root: &Path) -> Result<Self> {
        let mut versions = Vec::new();
        for entry in fs_err::read_dir(root.join("lib/modules"))? {
            versions.push(entry?.file_name().to_string_lossy().into_owned());
        }
        let [version] = &versions[..] else {
            bail!("the packages have modules of the kernels {versions:?}; one kernel is needed");
        };
        Ok(Self {
            version: version.clone(),
            dir: root.join("lib/modules").join(version),
        })
    }

    /// Writes the index files that modprobe reads.
    fn depmod(&self, root: &Path) -> Result<()> {
        process::run(
            Command::new("/sbin/depmod")
                .arg("--basedir")
                .arg(root)
                .arg(&self.version),
        )
    }

    /// Paths, as in modules.dep, of the modules that match and all that they need.
    fn chosen(&self, patterns: &[Pattern]) -> Result<BTreeSet<String>> {
        let modules_dep = fs_err::read_to_string(self.dir.join("modules.dep"))?;
        let needs = dependencies(&modules_dep);
        for pattern in patterns {
            let found = needs.keys().any(|path| matches(pattern, path));
            ensure!(
                found,
                "no module of the kernel {} matches {pattern}",
                self.version
            );
        }
        Ok(closure(&needs, |path| {
            patterns.iter().any(|pattern| matches(pattern, path))
        }))
    }

    fn remove_others(&self, chosen: &BTreeSet<String>) -> Result<()> {
        for path in files_below(&self.dir)? {
            let name = path.strip_prefix(&self.dir)?.to_string_lossy().into_owned();
            if name.ends_with(".ko") && !chosen.contains(&name) {
                fs_err::remove_file(path)?;
            }
        }
        Ok(())
    }
}

/// Module paths are relative to the version's directory, patterns to the directory `kernel` in it.
fn matches(pattern: &Pattern, path: &str) -> bool {
    path.strip_prefix("kernel/")
        .is_some_and(|path| pattern.matches(path))
}

/// modules.dep: a module, a colon, the modules that it needs.
fn dependencies(modules_dep: &str) -> BTreeMap<&str, Vec<&str>> {
    let lines = modules_dep.lines().filter_map(|line| line.split_once(':'));
    lines
        .map(|(module, needs)| (module, needs.split_whitespace().collect()))
        .collect()
}

fn closure(needs: &BTreeMap<&str, Vec<&str>>, wanted: impl Fn(&str) -> bool) -> BTreeSet<String> {
    let mut open: Vec<&str> = needs.keys().copied().filter(|path| wanted(path)).collect();
    let mut closed = BTreeSet::new();
    while let Some(path) = open.pop() {
        if closed.insert(path.to_owned()) {
            open.extend(needs.get(path).into_iter().flatten());
        }
    }
    closed
}

/// Leaves only the firmware that matches; each pattern has to match some.
fn remove_other_firmware(dir: &Path, patterns: &[Pattern]) -> Result<()> {
    let files = if dir.exists() {
        files_below(dir)?
    } else {
        Vec::new()
    };
    let name = |path: &Path| -> Result<String> {
        Ok(path.strip_prefix(dir)?.to_string_lossy().into_owned())
    };
    let names = files
        .iter()
        .map(|path| name(path))
        .collect::<Result<Vec<_>>>()?;
    for pattern in patterns {
        let found = names.iter().any(|name| pattern.matches(name));
        ensure!(
            found,
            "the packages have no firmware that matches {pattern}"
        );
    }
    for (path, name) in files.iter().zip(&names) {
        if !patterns.iter().any(|pattern| pattern.matches(name)) {
            fs_err::remove_file(path)?;
        }
    }
    Ok(())
}

/// Packs lib, where modules and firmware are, and etc, in order, uncompressed as LinuxKit wants it.
fn pack(root: &Path, out: &Path) -> Result<()> {
    let mut tar = tar::Builder::new(BufWriter::new(File::create(out)?));
    let mut directories = BTreeSet::new();
    let mut files = files_below(&root.join("lib"))?;
    if root.join("etc").is_dir() {
        files.extend(files_below(&root.join("etc"))?);
    }
    for path in files {
        let name = path.strip_prefix(root)?.to_string_lossy().into_owned();
        for (at, _) in name.match_indices('/') {
            if directories.insert(name[..at].to_owned()) {
                let mut header = new_header(EntryType::Directory, 0o755);
                tar.append_data(&mut header, format!("{}/", &name[..at]), std::io::empty())?;
            }
        }
        let file = File::open(&path).with_context(|| format!("opening {}", path.display()))?;
        let mode = if name == EARLY.1 { 0o755 } else { 0o644 };
        let mut header = new_header(EntryType::Regular, mode);
        header.set_size(file.metadata()?.len());
        tar.append_data(&mut header, &name, file)?;
    }
    tar.into_inner()?.flush()?;
    Ok(())
}

/// All regular files below a directory, sorted.
fn files_below(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in walkdir::WalkDir::new(dir).sort_by_file_name() {
        let entry = entry?;
        if entry.file_type().is_file() {
            files.push(entry.into_path());
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEP: &str = "kernel/fs/ext4/ext4.ko: kernel/fs/jbd2/jbd2.ko kernel/lib/crc16.ko\n\
        kernel/fs/jbd2/jbd2.ko:\nkernel/lib/crc16.ko:\nkernel/sound/snd.ko:\n";

    #[test]
    fn what_a_module_needs_comes_along() {
        let pattern = Pattern::parse("fs/ext4/").unwrap();
        let chosen = closure(&dependencies(DEP), |path| matches(&pattern, path));
        let names: Vec<&str> = chosen.iter().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "kernel/fs/ext4/ext4.ko",
                "kernel/fs/jbd2/jbd2.ko",
                "kernel/lib/crc16.ko"
            ]
        );
    }

    #[test]
    fn only_chosen_firmware_stays_and_what_is_not_there_is_named() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["isci/isci_firmware.bin", "carl9170-1.fw"] {
            let path = dir.path().join(name);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, name).unwrap();
        }
        let patterns = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            Pattern::list(&names).unwrap()
        };
        let error = remove_other_firmware(dir.path(), &patterns(&["isci/", "other/"]));
        let error = error.unwrap_err().to_string();
        assert!(error.contains("other/"), "{error}");
        remove_other_firmware(dir.path(), &patterns(&["isci/"])).unwrap();
        assert_eq!(
            files_below(dir.path()).unwrap(),
            [dir.path().join("isci/isci_firmware.bin")]
        );
    }

    #[test]
    fn patterns_begin_below_the_kernel_folder() {
        assert!(matches(
            &Pattern::parse("fs/").unwrap(),
            "kernel/fs/jbd2/jbd2.ko"
        ));
        assert!(!matches(
            &Pattern::parse("kernel/").unwrap(),
            "kernel/fs/jbd2/jbd2.ko"
        ));
    }
}
