//! Writing the OS image to a disk, and making of what was written a disk of its own.

mod disk;
mod file_system;
pub mod grow;
mod identity;
mod image;
mod progress;
mod read_back;
mod table;
mod wipe;

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use disk::{Buffer, Disk};
use image::{Image, Part};
use progress::Progress;

use crate::error::{Error, Kind, Result};
use crate::image::{Manifest, OsImage};
use crate::state::{State, Target};

/// Bytes of a part of an image, decompressed, at most.
pub const PART: usize = 8 << 20;
/// Each part's place on the disk is a multiple of this: direct I/O wants whole sectors, of which there are none larger.
const ALIGNMENT: usize = 4096;
/// At most as many processors are used: each needs memory for two parts.
const WRITERS: usize = 8;

/// How many processors decompress and write.
pub fn writers() -> usize {
    thread::available_parallelism().map_or(1, |count| count.get().min(WRITERS))
}

/// Empties the chosen disk, writes the image to it and reads it back. `sysfs` is where that file system is mounted.
///
/// # Errors
/// The disk is used by others, does not take the image or does not keep it, or the medium does not give it.
pub fn image(state: &State, sysfs: &Path) -> Result<()> {
    let image = Manifest::read(state)?.os_image;
    let target: Target = state.read()?;
    let path = image.path(state);
    // Of a medium that was pulled meanwhile it does not open, and the disk is still as it was.
    let file = File::open(&path).map_err(|error| {
        let reason = format!("{} cannot be opened: {error}", path.display());
        Error::new(Kind::Medium, reason)
    })?;
    let sparse = wipe::disk(&target, &image, sysfs)?;
    let disk = Disk::open(&target.path, sparse)?;
    write_and_read_back(file, &image, &disk, || {
        read_back::verify(&target.path, image.raw_size, &image.raw_xxh128)
    })
}

fn write_and_read_back(
    file: impl Read + Send,
    image: &OsImage,
    disk: &Disk,
    read_back: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let progress = Progress::new("writing", image.raw_size);
    let parts = Image::new(file, image.raw_size, image.window_log);
    write(parts, disk, &progress)?;
    disk.sync()?;
    let seconds = progress.seconds();
    progress::say(&format!("written in {seconds} s, reading back"));
    read_back()
}

/// Each processor takes the next part of the image, decompresses and writes it. The first error ends it.
fn write(image: Image<impl Read + Send>, disk: &Disk, progress: &Progress) -> Result<()> {
    let image = Mutex::new(image);
    thread::scope(|scope| {
        let writers: Vec<_> = (0..writers())
            .map(|_| scope.spawn(|| write_parts(&image, disk, progress)))
            .collect();
        writers
            .into_iter()
            .try_for_each(|writer| writer.join().expect("a writer does not panic"))
    })
}

fn write_parts(image: &Mutex<Image<impl Read>>, disk: &Disk, progress: &Progress) -> Result<()> {
    let damaged = |what: String| Error::new(Kind::Medium, what);
    let mut decompressor = zstd::bulk::Decompressor::new().map_err(|error| {
        let reason = format!("zstd cannot be used: {error}");
        Error::new(Kind::Bug, reason)
    })?;
    let mut buffer = Buffer::new();
    let mut compressed = Vec::new();
    loop {
        let part = lock(image).next(&mut compressed, buffer.bytes())?;
        let (offset, size) = match part {
            None => return Ok(()),
            Some(Part::Plain { offset, size }) => (offset, size),
            Some(Part::Frame { offset }) => {
                let size = decompressor
                    .decompress_to_buffer(&compressed, buffer.bytes())
                    .map_err(|error| {
                        let what = "the OS image cannot be decompressed";
                        damaged(format!("{what}, at byte {offset} of the disk: {error}"))
                    });
                (offset, size.inspect_err(|_| lock(image).stop())?)
            }
        };
        disk.write(&buffer.bytes()[..size], offset)
            .inspect_err(|_| lock(image).stop())?;
        progress.add(size as u64);
    }
}

/// Where another writer panicked its panic is what is reported.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::image::example;

    /// Three frames with checksums, the middle one of zeros, and what they hold.
    fn image(last: usize) -> (Vec<u8>, Vec<u8>) {
        let content = [vec![1; PART], vec![0; PART], vec![2; last]];
        let frame = |content: &Vec<u8>| {
            let mut encoder = zstd::Encoder::new(Vec::new(), 1).expect("memory takes it");
            encoder.include_checksum(true).expect("is known");
            encoder
                .set_pledged_src_size(Some(content.len() as u64))
                .expect("is known");
            encoder.write_all(content).expect("memory takes it");
            encoder.finish().expect("memory takes it")
        };
        (content.iter().flat_map(frame).collect(), content.concat())
    }

    fn write_to(image: &[u8], size: usize, disk: &Disk) -> Result<()> {
        let described = OsImage {
            raw_size: size as u64,
            ..example()
        };
        write_and_read_back(image, &described, disk, || Ok(()))
    }

    #[test]
    fn a_disk_of_zeros_becomes_the_image() -> Result<()> {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let path = dir.path().join("disk");
        let (image, content) = image(512);
        for sparse in [false, true] {
            let file = File::create(&path);
            let sized = file.and_then(|file| file.set_len(content.len() as u64));
            sized.expect("file");
            write_to(&image, content.len(), &Disk::file(&path, sparse)?)?;
            assert!(std::fs::read(&path).expect("file") == content);
        }
        Ok(())
    }

    #[test]
    fn a_disk_that_does_not_take_it_is_the_environment_s_fault() -> Result<()> {
        let (image, content) = image(4096);
        let full = Disk::file(Path::new("/dev/full"), false)?;
        let error = write_to(&image, content.len(), &full).expect_err("it is full");
        assert_eq!(error.kind, Kind::Environment);
        assert!(
            error.reason.contains("/dev/full cannot be written at byte"),
            "{error}"
        );
        Ok(())
    }

    #[test]
    fn a_damaged_frame_is_the_medium_s_fault() -> Result<()> {
        let (mut image, content) = image(4096);
        *image.last_mut().expect("it has bytes") ^= 1;
        let null = Disk::file(Path::new("/dev/null"), false)?;
        let error = write_to(&image, content.len(), &null).expect_err("it is damaged");
        assert_eq!(error.kind, Kind::Medium);
        let place = format!("decompressed, at byte {} of the disk", 2 * PART);
        assert!(error.reason.contains(&place), "{error}");
        Ok(())
    }
}
