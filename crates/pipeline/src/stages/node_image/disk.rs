//! The raw disk: GPT with an ESP, which boots a unified kernel image, the root file system and, in the layout
//! with an immutable root, the file system of what outlives a reboot.

use std::collections::BTreeSet;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use arch::ARCH;
use hookos::oci::T0;

use crate::choice::{Layout, Signing};
use crate::input::Source;
use crate::process;
use crate::signing;

/// UUID of the root file system in the image; an installed disk has one of its own.
pub const ROOT_UUID: &str = "1f6e2c4a-5b0d-4e7a-9c38-e0575f6d7402";
/// UUID of the file system of what outlives a reboot.
pub const PERSISTENT_UUID: &str = "93b1d6f8-27ce-4a15-b0e4-e0575f6d7403";
const DISK_GUID: &str = "8d3c2f0e-6a51-4b7f-8e19-e0575f6d7400";
const ESP_GUID: &str = "5a9b7e31-0c4d-4f26-b8d2-e0575f6d7401";
const ROOT_GUID: &str = "c2e84d17-93fa-4a60-a1b5-e0575f6d7402";
const PERSISTENT_GUID: &str = "2d57a9c4-e816-4b03-8fd7-e0575f6d7403";
/// FAT volume serial number of the ESP.
const ESP_SERIAL: &str = "e0575f01";

const MIB: u64 = 1 << 20;
/// Bytes before the first partition: room for the GPT, and the alignment of all partitions.
const ESP_START: u64 = MIB;
/// Room for several kernels of about 16 MiB.
const ESP_SIZE: u64 = 128 * MIB;
/// Bytes per sector, of which sgdisk and mkfs.vfat count.
const SECTOR: u64 = 512;

/// What systemd-boot shows and sorts by.
const OS_RELEASE: &str = "ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"emts reference node\"\n";

/// A file of the ESP.
#[derive(Debug)]
pub struct EspFile {
    /// The file whose content it gets.
    pub from: PathBuf,
    /// Its path on the ESP.
    pub to: String,
}

impl EspFile {
    /// What firmware starts without being told.
    pub fn boot_loader(program: &Path) -> Self {
        Self {
            from: program.to_owned(),
            to: ARCH.boot_file.to_owned(),
        }
    }
}

/// A partition with a file system, after the ESP.
#[derive(Debug)]
pub struct Partition {
    /// File in the working directory with its content, a multiple of 1 MiB.
    image: &'static str,
    /// GPT name.
    name: &'static str,
    /// GPT type, as sgdisk takes it.
    kind: &'static str,
    guid: &'static str,
}

/// The root file system, found by its type.
pub const ROOT: Partition = Partition {
    image: "root.ext4",
    name: "rootfs",
    kind: ARCH.root_type,
    guid: ROOT_GUID,
};

/// The same under a type that says nothing (Linux file system): it is found by its name.
const ROOT_BY_NAME: Partition = Partition {
    kind: "8300",
    ..ROOT
};

const PERSISTENT: Partition = Partition {
    image: "persistent.ext4",
    name: "edge_persistent",
    kind: "8300",
    guid: PERSISTENT_GUID,
};

/// What the disk boots with.
#[derive(Debug)]
pub struct Boot<'a> {
    /// systemd-boot, its settings, and the stub that makes an EFI executable of a kernel.
    pub loader: &'a Source,
    pub loader_settings: PathBuf,
    pub stub: &'a Source,
    /// The file with the kernel's arguments.
    pub arguments: PathBuf,
    /// The key that the boot files are signed with.
    pub signing: Option<&'a Signing>,
}

/// Makes the disk image `raw` from the file systems, `vmlinuz`, `initrd.img` and `kernel-version` in
/// `work`.
pub fn make(layout: Layout, boot: &Boot<'_>, work: &Path, raw: &Path) -> Result<()> {
    let (access, partitions): (_, &[Partition]) = match layout {
        Layout::Plain => ("rw", &[ROOT]),
        Layout::Immutable => ("ro", &[ROOT_BY_NAME, PERSISTENT]),
    };
    let (uki, version) = make_uki(access, boot, work)?;
    let files = vec![
        EspFile::boot_loader(boot.loader.path()),
        EspFile {
            from: uki,
            to: format!("EFI/Linux/emts-{version}.efi"),
        },
        EspFile {
            from: boot.loader_settings.clone(),
            to: "loader/loader.conf".to_owned(),
        },
    ];
    let files = sign(files, boot.signing, work)?;
    compose(work, &files, ESP_SIZE, partitions, raw)
}

/// The files with signed copies in `work` of those that the firmware verifies. Without a key, as they are.
pub fn sign(mut files: Vec<EspFile>, key: Option<&Signing>, work: &Path) -> Result<Vec<EspFile>> {
    let Some(key) = key else {
        return Ok(files);
    };
    for (number, file) in files.iter_mut().enumerate() {
        if file.to.to_ascii_lowercase().ends_with(".efi") {
            let signed = work.join(format!("signed-{number}.efi"));
            fs_err::copy(&file.from, &signed)?;
            signing::sign(&signed, key)?;
            file.from = signed;
        }
    }
    Ok(files)
}

/// Makes the disk image `raw` with an ESP of `esp_size` bytes, a multiple of 1 MiB, that holds `files`,
/// and with `partitions` after it, whose content is in `work`.
pub fn compose(
    work: &Path,
    files: &[EspFile],
    esp_size: u64,
    partitions: &[Partition],
    raw: &Path,
) -> Result<()> {
    let mut places = Vec::new();
    let mut end = ESP_START + esp_size;
    for partition in partitions {
        let size = fs_err::metadata(work.join(partition.image))?.len();
        places.push((partition, end, size));
        end += size;
    }
    // As much again at the end as at the beginning, for the second GPT.
    fs_err::File::create(raw)?.set_len(end + MIB)?;
    write_table(raw, esp_size, &places)?;
    let esp = make_esp(work, files, esp_size)?;
    copy_sparse(&esp, raw, ESP_START)
        .with_context(|| format!("copying the ESP into {}", raw.display()))?;
    for (partition, start, _) in places {
        copy_sparse(&work.join(partition.image), raw, start)
            .with_context(|| format!("copying {} into {}", partition.image, raw.display()))?;
    }
    Ok(())
}

/// A tool of `/usr/sbin`, which is not in the PATH of ordinary users.
pub fn tool(name: &str) -> Command {
    let mut command = Command::new(name);
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
    command
}

/// A tool of mtools on the image `esp.img` in `work`. It writes the same times always: FAT has local time. The name has no
/// directory: of one with a character that is special to a shell, mtools has a shell read it.
fn mtool(name: &str, work: &Path) -> Command {
    let mut command = tool(name);
    command
        .current_dir(work)
        .args(["-i", "esp.img"])
        .env("SOURCE_DATE_EPOCH", T0.to_string())
        .env("TZ", "UTC0");
    command
}

/// Writes the partition table: the ESP, and the partitions from their first byte on with their size in bytes.
fn write_table(raw: &Path, esp_size: u64, places: &[(&Partition, u64, u64)]) -> Result<()> {
    let esp = Partition {
        image: "esp.img",
        name: "esp",
        kind: "ef00",
        guid: ESP_GUID,
    };
    let mut sgdisk = tool("sgdisk");
    sgdisk.args(["--set-alignment=2048", &format!("--disk-guid={DISK_GUID}")]);
    let all = std::iter::once((&esp, ESP_START, esp_size)).chain(places.iter().copied());
    for (number, (partition, start, size)) in (1..).zip(all) {
        let (first, last) = (start / SECTOR, (start + size) / SECTOR - 1);
        sgdisk
            .arg(format!("--new={number}:{first}:{last}"))
            .arg(format!("--typecode={number}:{}", partition.kind))
            .arg(format!("--change-name={number}:{}", partition.name))
            .arg(format!("--partition-guid={number}:{}", partition.guid));
    }
    sgdisk.arg(raw);
    process::run(&mut sgdisk)
}

fn make_esp(work: &Path, files: &[EspFile], size: u64) -> Result<PathBuf> {
    let esp = work.join("esp.img");
    fs_err::File::create(&esp)?.set_len(size)?;
    // One sector a cluster: with fewer, larger clusters it would not be FAT32 any more.
    let mut mkfs = tool("mkfs.vfat");
    mkfs.args([
        "--invariant",
        "-F",
        "32",
        "-s",
        "1",
        "-n",
        "ESP",
        "-i",
        ESP_SERIAL,
    ])
    .arg(&esp);
    process::run(&mut mkfs)?;
    let directories: BTreeSet<&Path> = files
        .iter()
        .flat_map(|file| Path::new(&file.to).ancestors().skip(1))
        .filter(|directory| !directory.as_os_str().is_empty())
        .collect();
    let mut mmd = mtool("mmd", work);
    mmd.args(
        directories
            .iter()
            .map(|directory| format!("::{}", directory.display())),
    );
    process::run(&mut mmd)?;
    for EspFile { from, to } in files {
        let mut copy = mtool("mcopy", work);
        copy.arg(from).arg(format!("::{to}"));
        process::run(&mut copy)?;
    }
    Ok(esp)
}

/// The kernel, initramfs and command line as one EFI executable; returns it and the kernel's version.
/// `access` is the kernel's word for how the root file system is mounted.
fn make_uki(access: &str, boot: &Boot<'_>, work: &Path) -> Result<(PathBuf, String)> {
    let version = fs_err::read_to_string(work.join("kernel-version"))?
        .trim()
        .to_owned();
    let arguments = fs_err::read_to_string(&boot.arguments)?;
    let uki = work.join("uki.efi");
    hookos::uki::build(
        boot.stub.path(),
        &work.join("vmlinuz"),
        &work.join("initrd.img"),
        // On the disk that the boot loader was started from: another one may have the same name.
        &format!("root=PARTLABEL={} {access} {}", ROOT.name, arguments.trim()),
        OS_RELEASE,
        &uki,
    )?;
    Ok((uki, version))
}

/// Writes `from` into `to` at `offset`, leaving holes where `from` has zeros.
fn copy_sparse(from: &Path, to: &Path, offset: u64) -> Result<()> {
    let mut from = fs_err::File::open(from)?;
    let mut to = fs_err::OpenOptions::new().write(true).open(to)?;
    let mut block = vec![0; 64 << 10];
    let zeros = block.clone();
    let mut position = offset;
    loop {
        let read = from.read(&mut block)?;
        if read == 0 {
            return Ok(());
        }
        if block[..read] != zeros[..read] {
            to.seek(SeekFrom::Start(position))?;
            to.write_all(&block[..read])?;
        }
        position += u64::try_from(read)?;
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::super::super::boot_files;
    use super::*;
    use crate::cancel::Cancel;
    use crate::group;

    #[test]
    fn only_executables_are_signed_and_only_with_a_key() -> Result<()> {
        let dir = tempfile::tempdir()?;
        let loader = boot_files::loader();
        let settings = dir.path().join("loader.conf");
        fs_err::write(&settings, "timeout 0\n")?;
        let files = || {
            let to = "loader/loader.conf".to_owned();
            let from = settings.clone();
            vec![EspFile::boot_loader(loader.path()), EspFile { from, to }]
        };
        let unsigned = sign(files(), None, dir.path())?;
        assert_eq!(unsigned[0].from, loader.path());
        let key = signing::test_key(dir.path())?;
        let signed = sign(files(), Some(&key), dir.path())?;
        assert_eq!(signed[1].from, settings);
        let verified = |file: &EspFile| -> Result<bool> {
            let mut command = Command::new("sbverify");
            command.args(["--cert", ARCH.test_certificate]);
            Ok(command.arg(&file.from).output()?.status.success())
        };
        assert!(verified(&signed[0])? && !verified(&unsigned[0])?);
        Ok(())
    }

    /// A disk in `work` with a file that was last modified at `modified`, on the ESP and in the root file system.
    fn disk_of_a_file(work: &Path, modified: SystemTime) -> Result<PathBuf> {
        let tree = work.join("tree");
        let file = tree.join("directory/file");
        fs_err::create_dir_all(tree.join("directory"))?;
        fs_err::write(&file, "content")?;
        std::os::unix::fs::symlink("directory/file", tree.join("link"))?;
        fs_err::File::open(&file)?
            .into_parts()
            .0
            .set_modified(modified)?;
        let script = Path::new(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../vm-tests/reference/make-ext4.sh"
        ));
        process::run(
            process::with_files_of_root(script)
                .arg(work.join(ROOT.image))
                .args(["140", "rootfs", ROOT_UUID])
                .arg(tree)
                .env("SOURCE_DATE_EPOCH", T0.to_string()),
        )?;
        let to = "EFI/file".to_owned();
        let raw = work.join("disk.raw");
        compose(work, &[EspFile { from: file, to }], 40 * MIB, &[ROOT], &raw)?;
        Ok(raw)
    }

    #[test]
    fn a_disk_is_the_same_whenever_its_files_were_modified() -> Result<()> {
        let (first, second) = (tempfile::tempdir()?, tempfile::tempdir()?);
        let now = SystemTime::now();
        let earlier = disk_of_a_file(first.path(), now - Duration::from_secs(86_400))?;
        let later = disk_of_a_file(second.path(), now)?;
        assert!(fs_err::read(earlier)? == fs_err::read(later)?);
        Ok(())
    }

    /// Two disks that are made at once would not differ by it.
    #[test]
    fn a_disk_does_not_have_the_time_of_its_making() -> Result<()> {
        let work = tempfile::tempdir()?;
        disk_of_a_file(work.path(), SystemTime::now())?;
        let mut times = BTreeSet::new();
        for path in ["/", "/directory", "/directory/file", "/link", "<8>", "<11>"] {
            let mut debugfs = tool("debugfs");
            debugfs
                .args(["-R", &format!("stat {path}")])
                .arg(work.path().join(ROOT.image));
            let stat = group::output(&mut debugfs, &Cancel::default())?;
            let lines = stat.lines().filter(|line| line.contains("time: 0x"));
            times.extend(lines.filter_map(|line| Some(line.split_once("0x")?.1[..8].to_owned())));
        }
        assert_eq!(times, BTreeSet::from([format!("{T0:08x}")]));
        let mut mdir = mtool("mdir", work.path());
        mdir.arg("::EFI");
        let listing = group::output(&mut mdir, &Cancel::default())?;
        // The directory itself, the one that it is in, and the file.
        assert_eq!(listing.matches("2017-04-18  16:30").count(), 3, "{listing}");
        Ok(())
    }

    #[test]
    fn a_sparse_copy_has_the_bytes_of_its_source_at_the_offset() -> Result<()> {
        let dir = tempfile::tempdir()?;
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        let mut content = vec![0; 300 << 10];
        content[200 << 10] = 7;
        fs_err::write(&from, &content)?;
        fs_err::File::create(&to)?.set_len(1 << 20)?;
        copy_sparse(&from, &to, 4096)?;
        let written = fs_err::read(&to)?;
        assert!(written[4096..4096 + content.len()] == content);
        assert!(
            written[4096 + content.len()..]
                .iter()
                .all(|byte| *byte == 0)
        );
        Ok(())
    }
}
