//! Writing a zstd-compressed OS image to a disk.

mod disk;
mod image;

use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::{Context as _, Result};

use disk::{Buffer, Disk};
use image::{Image, Part};

/// At most as many processors are used: each needs memory for two parts.
const WRITERS: usize = 8;

/// Writes the zstd-compressed image on standard input to a disk, from its first byte on. With `sparse` what is zero is left out.
///
/// # Errors
/// The disk is used by others or does not take the image, or what comes in is none.
pub fn from_standard_input(disk: &Path, sparse: bool) -> Result<()> {
    // Without the buffer of Rust's standard input: it is read in large pieces.
    let image = File::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    write(image, &Disk::open(disk, sparse)?)
}

/// Each processor takes the next part of the image, decompresses and writes it. The first error ends it.
fn write(image: impl Read + Send, disk: &Disk) -> Result<()> {
    let image = Mutex::new(Image::new(image));
    let writers = thread::available_parallelism()?.get().min(WRITERS);
    thread::scope(|scope| {
        let writers: Vec<_> = (0..writers)
            .map(|_| scope.spawn(|| write_parts(&image, disk)))
            .collect();
        writers
            .into_iter()
            .try_for_each(|writer| writer.join().expect("a writer does not panic"))
    })
}

fn write_parts(image: &Mutex<Image<impl Read>>, disk: &Disk) -> Result<()> {
    let mut decompressor = zstd::bulk::Decompressor::new()?;
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
                    .with_context(|| format!("decompressing the image at byte {offset}"));
                (offset, size.inspect_err(|_| lock(image).stop())?)
            }
        };
        disk.write(&buffer.bytes()[..size], offset)
            .inspect_err(|_| lock(image).stop())?;
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

    /// Three frames with checksums, the middle one of zeros, and what they hold.
    fn image(last: usize) -> (Vec<u8>, Vec<u8>) {
        let content = [vec![1; image::PART], vec![0; image::PART], vec![2; last]];
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

    #[test]
    fn a_disk_of_zeros_becomes_the_image() -> Result<()> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("disk");
        let (image, content) = image(512);
        for sparse in [false, true] {
            File::create(&path)?.set_len(content.len() as u64)?;
            write(image.as_slice(), &Disk::file(&path, sparse)?)?;
            assert!(std::fs::read(&path)? == content);
        }
        Ok(())
    }

    #[test]
    fn a_damaged_frame_and_a_disk_that_does_not_take_it_are_errors() -> Result<()> {
        let (mut image, _) = image(4096);
        let full = write(
            image.as_slice(),
            &Disk::file(Path::new("/dev/full"), false)?,
        );
        assert!(full.is_err_and(|error| format!("{error:#}").contains("/dev/full at byte")));

        *image.last_mut().expect("it has bytes") ^= 1;
        let damaged = write(
            image.as_slice(),
            &Disk::file(Path::new("/dev/null"), false)?,
        );
        let place = format!("decompressing the image at byte {}", 2 * image::PART);
        assert!(damaged.is_err_and(|error| format!("{error:#}").contains(&place)));
        Ok(())
    }
}
