//! Disk images of the machine: empty targets, overlays, parts read back.

use std::ffi::OsStr;
use std::io::{Read, Seek};
use std::path::Path;
use std::process::Command;

use rustix::fs::SeekFrom;
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::hex::hex;

/// Why a disk image could not be made or read.
#[derive(Debug, Error)]
pub enum DiskError {
    /// `qemu-img` is not there or could not be started.
    #[error(
        "cannot start qemu-img to {doing}; install the package qemu-utils (`cargo xtask setup` does)"
    )]
    Start {
        /// What it was to do.
        doing: String,
        /// The system's answer.
        source: std::io::Error,
    },
    /// `qemu-img` failed.
    #[error("cannot {doing}: qemu-img said: {stderr}")]
    Failed {
        /// What it was to do.
        doing: String,
        /// Its standard error.
        stderr: String,
    },
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] std::io::Error),
}

/// Makes an empty raw disk of `bytes`, sparse.
///
/// # Errors
/// The file cannot be made.
pub fn create_empty_disk(path: &Path, bytes: u64) -> Result<(), DiskError> {
    Ok(fs_err::File::create(path)?.set_len(bytes)?)
}

/// A SHA-256 over the disk's content in hexadecimal: of all blocks of 64 KiB that are not zeros, with their
/// places. So it does not matter whether zeros are stored or are a hole in the file.
///
/// # Errors
/// The file cannot be read.
pub fn fingerprint(path: &Path) -> std::io::Result<String> {
    const BLOCK: usize = 64 << 10;
    let mut file = fs_err::File::open(path)?;
    let end = file.metadata()?.len();
    let mut hasher = Sha256::new();
    hasher.update(end.to_le_bytes());
    let mut block = vec![0; BLOCK];
    let mut place = 0;
    while place < end {
        place = match rustix::fs::seek(file.file(), SeekFrom::Data(place)) {
            Ok(data) => data / BLOCK as u64 * BLOCK as u64,
            Err(rustix::io::Errno::NXIO) => break,
            Err(error) => return Err(error.into()),
        };
        let size = usize::try_from(end - place).map_or(BLOCK, |left| left.min(BLOCK));
        file.seek(std::io::SeekFrom::Start(place))?;
        file.read_exact(&mut block[..size])?;
        if block[..size].iter().any(|byte| *byte != 0) {
            hasher.update(place.to_le_bytes());
            hasher.update(&block[..size]);
        }
        place += size as u64;
    }
    Ok(hex(&hasher.finalize()))
}

/// Makes a qcow2 overlay over a raw image, which itself stays as it is.
///
/// # Errors
/// `qemu-img` is missing or fails.
pub fn create_overlay(backing: &Path, overlay: &Path) -> Result<(), DiskError> {
    let backing = fs_err::canonicalize(backing)?;
    let doing = format!("make an overlay over {}", backing.display());
    let args: [&OsStr; 8] = [
        "create".as_ref(),
        "-q".as_ref(),
        "-f".as_ref(),
        "qcow2".as_ref(),
        "-F".as_ref(),
        "raw".as_ref(),
        "-b".as_ref(),
        backing.as_os_str(),
    ];
    qemu_img(&doing, args.into_iter().chain([overlay.as_os_str()]))
}

/// Copies `length` bytes from `start` on out of a qcow2 image into a raw file;
/// both are multiples of 512. The machine must not run.
///
/// # Errors
/// `qemu-img` is missing or fails.
pub fn extract_range(image: &Path, start: u64, length: u64, out: &Path) -> Result<(), DiskError> {
    let doing = format!("read {length} bytes of {}", image.display());
    // As large as it divides both: sector by sector it takes minutes.
    let block = [1 << 20, 4096]
        .into_iter()
        .find(|block| start.is_multiple_of(*block) && length.is_multiple_of(*block))
        .unwrap_or(512);
    // qemu-img dd counts `count` from the start of the input, not from `skip`.
    let words = [
        "dd".to_owned(),
        "-f".to_owned(),
        "qcow2".to_owned(),
        "-O".to_owned(),
        "raw".to_owned(),
        format!("bs={block}"),
        format!("skip={}", start / block),
        format!("count={}", (start + length) / block),
        format!("if={}", image.display()),
        format!("of={}", out.display()),
    ];
    qemu_img(&doing, words.iter().map(OsStr::new))
}

fn qemu_img<'a>(doing: &str, args: impl Iterator<Item = &'a OsStr>) -> Result<(), DiskError> {
    let output = Command::new("qemu-img")
        .args(args)
        .output()
        .map_err(|source| DiskError::Start {
            doing: doing.to_owned(),
            source,
        })?;
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(DiskError::Failed {
        doing: doing.to_owned(),
        stderr,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overlay_reads_as_its_backing_file() {
        let folder = tempfile::tempdir().unwrap();
        let raw = folder.path().join("usb.img");
        let mut content = vec![0u8; 1 << 20];
        content[1024..1029].copy_from_slice(b"hello");
        fs_err::write(&raw, content).unwrap();
        let overlay = folder.path().join("usb.qcow2");
        create_overlay(&raw, &overlay).unwrap();
        let part = folder.path().join("part.img");
        extract_range(&overlay, 2 * 512, 3 * 512, &part).unwrap();
        let read = fs_err::read(&part).unwrap();
        assert_eq!((&read[..5], read.len()), (b"hello".as_slice(), 3 * 512));
    }

    #[test]
    fn a_missing_backing_file_is_named() {
        let error =
            create_overlay(Path::new("/nowhere/usb.img"), Path::new("/nowhere/o")).unwrap_err();
        assert!(error.to_string().contains("/nowhere/usb.img"), "{error}");
    }

    #[test]
    fn a_fingerprint_tells_content_and_not_holes() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        create_empty_disk(&a, 1 << 20).unwrap();
        fs_err::write(&b, vec![0; 1 << 20]).unwrap();
        assert_eq!(fingerprint(&a).unwrap(), fingerprint(&b).unwrap());
        let mut content = vec![0; 1 << 20];
        content[(1 << 20) - 1] = 1;
        fs_err::write(&b, &content).unwrap();
        assert_ne!(fingerprint(&a).unwrap(), fingerprint(&b).unwrap());
    }

    #[test]
    fn an_empty_disk_is_sparse() {
        use std::os::unix::fs::MetadataExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk.raw");
        create_empty_disk(&path, 1 << 34).unwrap();
        let metadata = fs_err::metadata(&path).unwrap();
        assert_eq!((metadata.len(), metadata.blocks()), (1 << 34, 0));
    }
}
