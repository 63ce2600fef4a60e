//! Two sets of boot files compared by what the kernel makes of them: LinuxKit's and this crate's.
//!
//! The initrds are unpacked in memory (names, hashes, the small JSON documents) by the kernel's
//! rules, so that order and repetition inside the archives do not count, only what is there at boot.

mod difference;
mod newc;
mod rootfs;

use std::collections::BTreeSet;
use std::io::{self, BufReader};
use std::path::PathBuf;

use crate::checksum::checksum;

pub use difference::{Comparison, Difference, Documented};
use rootfs::RootFs;

/// What one build made.
#[derive(Clone, Debug)]
pub struct BootFiles {
    /// The kernel; none if the build has none.
    pub kernel: Option<PathBuf>,
    /// The initrd.
    pub initrd: PathBuf,
    /// File with the kernel's command line; none counts as empty.
    pub cmdline: Option<PathBuf>,
}

/// Compares; `opaque` are the folders that some layer marks opaque, below which LinuxKit's tree
/// has more (see [`crate::opaque_folders`]).
///
/// # Errors
/// When a file cannot be read or is no initrd.
pub fn compare(
    linuxkit: &BootFiles,
    ours: &BootFiles,
    opaque: &BTreeSet<String>,
) -> io::Result<Comparison> {
    let theirs = unpack(linuxkit)?;
    let mine = unpack(ours)?;
    let mut comparison = difference::of_trees(&theirs, &mine, opaque);
    let kernel = |files: &BootFiles| -> io::Result<_> {
        let file = files.kernel.as_ref().map(fs_err::File::open).transpose()?;
        file.map(|file| checksum(file).map(|(checksum, _)| checksum))
            .transpose()
    };
    let cmdline = |files: &BootFiles| -> io::Result<_> {
        let text = files.cmdline.as_ref().map(fs_err::read_to_string);
        text.transpose().map(Option::unwrap_or_default)
    };
    comparison.note_boot_file("the kernel", &kernel(linuxkit)?, &kernel(ours)?);
    comparison.note_boot_file("the command line", &cmdline(linuxkit)?, &cmdline(ours)?);
    Ok(comparison)
}

fn unpack(files: &BootFiles) -> io::Result<RootFs> {
    let mut tree = RootFs::new();
    let mut reader = BufReader::with_capacity(1 << 20, fs_err::File::open(&files.initrd)?);
    newc::read(&mut reader, &mut tree).map_err(|error| {
        io::Error::new(
            error.kind(),
            format!("reading the initrd {}: {error}", files.initrd.display()),
        )
    })?;
    Ok(tree)
}
