//! Files of the file systems in a raw disk image, read without mounting it.

use std::ffi::OsString;
use std::ops::Range;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::disk;
use super::ext::Superblock;
use super::raw::{at, output};

/// A tool of mtools on the FAT at this byte of the image.
fn mtool(name: &str, raw: &Path, start: u64) -> Result<Command> {
    // A name without a directory: of one with a character that is special to a shell, mtools has a shell read it.
    let (directory, file) = (
        raw.parent(),
        raw.file_name().context("the image has a name")?,
    );
    let mut image = OsString::from(file);
    image.push(format!("@@{start}"));
    let mut command = disk::tool(name);
    command
        .current_dir(directory.unwrap_or(Path::new(".")))
        .arg("-i")
        .arg(image);
    // The geometry of an image made for another disk is no error.
    command.env("MTOOLS_SKIP_CHECK", "1");
    Ok(command)
}

/// All files of the FAT at this byte of an image: path and content.
pub fn of_fat(raw: &Path, start: u64, scratch: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let listing = output(mtool("mdir", raw, start)?.args(["-/", "-b", "::"]))?;
    let listing = String::from_utf8_lossy(&listing).into_owned();
    let files = listing.lines().filter_map(|line| line.strip_prefix("::/"));
    let copy = tempfile::tempdir_in(scratch)?;
    let copy = copy.path().join("copy");
    let mut found = Vec::new();
    // Directories end with a slash.
    for path in files.filter(|path| !path.ends_with('/')) {
        let mut mcopy = mtool("mcopy", raw, start)?;
        output(
            mcopy
                .args(["-n", "-o"])
                .arg(format!("::/{path}"))
                .arg(&copy),
        )?;
        found.push((path.to_owned(), fs_err::read(&copy)?));
    }
    Ok(found)
}

/// The content of a file of the ext file system at this byte of an image; nothing where it is not there.
pub fn of_ext(raw: &Path, start: u64, path: &str) -> Result<Vec<u8>> {
    debugfs(raw, start, &format!("cat {path}"))
}

/// Where the blocks of that file are, in bytes from the begin of the image.
pub fn blocks_of_ext(raw: &Path, start: u64, path: &str) -> Result<Vec<Range<u64>>> {
    let size = Superblock::read(raw, start)?.block_size();
    let blocks = debugfs(raw, start, &format!("blocks {path}"))?;
    let blocks = String::from_utf8_lossy(&blocks).into_owned();
    let numbers = blocks
        .split_whitespace()
        .map_while(|one| one.parse::<u64>().ok());
    let place = numbers.map(|number| start + number * size..start + (number + 1) * size);
    Ok(place.collect())
}

/// The names in a directory of it.
pub fn names_of_ext(raw: &Path, start: u64, directory: &str) -> Result<Vec<String>> {
    let listing = debugfs(raw, start, &format!("ls -p {directory}"))?;
    let listing = String::from_utf8_lossy(&listing).into_owned();
    // /inode/mode/user/group/name/size/
    let names = listing.lines().filter_map(|line| line.split('/').nth(5));
    let plain = names.filter(|name| !name.contains(['"', ' ']) && !name.starts_with('.'));
    Ok(plain.map(str::to_owned).collect())
}

fn debugfs(raw: &Path, start: u64, request: &str) -> Result<Vec<u8>> {
    // Its exit status says nothing of the request.
    output(
        disk::tool("debugfs")
            .args(["-R", request])
            .arg(at(raw, start)),
    )
}
