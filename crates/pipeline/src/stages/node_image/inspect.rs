//! A user's own OS image: unpacked, checked for what the installer needs, packed as the stage's output.

use std::io::{Cursor, ErrorKind, Read};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use arch::ARCH;
use gpt::GptConfig;
use gpt::partition::Partition;
use gpt::partition_types;

use super::super::decoder::Decoder;
use super::manifest::{self, Description};

/// Bytes per sector that the image's GPT counts in.
const SECTOR: usize = 512;
/// Bytes to look at: protective MBR, GPT header, 128 entries of 128 bytes.
const HEAD: usize = 34 * SECTOR;
/// GPT name by which the installer finds the partition that it configures where none has the type of a root file system.
const ROOT_NAME: &str = "rootfs";

/// Writes `os-image.raw.zst` and `os-image.json` for the raw disk image `image`, which may be
/// compressed by zstd, gzip or xz. `k3s_version` is that of the K3s inside, when it is known.
pub fn accept(image: &Path, name: &str, k3s_version: Option<&str>, out: &Path) -> Result<()> {
    let context = || format!("taking {} as the OS image", image.display());
    let (mut raw, head) = open(image).with_context(context)?;
    let description = Description {
        name,
        k3s_version,
        reference: false,
        // Nobody knows what is in an image of the user's own.
        test_double: None,
    };
    manifest::write(
        &mut Cursor::new(head).chain(raw.reader()),
        &description,
        out,
    )
    .with_context(context)?;
    raw.finish().with_context(context)
}

/// That a file can be an OS image, by its first bytes.
///
/// # Errors
/// It cannot be read, or it has not what the installer relies on.
pub fn check(image: &Path) -> Result<()> {
    open(image)?.0.abandon();
    Ok(())
}

/// The content of an image that can be installed, from behind its partition table on, and that table.
fn open(image: &Path) -> Result<(Decoder, Vec<u8>)> {
    let mut raw = Decoder::open(image)?;
    let mut head = vec![0; HEAD];
    match raw.reader().read_exact(&mut head) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => bail!(
            "it ends before a partition table does: give a raw disk image, plain or compressed by zstd, gzip or xz"
        ),
        read => read.context("reading its partition table")?,
    }
    check_partitions(&head)?;
    Ok((raw, head))
}

/// What the installer relies on: a GPT with an ESP and a root partition, told by its type or its name.
fn check_partitions(head: &[u8]) -> Result<()> {
    let table = GptConfig::new().writable(false);
    // The second table is at the end of the image, which is not read yet.
    let Ok(table) = table.open_from_device(Cursor::new(head.to_vec())) else {
        bail!(
            "it is not a raw disk image with a GPT in sectors of {SECTOR} bytes, plain or compressed by zstd, gzip \
             or xz"
        );
    };
    let kind = |partition: &Partition| partition.part_type_guid.guid.to_string().to_uppercase();
    let partitions: Vec<&Partition> = table.partitions().values().collect();
    if !partitions
        .iter()
        .any(|partition| partition.part_type_guid == partition_types::EFI)
    {
        bail!("its partition table has no EFI system partition");
    }
    let is_root =
        |partition: &&Partition| kind(partition) == ARCH.root_type || partition.name == ROOT_NAME;
    if !partitions.iter().any(is_root) {
        let names = partitions.iter();
        let names: Vec<_> = names.map(|one| format!("{:?}", one.name)).collect();
        bail!(
            "no partition has the type of a root file system ({}) or is called {ROOT_NAME:?}; the partitions are \
             called {}",
            ARCH.root_type,
            names.join(", ")
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use anyhow::ensure;

    use super::*;

    /// An image of 1 MiB with the given partitions, made by the tool that users have.
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

    #[test]
    fn raw_and_compressed_images_give_the_same_raw_digest() -> Result<()> {
        let (dir, raw) = image(&GOOD)?;
        let mut digests = Vec::new();
        for (tool, suffix) in [("zstd", "zst"), ("gzip", "gz"), ("xz", "xz")] {
            let packed = dir.path().join(format!("disk.raw.{suffix}"));
            let status = Command::new(tool)
                .arg("--stdout")
                .arg(&raw)
                .stdout(fs_err::File::create(&packed)?.into_file())
                .status()?;
            assert!(status.success());
            digests.push(raw_digest(&packed)?);
        }
        let plain = raw_digest(&raw)?;
        assert!(
            digests.iter().all(|digest| *digest == plain),
            "{plain} {digests:?}"
        );
        Ok(())
    }

    fn raw_digest(image: &Path) -> Result<String> {
        let out = tempfile::tempdir()?;
        accept(image, "image", None, out.path())?;
        let manifest: serde_json::Value =
            serde_json::from_slice(&fs_err::read(out.path().join(manifest::MANIFEST))?)?;
        assert_eq!(manifest["rawSize"], 1 << 20);
        Ok(manifest["rawSha256"].to_string())
    }

    #[test]
    fn an_image_without_a_root_partition_is_refused_with_the_names_seen() -> Result<()> {
        let (dir, raw) = image(&[
            "--set-alignment=1",
            "-n1:0:+64K",
            "-t1:ef00",
            "-c1:esp",
            "-n2:0:0",
            "-c2:data",
        ])?;
        let error = format!(
            "{:#}",
            accept(&raw, "image", None, dir.path()).expect_err("there is no rootfs")
        );
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
            let (dir, raw) = image(&arguments)?;
            accept(&raw, "image", None, dir.path())?;
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
        let error = format!(
            "{:#}",
            accept(&file, "image", None, dir.path()).expect_err("it is text")
        );
        assert!(error.contains("not a raw disk image with a GPT"), "{error}");
        Ok(())
    }

    #[test]
    fn a_truncated_compressed_image_is_refused() -> Result<()> {
        let (dir, raw) = image(&GOOD)?;
        let packed = dir.path().join("disk.raw.xz");
        let output = Command::new("xz").arg("--stdout").arg(&raw).output()?;
        fs_err::write(&packed, &output.stdout[..output.stdout.len() - 20])?;
        assert!(accept(&packed, "image", None, dir.path()).is_err());
        Ok(())
    }
}
