//! The raw disk: GPT with an ESP, which boots a unified kernel image, and the root file system.

use std::collections::BTreeSet;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::process;

/// UUID of the root file system, by which the kernel command line names it.
pub const ROOT_UUID: &str = "1f6e2c4a-5b0d-4e7a-9c38-e0575f6d7402";
const DISK_GUID: &str = "8d3c2f0e-6a51-4b7f-8e19-e0575f6d7400";
const ESP_GUID: &str = "5a9b7e31-0c4d-4f26-b8d2-e0575f6d7401";
const ROOT_GUID: &str = "c2e84d17-93fa-4a60-a1b5-e0575f6d7402";
/// FAT volume serial number of the ESP.
const ESP_SERIAL: &str = "e0575f01";

const MIB: u64 = 1 << 20;
/// Bytes before the first partition: room for the GPT, and the alignment of all partitions.
const ESP_START: u64 = MIB;
/// Room for several kernels of about 16 MiB.
const ESP_SIZE: u64 = 128 * MIB;
/// Bytes per sector, of which sgdisk and mkfs.vfat count.
const SECTOR: u64 = 512;

/// systemd-boot and its stub, from the package systemd-boot-efi.
const EFI: &str = "/usr/lib/systemd/boot/efi";
/// What systemd-boot shows and sorts by.
const OS_RELEASE: &str = "ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"emts reference node\"\n";

/// A file of the ESP.
#[derive(Debug)]
pub struct EspFile {
    /// The file whose content it gets.
    pub from: PathBuf,
    /// Its path on the ESP, such as `EFI/BOOT/BOOTX64.EFI`.
    pub to: String,
}

impl EspFile {
    /// systemd-boot, where firmware looks without being told.
    pub fn boot_loader() -> Self {
        Self {
            from: PathBuf::from(EFI).join("systemd-bootx64.efi"),
            to: "EFI/BOOT/BOOTX64.EFI".to_owned(),
        }
    }
}

/// Makes the disk image `raw` from the `root.ext4`, `vmlinuz`, `initrd.img` and `kernel-version` in
/// `work`, and from the boot settings in the folder `source`.
pub fn make(source: &Path, work: &Path, raw: &Path) -> Result<()> {
    let (uki, version) = make_uki(source, work)?;
    let files = [
        EspFile::boot_loader(),
        EspFile {
            from: uki,
            to: format!("EFI/Linux/emts-{version}.efi"),
        },
        EspFile {
            from: source.join("boot/loader.conf"),
            to: "loader/loader.conf".to_owned(),
        },
    ];
    compose(work, &files, ESP_SIZE, raw)
}

/// Makes the disk image `raw` with an ESP of `esp_size` bytes, a multiple of 1 MiB, that holds `files`,
/// and with the file system `root.ext4` of `work`.
pub fn compose(work: &Path, files: &[EspFile], esp_size: u64, raw: &Path) -> Result<()> {
    let root = work.join("root.ext4");
    let root_size = fs_err::metadata(&root)?.len();
    let root_start = ESP_START + esp_size;
    // As much again at the end as at the beginning, for the second GPT.
    let file = fs_err::File::create(raw)?;
    file.set_len(root_start + root_size + MIB)?;
    drop(file);
    partition(raw, esp_size, root_size)?;
    let esp = make_esp(work, files, esp_size)?;
    copy_sparse(&esp, raw, ESP_START)
        .with_context(|| format!("copying the ESP into {}", raw.display()))?;
    copy_sparse(&root, raw, root_start)
        .with_context(|| format!("copying the root file system into {}", raw.display()))
}

/// A tool of `/usr/sbin`, which is not in the PATH of ordinary users.
fn tool(name: &str) -> Command {
    let mut command = Command::new(name);
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
    command
}

fn partition(raw: &Path, esp_size: u64, root_size: u64) -> Result<()> {
    let last = |start: u64, size: u64| (start + size) / SECTOR - 1;
    let mut sgdisk = tool("sgdisk");
    sgdisk
        .args(["--set-alignment=2048", &format!("--disk-guid={DISK_GUID}")])
        .arg(format!(
            "--new=1:{}:{}",
            ESP_START / SECTOR,
            last(ESP_START, esp_size)
        ))
        .args(["--typecode=1:ef00", "--change-name=1:esp"])
        .arg(format!("--partition-guid=1:{ESP_GUID}"))
        .arg(format!(
            "--new=2:{}:{}",
            (ESP_START + esp_size) / SECTOR,
            last(ESP_START + esp_size, root_size)
        ))
        // 8304: Linux root x86-64, 4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709
        .args(["--typecode=2:8304", "--change-name=2:rootfs"])
        .arg(format!("--partition-guid=2:{ROOT_GUID}"))
        .arg(raw);
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
    let folders: BTreeSet<&Path> = files
        .iter()
        .flat_map(|file| Path::new(&file.to).ancestors().skip(1))
        .filter(|folder| !folder.as_os_str().is_empty())
        .collect();
    let mut mmd = tool("mmd");
    mmd.arg("-i").arg(&esp);
    mmd.args(
        folders
            .iter()
            .map(|folder| format!("::{}", folder.display())),
    );
    process::run(&mut mmd)?;
    for EspFile { from, to } in files {
        let mut copy = tool("mcopy");
        copy.arg("-i").arg(&esp).arg(from).arg(format!("::{to}"));
        process::run(&mut copy)?;
    }
    Ok(esp)
}

/// The kernel, initramfs and command line as one EFI executable; returns it and the kernel's version.
fn make_uki(source: &Path, work: &Path) -> Result<(PathBuf, String)> {
    let version = fs_err::read_to_string(work.join("kernel-version"))?
        .trim()
        .to_owned();
    let arguments = fs_err::read_to_string(source.join("boot/cmdline"))?;
    let uki = work.join("uki.efi");
    hookos::uki::build(
        &Path::new(EFI).join("linuxx64.efi.stub"),
        &work.join("vmlinuz"),
        &work.join("initrd.img"),
        &format!("root=UUID={ROOT_UUID} {}", arguments.trim()),
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
    let mut position = offset;
    loop {
        let read = from.read(&mut block)?;
        if read == 0 {
            return Ok(());
        }
        if block[..read].iter().any(|byte| *byte != 0) {
            to.seek(SeekFrom::Start(position))?;
            to.write_all(&block[..read])?;
        }
        position += u64::try_from(read)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
