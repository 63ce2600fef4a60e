//! `os-image.raw.zst` and `os-image.json`: the compressed disk image, and what the installer has to
//! know of it before it writes it.

use std::io::{Read, Write};
use std::path::Path;

use anyhow::{Result, bail};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use xxhash_rust::xxh3::Xxh3;

use super::described::Disk;
use super::efi_programs::Esp;
use crate::digest::hex;

/// The compressed image.
pub const IMAGE: &str = "os-image.raw.zst";
/// Its description.
pub const MANIFEST: &str = "os-image.json";
/// zstd level: most of the image is programs, which level 6 makes 10 % smaller than level 3.
const LEVEL: i32 = 6;
/// Bytes of the raw image per zstd frame. As the frames are independent, the installer decompresses several at the same
/// time; a single one makes the image 0.6 % smaller. At most `PART` of hookos/installer/src/write/mod.rs.
const FRAME: usize = 8 << 20;

/// What `os-image.json` says besides sizes and digests.
#[derive(Debug)]
pub struct Description<'a> {
    /// Name of the image.
    pub name: &'a str,
    /// Version of the K3s inside, when it is known.
    pub k3s_version: Option<&'a str>,
    /// Whether it is the project's own image for tests.
    pub reference: bool,
    /// What stands in for K3s in it, where that is no release.
    pub test_double: Option<&'a str>,
    /// Storage drivers that it starts with, where they are known.
    pub drivers: Option<&'a [String]>,
    /// What is on the disk that it is.
    pub disk: &'a Disk,
}

/// Reads a raw disk image and writes both files into `out`.
pub fn write(reader: &mut impl Read, description: &Description<'_>, out: &Path) -> Result<()> {
    let mut image = Counted::new(fs_err::File::create(out.join(IMAGE))?);
    let mut raw = Counted::new(std::io::sink());
    let mut esp = Esp::new()?;
    let processors = std::thread::available_parallelism()?.get();
    loop {
        let frames = read_frames(reader, processors)?;
        if frames.is_empty() {
            break;
        }
        std::thread::scope(|scope| {
            let compressed: Vec<_> = frames
                .iter()
                .map(|frame| scope.spawn(|| zstd::bulk::compress(frame, LEVEL)))
                .collect();
            for frame in &frames {
                raw.write_all(frame)?;
                esp.take(frame)?;
            }
            for frame in compressed {
                let frame = frame.join().expect("the compressor does not panic");
                image.write_all(&frame?)?;
            }
            anyhow::Ok(())
        })?;
    }
    let (_, raw) = raw.finish();
    let (file, compressed) = image.finish();
    file.sync_all()?;
    if raw.size == 0 {
        bail!("the disk image is empty");
    }
    let mut manifest = json!({
        "file": IMAGE,
        "compression": "zstd",
        "size": compressed.size,
        "sha256": compressed.sha256,
        "rawSize": raw.size,
        "rawSha256": raw.sha256,
        "rawXxh128": raw.xxh128,
        "windowLog": FRAME.ilog2(),
        "name": description.name,
        "reference": description.reference,
    });
    if let (Some(manifest), Value::Object(disk)) = (
        manifest.as_object_mut(),
        serde_json::to_value(description.disk)?,
    ) {
        manifest.extend(disk);
    }
    if let Some(drivers) = description.drivers {
        manifest["drivers"] = json!(drivers);
    }
    if let Some(programs) = esp.programs()? {
        manifest["bootFiles"] = serde_json::to_value(programs)?;
    }
    if let Some(version) = description.k3s_version {
        manifest["k3sVersion"] = version.into();
    }
    if let Some(name) = description.test_double {
        manifest["testDouble"] = name.into();
    }
    fs_err::write(out.join(MANIFEST), format!("{manifest:#}\n"))?;
    Ok(())
}

/// The next `count` pieces of [`FRAME`] bytes; fewer, and the last one shorter, at the end.
fn read_frames(reader: &mut impl Read, count: usize) -> Result<Vec<Vec<u8>>> {
    let mut frames = Vec::new();
    while frames.len() < count {
        let mut frame = Vec::with_capacity(FRAME);
        if reader.take(FRAME as u64).read_to_end(&mut frame)? == 0 {
            break;
        }
        frames.push(frame);
    }
    Ok(frames)
}

/// What is known of the bytes that went through a [`Counted`].
struct Sums {
    size: u64,
    /// Of the shipped file: nobody else can have made it.
    sha256: String,
    /// To compare what a disk reads back, in a fraction of the time: XXH128 as `xxhsum -H2` prints it.
    xxh128: String,
}

/// A writer that counts and hashes what goes through it.
struct Counted<W> {
    inner: W,
    size: u64,
    sha256: Sha256,
    xxh128: Xxh3,
}

impl<W: Write> Counted<W> {
    fn new(inner: W) -> Self {
        Self {
            inner,
            size: 0,
            sha256: Sha256::new(),
            xxh128: Xxh3::new(),
        }
    }

    /// The writer, and what went through.
    fn finish(self) -> (W, Sums) {
        let sums = Sums {
            size: self.size,
            sha256: hex(&self.sha256.finalize()),
            xxh128: format!("{:032x}", self.xxh128.digest128()),
        };
        (self.inner, sums)
    }
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.sha256.update(&bytes[..written]);
        self.xxh128.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::super::described::nothing;
    use super::*;

    #[test]
    fn the_image_is_a_row_of_frames_that_tell_their_size() -> Result<()> {
        let dir = tempfile::tempdir()?;
        let raw = vec![5; 2 * FRAME + 512];
        let description = Description {
            name: "test",
            k3s_version: None,
            reference: true,
            test_double: None,
            drivers: None,
            disk: &nothing(),
        };
        write(&mut raw.as_slice(), &description, dir.path())?;
        let image = fs_err::read(dir.path().join(IMAGE))?;
        let (mut rest, mut sizes) = (image.as_slice(), Vec::new());
        while !rest.is_empty() {
            sizes.push(zstd::zstd_safe::get_frame_content_size(rest).ok().flatten());
            let size = zstd::zstd_safe::find_frame_compressed_size(rest);
            rest = &rest[size.map_err(zstd::zstd_safe::get_error_name).unwrap()..];
        }
        assert_eq!(sizes, [Some(FRAME as u64), Some(FRAME as u64), Some(512)]);
        assert!(zstd::decode_all(image.as_slice())? == raw);
        Ok(())
    }

    #[test]
    fn sizes_and_digests_are_those_of_the_files() -> Result<()> {
        let dir = tempfile::tempdir()?;
        let raw = vec![5; 3 << 20];
        let description = Description {
            name: "test",
            k3s_version: Some("v1.33.5+k3s1"),
            reference: false,
            test_double: None,
            drivers: None,
            disk: &nothing(),
        };
        write(&mut raw.as_slice(), &description, dir.path())?;

        let manifest: serde_json::Value =
            serde_json::from_slice(&fs_err::read(dir.path().join(MANIFEST))?)?;
        let image = fs_err::read(dir.path().join(IMAGE))?;
        assert_eq!(manifest["size"], image.len());
        assert_eq!(manifest["sha256"], hex(&Sha256::digest(&image)));
        assert_eq!(manifest["rawSize"], raw.len());
        assert_eq!(manifest["rawSha256"], hex(&Sha256::digest(&raw)));
        // `xxhsum -H2` of 3 MiB of the byte 5.
        assert_eq!(manifest["rawXxh128"], "bd510cb15b76e877a87ae32902de3aa2");
        assert_eq!(manifest["k3sVersion"], "v1.33.5+k3s1");
        assert_eq!(
            (&manifest["sectorSize"], &manifest["windowLog"]),
            (&512.into(), &23.into())
        );
        assert!(zstd::decode_all(image.as_slice())? == raw);
        Ok(())
    }

    #[test]
    fn a_test_double_is_named_and_a_release_leaves_no_trace_of_the_field() -> Result<()> {
        let dir = tempfile::tempdir()?;
        for test_double in [Some("refk3s v1.33.13+refk3s1"), None] {
            let description = Description {
                name: "test",
                k3s_version: None,
                reference: true,
                test_double,
                drivers: None,
                disk: &nothing(),
            };
            write(&mut [5; 512].as_slice(), &description, dir.path())?;
            let manifest: serde_json::Value =
                serde_json::from_slice(&fs_err::read(dir.path().join(MANIFEST))?)?;
            let field = manifest.get("testDouble").map(|name| name.as_str());
            assert_eq!(field, test_double.map(Some));
        }
        Ok(())
    }
}
