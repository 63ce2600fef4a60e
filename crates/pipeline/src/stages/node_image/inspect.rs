//! A user's own OS image: unpacked, checked for what the installer needs, packed as the stage's output.

use std::io::{Cursor, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use fs_err::File;

use super::super::decoder::Decoder;
use super::manifest::{self, Description};
use super::partitions;
use crate::stage::NOTES;

/// Bytes to look at: protective MBR, GPT header, 128 entries of 128 bytes, in sectors of 4096 bytes at most.
const HEAD: usize = 6 * 4096;
/// Zeros are left out of the unpacked image in pieces of so many bytes.
const BLOCK: usize = 64 << 10;

/// Writes `os-image.raw.zst`, `os-image.json` and notes for the raw disk image `image`, which may be compressed by zstd, gzip
/// or xz. `k3s_version` is that of the K3s inside, when it is known. `scratch` needs room for what is not zero of it.
pub fn accept(
    image: &Path,
    name: &str,
    k3s_version: Option<&str>,
    scratch: &Path,
    out: &Path,
) -> Result<()> {
    let context = || format!("taking {} as the OS image", image.display());
    let work = tempfile::tempdir_in(scratch)?;
    let raw = work.path().join("os-image.raw");
    unpack(image, &raw).with_context(context)?;
    let (disk, notes) = partitions::describe(&raw, work.path()).with_context(context)?;
    if !notes.is_empty() {
        fs_err::write(out.join(NOTES), notes.join("\n") + "\n")?;
    }
    let description = Description {
        name,
        k3s_version,
        reference: false,
        // Nobody knows what is in an image of the user's own.
        test_double: None,
        drivers: None,
        disk: &disk,
    };
    manifest::write(&mut File::open(&raw)?, &description, out).with_context(context)
}

/// That a file can be an OS image, by its first bytes.
///
/// # Errors
/// It cannot be read, or it has not what the installer relies on.
pub fn check(image: &Path) -> Result<()> {
    open(image)?.0.abandon();
    Ok(())
}

/// An image with a partition table that can be installed, read behind its first bytes, and these.
fn open(image: &Path) -> Result<(Decoder, Vec<u8>)> {
    let mut raw = Decoder::open(image)?;
    let mut head = vec![0; HEAD];
    match raw.reader().read_exact(&mut head) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => bail!(
            "it ends before a partition table does: give a raw disk image, plain or compressed by zstd, gzip or xz"
        ),
        read => read.context("reading its partition table")?,
    }
    let table = partitions::table(|| Ok(Cursor::new(head.clone())))?;
    partitions::listed(&table)?;
    Ok((raw, head))
}

/// The image as a file with holes.
fn unpack(image: &Path, raw: &Path) -> Result<()> {
    let (mut decoder, head) = open(image)?;
    let mut file = File::create(raw)?;
    let mut reader = Cursor::new(head).chain(decoder.reader());
    let mut block = Vec::with_capacity(BLOCK);
    loop {
        block.clear();
        (&mut reader).take(BLOCK as u64).read_to_end(&mut block)?;
        if block.is_empty() {
            break;
        }
        match block.iter().all(|byte| *byte == 0) {
            true => {
                file.seek(SeekFrom::Current(block.len() as i64))?;
            }
            false => file.write_all(&block)?,
        }
    }
    let size = file.stream_position()?;
    file.set_len(size)?;
    drop(reader);
    decoder.finish()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt as _;
    use std::process::Command;

    use anyhow::ensure;
    use arch::ARCH;

    use super::super::efi_programs::tests::file_system;
    use super::super::{disk, raw};
    use super::*;

    /// An image of 1 MiB with the given partitions, which are empty, made by the tool that users have.
    fn image(arguments: &[&str]) -> Result<(tempfile::TempDir, std::path::PathBuf)> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("disk.raw");
        fs_err::File::create(&path)?.set_len(1 << 20)?;
        let path_list = format!("{}:/usr/sbin:/sbin", std::env::var("PATH")?);
        let output = Command::new("sgdisk")
            .env("PATH", path_list)
            .args(arguments)
            .arg(&path)
            .output()?;
        ensure!(
            output.status.success(),
            "sgdisk: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        // Behind the table, where all of them have the ESP first.
        let esp = file_system(64 << 10, &[])?;
        let file = fs_err::OpenOptions::new().write(true).open(&path)?;
        file.file().write_all_at(&esp, HEAD as u64)?;
        Ok((dir, path))
    }

    const GOOD: [&str; 6] = [
        "--set-alignment=1",
        "-n1:0:+64K",
        "-t1:ef00",
        "-n2:0:0",
        "-t2:8304",
        "-c2:rootfs",
    ];

    /// An image whose ESP has this boot loader and this entry for it, and whose root has these files and an fstab.
    struct Real {
        loader: Vec<u8>,
        entry: Option<(&'static str, Vec<u8>)>,
        passwd: bool,
    }

    const ROOT_UUID: &str = "1f6e2c4a-5b0d-4e7a-9c38-e0575f6d7402";
    const ROOT_GUID: &str = "C2E84D17-93FA-4A60-A1B5-E0575F6D7402";
    const MIB: u64 = 1 << 20;

    impl Default for Real {
        fn default() -> Self {
            // What firmware looks at of a PE program.
            let mut loader = vec![0; 128];
            loader[0x3c] = 0x40;
            loader[0x40..0x44].copy_from_slice(b"PE\0\0");
            loader[0x44..0x46].copy_from_slice(&ARCH.pe.to_le_bytes());
            Self {
                loader,
                entry: None,
                passwd: true,
            }
        }
    }

    impl Real {
        fn make(&self) -> Result<(tempfile::TempDir, std::path::PathBuf)> {
            let dir = tempfile::tempdir()?;
            let (esp, root) = (dir.path().join("esp"), dir.path().join("root"));
            fs_err::File::create(&esp)?.set_len(2 * MIB)?;
            tool("mkfs.vfat", &["-i", "e0575f01", "esp"], dir.path())?;
            tool(
                "mmd",
                &[
                    "-i",
                    "esp",
                    "::EFI",
                    "::EFI/BOOT",
                    "::loader",
                    "::EFI/Linux",
                ],
                dir.path(),
            )?;
            fs_err::write(dir.path().join("file"), &self.loader)?;
            let boot_file = format!("::{}", ARCH.boot_file);
            tool("mcopy", &["-i", "esp", "file", &boot_file], dir.path())?;
            if let Some((name, content)) = &self.entry {
                fs_err::write(dir.path().join("file"), content)?;
                tool(
                    "mcopy",
                    &["-i", "esp", "file", &format!("::{name}")],
                    dir.path(),
                )?;
            }
            let tree = dir.path().join("tree/etc");
            fs_err::create_dir_all(&tree)?;
            if self.passwd {
                fs_err::write(tree.join("passwd"), "root:x:0:0::/root:/bin/sh\n")?;
            }
            fs_err::write(tree.join("fstab"), format!("UUID={ROOT_UUID} / ext4\n"))?;
            fs_err::File::create(&root)?.set_len(4 * MIB)?;
            let options = [
                "-q", "-F", "-t", "ext4", "-b", "4096", "-U", ROOT_UUID, "-d", "tree", "root",
            ];
            tool("mke2fs", &options, dir.path())?;
            let raw = dir.path().join("disk.raw");
            fs_err::File::create(&raw)?.set_len(8 * MIB)?;
            let guid = format!("-u2:{ROOT_GUID}");
            let layout = [
                "-n1:1M:+2M",
                "-t1:ef00",
                "-n2:3M:+4M",
                "-t2:8304",
                "-c2:rootfs",
                &guid,
                "disk.raw",
            ];
            tool("sgdisk", &layout, dir.path())?;
            let mut file = fs_err::OpenOptions::new().write(true).open(&raw)?;
            for (part, at) in [(esp, MIB), (root, 3 * MIB)] {
                file.seek(SeekFrom::Start(at))?;
                file.write_all(&fs_err::read(part)?)?;
            }
            Ok((dir, raw))
        }
    }

    fn tool(name: &str, arguments: &[&str], directory: &Path) -> Result<()> {
        let mut command = disk::tool(name);
        raw::output(command.args(arguments).current_dir(directory)).map(|_| ())
    }

    fn taken(raw: &Path) -> Result<(serde_json::Value, String)> {
        let (out, scratch) = (tempfile::tempdir()?, tempfile::tempdir()?);
        accept(raw, "image", None, scratch.path(), out.path())?;
        let manifest = fs_err::read(out.path().join(manifest::MANIFEST))?;
        let notes = fs_err::read_to_string(out.path().join(NOTES)).unwrap_or_default();
        Ok((serde_json::from_slice(&manifest)?, notes))
    }

    fn refused(real: &Real) -> Result<String> {
        let (_dir, raw) = real.make()?;
        Ok(format!("{:#}", taken(&raw).expect_err("it is refused")))
    }

    #[test]
    fn an_image_is_described_by_what_is_in_it() -> Result<()> {
        let (_dir, raw) = Real::default().make()?;
        let (manifest, notes) = taken(&raw)?;
        assert_eq!(manifest["sectorSize"], 512);
        assert_eq!(manifest["architecture"], std::env::consts::ARCH);
        let partitions = &manifest["partitions"];
        assert_eq!(partitions[0]["fileSystem"]["type"], "vfat");
        assert_eq!(partitions[0]["fileSystem"]["uuid"], "E057-5F01");
        let root = &partitions[1];
        assert_eq!(
            (&root["number"], &root["name"]),
            (&2.into(), &"rootfs".into())
        );
        assert_eq!(
            (&root["start"], &root["size"]),
            (&(3 * MIB).into(), &(4 * MIB).into())
        );
        assert_eq!(root["guid"], ROOT_GUID.to_lowercase());
        assert_eq!(root["type"], ARCH.root_type);
        assert_eq!(root["fileSystem"]["uuid"], ROOT_UUID);
        assert!(
            manifest["notBefore"]
                .as_u64()
                .is_some_and(|time| time > 1_500_000_000)
        );
        assert!(
            manifest.get("drivers").is_none() && notes.is_empty(),
            "{notes}"
        );
        Ok(())
    }

    #[test]
    fn names_in_texts_are_listed_with_their_places() -> Result<()> {
        let entry = format!("title a\noptions root=PARTUUID={ROOT_GUID}\n");
        let real = Real {
            entry: Some(("loader/a.conf", entry.into_bytes())),
            ..Real::default()
        };
        let (_dir, raw) = real.make()?;
        let (manifest, notes) = taken(&raw)?;
        assert_eq!((&manifest["kept"], &*notes), (&serde_json::json!([]), ""));
        let bytes = fs_err::read(&raw)?;
        let named = manifest["named"].as_array().context("a list")?;
        let mut texts = Vec::new();
        for one in named {
            let uuid = one["uuid"].as_str().context("a text")?;
            let at = one["offsets"][0].as_u64().context("a place")? as usize;
            assert_eq!(&bytes[at..at + uuid.len()], uuid.as_bytes());
            texts.push(uuid.to_owned());
        }
        assert_eq!(texts, [ROOT_GUID, ROOT_UUID]);
        Ok(())
    }

    #[test]
    fn what_a_program_names_stays_with_a_note() -> Result<()> {
        let real = Real {
            entry: Some((
                "EFI/Linux/a.efi",
                format!("MZ\0root=UUID={ROOT_UUID}").into_bytes(),
            )),
            ..Real::default()
        };
        let (_dir, raw) = real.make()?;
        let (manifest, notes) = taken(&raw)?;
        let kept = serde_json::json!([{"uuid": ROOT_UUID, "by": "EFI/Linux/a.efi"}]);
        assert_eq!(
            (&manifest["kept"], &manifest["named"]),
            (&kept, &serde_json::json!([]))
        );
        assert!(
            notes.contains(&format!("share {ROOT_UUID}, as EFI/Linux/a.efi names it")),
            "{notes}"
        );
        Ok(())
    }

    #[test]
    fn what_could_not_be_installed_is_refused() -> Result<()> {
        let no_passwd = Real {
            passwd: false,
            ..Real::default()
        };
        let error = refused(&no_passwd)?;
        assert!(
            error.ends_with("its root file system has no /etc/passwd"),
            "{error}"
        );
        let text = Real {
            loader: b"no program".to_vec(),
            ..Real::default()
        };
        let error = refused(&text)?;
        assert!(
            error.contains(&format!(
                "{} on its EFI system partition is no program",
                ARCH.boot_file
            )),
            "{error}"
        );
        Ok(())
    }

    #[test]
    fn a_damaged_file_system_is_refused() -> Result<()> {
        let (dir, raw) = Real::default().make()?;
        let root = format!("disk.raw?offset={}", 3 * MIB);
        tool("debugfs", &["-w", "-R", "clri <2>", &root], dir.path())?;
        let error = format!("{:#}", taken(&raw).expect_err("it is damaged"));
        assert!(
            error.contains("partition 2 (\"rootfs\"): e2fsck finds errors"),
            "{error}"
        );
        Ok(())
    }

    #[test]
    fn raw_and_compressed_images_give_the_same_raw_digest() -> Result<()> {
        let (dir, raw) = Real::default().make()?;
        let plain = taken(&raw)?.0;
        assert_eq!(plain["rawSize"], 8 * MIB);
        for (tool, suffix) in [("zstd", "zst"), ("gzip", "gz"), ("xz", "xz")] {
            let packed = dir.path().join(format!("disk.raw.{suffix}"));
            let status = Command::new(tool)
                .arg("--stdout")
                .arg(&raw)
                .stdout(fs_err::File::create(&packed)?.into_file())
                .status()?;
            assert!(status.success());
            assert_eq!(taken(&packed)?.0["rawSha256"], plain["rawSha256"]);
        }
        Ok(())
    }

    #[test]
    fn an_image_without_a_root_partition_is_refused_with_the_names_seen() -> Result<()> {
        let (_dir, raw) = image(&[
            "--set-alignment=1",
            "-n1:0:+64K",
            "-t1:ef00",
            "-c1:esp",
            "-n2:0:0",
            "-c2:data",
        ])?;
        let error = format!("{:#}", check(&raw).expect_err("there is no rootfs"));
        assert!(
            error.contains(r#"the partitions are called "esp", "data""#),
            "{error}"
        );
        Ok(())
    }

    #[test]
    fn a_root_partition_is_told_by_its_type_or_by_its_name() -> Result<()> {
        let mut by_type = GOOD;
        by_type[5] = "-c2:system";
        let mut by_name = GOOD;
        by_name[4] = "-t2:8300";
        for arguments in [by_type, by_name] {
            let (_dir, raw) = image(&arguments)?;
            check(&raw)?;
        }
        Ok(())
    }

    #[test]
    fn the_first_bytes_of_a_compressed_image_are_enough_for_a_check() -> Result<()> {
        let (dir, raw) = image(&GOOD)?;
        check(&raw)?;
        let packed = dir.path().join("disk.raw.xz");
        let status = Command::new("xz")
            .arg("--stdout")
            .arg(&raw)
            .stdout(fs_err::File::create(&packed)?.into_file())
            .status()?;
        assert!(status.success());
        check(&packed)
    }

    #[test]
    fn a_file_that_is_no_disk_image_is_refused() -> Result<()> {
        let dir = tempfile::tempdir()?;
        let file = dir.path().join("x");
        fs_err::write(&file, vec![b'x'; 1 << 20])?;
        let error = format!("{:#}", check(&file).expect_err("it is text"));
        assert!(error.contains("not a raw disk image with a GPT"), "{error}");
        Ok(())
    }

    #[test]
    fn a_truncated_compressed_image_is_refused() -> Result<()> {
        let (dir, raw) = Real::default().make()?;
        let packed = dir.path().join("disk.raw.xz");
        let output = Command::new("xz").arg("--stdout").arg(&raw).output()?;
        fs_err::write(&packed, &output.stdout[..output.stdout.len() - 20])?;
        assert!(taken(&packed).is_err());
        Ok(())
    }
}
