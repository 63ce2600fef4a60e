//! A raw disk image as a file: its bytes, and tools on a part of it.

use std::ffi::OsString;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use fs_err::File;

/// How the tools of e2fsprogs name a file system inside of a file.
pub fn at(raw: &Path, start: u64) -> OsString {
    let mut name = raw.as_os_str().to_owned();
    name.push(format!("?offset={start}"));
    name
}

/// Bytes of an image from there on.
pub fn read_at(raw: &Path, offset: u64, size: usize) -> Result<Vec<u8>> {
    let mut file = File::open(raw)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = vec![0; size];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// A command's standard output; its exit status has to be 0.
pub fn output(command: &mut Command) -> Result<Vec<u8>> {
    let name = crate::process::display(command);
    let output = command
        .output()
        .with_context(|| format!("starting {name}"))?;
    ensure!(
        output.status.success(),
        "{name}: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(output.stdout)
}
