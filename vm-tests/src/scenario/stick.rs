//! The scenario's stick: a copy of the image that was built, and what is done to it before it is plugged in.

use std::ffi::{OsStr, OsString};
use std::io::{Cursor, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use schemars::JsonSchema;
use serde::Deserialize;
use vm::machine::extract_range;

use crate::tool::{output, run, tool};

/// Something that happened to a stick after it was made.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Damage {
    /// One byte of a file, in its middle unless `at` says where, has another value.
    FlipByte(OnStick),
    /// The second half of a file is missing.
    Truncate(OnStick),
    /// A file is missing.
    Remove(OnStick),
    /// The config-file is another one: its path, relative to the scenario file.
    ReplaceConfigFile(PathBuf),
    /// The config-file has this many bytes: the indented text that it ends with goes on, line by line.
    EnlargeConfigFile(usize),
    /// A partition is missing.
    DeletePartition(String),
    /// A FAT partition has no room left.
    Fill(String),
}

/// A file on the stick.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OnStick {
    /// Name of the partition.
    pub partition: String,
    /// Path of the file on it.
    pub file: String,
    /// The byte's place in the file.
    #[serde(default)]
    pub at: Option<usize>,
}

/// A partition: its number in the table, first byte and length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub number: usize,
    pub start: u64,
    pub length: u64,
}

/// Bytes per sector of the stick's image.
const SECTOR: u64 = 512;
/// Bytes to read for the partition table: protective MBR, header, 128 entries of 128 bytes.
const TABLE: u64 = 34 * SECTOR;

/// Does `damage` to the raw image `image`; `folder` is where the scenario file is.
///
/// # Errors
/// A tool is missing, or the stick has no such file or partition.
pub(super) fn inflict(image: &Path, damage: &Damage, folder: &Path) -> Result<()> {
    match damage {
        Damage::FlipByte(on) => edit(image, on, |bytes| {
            let place = on.at.unwrap_or(bytes.len() / 2);
            let byte = bytes.get_mut(place);
            *byte.with_context(|| format!("{} has no byte {place}", on.file))? ^= 0x40;
            Ok(())
        }),
        Damage::Truncate(on) => edit(image, on, |bytes| {
            bytes.truncate(bytes.len() / 2);
            Ok(())
        }),
        Damage::Remove(on) => {
            let place = place_of(image, &on.partition)?;
            match file_system(image, place)? {
                FileSystem::Ext4 => debugfs(image, place, &format!("rm {}", on.file)),
                FileSystem::Fat => {
                    mtool("mdel", image, place, &[format!("::{}", on.file).into()]).map(drop)
                }
            }
        }
        Damage::ReplaceConfigFile(with) => {
            let place = place_of(image, CONFIG_PARTITION)?;
            let from = folder.join(with);
            let args = ["-o".into(), from.into(), "::config-file".into()];
            mtool("mcopy", image, place, &args).map(drop)
        }
        Damage::EnlargeConfigFile(size) => {
            let on = OnStick {
                partition: CONFIG_PARTITION.to_owned(),
                file: "config-file".to_owned(),
                at: None,
            };
            edit(image, &on, |bytes| enlarge(bytes, *size))
        }
        Damage::DeletePartition(name) => {
            let place = place_of(image, name)?;
            let mut command = tool("sgdisk");
            command.arg(format!("--delete={}", place.number)).arg(image);
            run(command).map(drop)
        }
        Damage::Fill(name) => fill(image, place_of(image, name)?),
    }
    .with_context(|| format!("cannot prepare the stick: {damage:?}"))
}

/// The stick's partition with config-file and logs.
pub(super) const CONFIG_PARTITION: &str = "EMTS-CONF";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FileSystem {
    Ext4,
    Fat,
}

/// By the magic number of ext4 (0xEF53 at 1080), else FAT, which the stick has besides.
fn file_system(image: &Path, place: Place) -> Result<FileSystem> {
    let mut file = fs_err::File::open(image)?;
    file.seek(SeekFrom::Start(place.start + 1080))?;
    let mut magic = [0; 2];
    file.read_exact(&mut magic)?;
    Ok(if magic == [0x53, 0xef] {
        FileSystem::Ext4
    } else {
        FileSystem::Fat
    })
}

/// Writes a file anew with its content changed. Its name, mode and place in the folder stay.
fn edit(image: &Path, on: &OnStick, change: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<()> {
    let place = place_of(image, &on.partition)?;
    let work = tempfile::tempdir()?;
    let copy = work.path().join("content");
    match file_system(image, place)? {
        FileSystem::Ext4 => {
            debugfs(
                image,
                place,
                &format!("dump {} {}", on.file, copy.display()),
            )?;
        }
        FileSystem::Fat => {
            let args = [format!("::{}", on.file).into(), copy.clone().into()];
            mtool("mcopy", image, place, &args)?;
        }
    }
    let mut bytes =
        fs_err::read(&copy).with_context(|| format!("{} is not on {}", on.file, on.partition))?;
    ensure!(
        bytes.len() > 1,
        "{} on {} is too short",
        on.file,
        on.partition
    );
    change(&mut bytes)?;
    fs_err::write(&copy, bytes)?;
    match file_system(image, place)? {
        FileSystem::Ext4 => {
            debugfs(image, place, &format!("rm {}", on.file))?;
            debugfs(
                image,
                place,
                &format!("write {} {}", copy.display(), on.file),
            )
        }
        FileSystem::Fat => {
            let args = ["-o".into(), copy.into(), format!("::{}", on.file).into()];
            mtool("mcopy", image, place, &args).map(drop)
        }
    }
}

/// Continues the text that `bytes` end with, in the indentation of its last line, until there are `size` bytes.
fn enlarge(bytes: &mut Vec<u8>, size: usize) -> Result<()> {
    let text = std::str::from_utf8(bytes)?;
    ensure!(
        text.ends_with('\n') && text.len() < size,
        "the config-file does not end with a line, or has {size} bytes already"
    );
    let last = text.lines().last().unwrap_or_default();
    let indent = &last[..last.len() - last.trim_start().len()];
    let mut more = String::with_capacity(size);
    for number in 0u64.. {
        let line = format!("{indent}Grüße, Zeile {number:08}\n");
        let rest = size - text.len() - more.len();
        if rest < 2 * line.len() {
            // The last line is as long as it has to be.
            more += indent;
            more.extend(std::iter::repeat_n('x', rest - indent.len() - 1));
            more.push('\n');
            break;
        }
        more += &line;
    }
    bytes.extend(more.into_bytes());
    Ok(())
}

/// Fills a FAT partition with one file.
fn fill(image: &Path, place: Place) -> Result<()> {
    let listing = mtool("mdir", image, place, &["::".into()])?;
    let free: u64 = listing
        .lines()
        .rev()
        .find_map(|line| line.trim().strip_suffix("bytes free"))
        .map(|text| {
            text.chars()
                .filter(char::is_ascii_digit)
                .collect::<String>()
        })
        .and_then(|digits| digits.parse().ok())
        .context("mdir tells no free space")?;
    let work = tempfile::tempdir()?;
    let file = work.path().join("filler");
    fs_err::File::create(&file)?.set_len(free)?;
    mtool("mcopy", image, place, &[file.into(), "::filler".into()]).map(drop)
}

/// The partition called `name` on a raw image.
pub(super) fn place_of(image: &Path, name: &str) -> Result<Place> {
    let mut places = places_of(image)?.into_iter();
    let place = places.find(|(other, _)| other == name);
    let (_, place) =
        place.with_context(|| format!("{} has no partition {name}", image.display()))?;
    Ok(place)
}

/// All partitions of a raw image, each with its name.
pub(super) fn places_of(image: &Path) -> Result<Vec<(String, Place)>> {
    let mut bytes = vec![0; usize::try_from(TABLE)?];
    fs_err::File::open(image)?.read_exact(&mut bytes)?;
    Ok(partitions(&bytes))
}

/// A partition by its name, in the first 34 sectors of 512 bytes of a GPT disk.
fn find_partition(bytes: &[u8], name: &str) -> Option<Place> {
    let mut partitions = partitions(bytes).into_iter();
    partitions
        .find(|(other, _)| other == name)
        .map(|(_, place)| place)
}

fn partitions(bytes: &[u8]) -> Vec<(String, Place)> {
    let table = gpt::GptConfig::new().writable(false);
    let Ok(table) = table.open_from_device(Cursor::new(bytes.to_vec())) else {
        return Vec::new();
    };
    let place = |(number, partition): (&u32, &gpt::partition::Partition)| {
        let (first, last) = (partition.first_lba, partition.last_lba);
        let place = Place {
            number: usize::try_from(*number).ok()?,
            start: first * SECTOR,
            length: (last.checked_sub(first)? + 1) * SECTOR,
        };
        Some((partition.name.clone(), place))
    };
    table.partitions().iter().filter_map(place).collect()
}

/// One request to debugfs on the ext4 file system at `place`. It ends with 0 even when the request failed, so
/// what it complains about counts.
pub(super) fn debugfs(image: &Path, place: Place, request: &str) -> Result<()> {
    let mut file_system = OsString::from(image);
    file_system.push(format!("?offset={}", place.start));
    let mut command = tool("debugfs");
    command.args(["-w", "-R", request]).arg(file_system);
    let stderr = output(command)?.stderr;
    let stderr = String::from_utf8_lossy(&stderr);
    // Its first line is its version. An ordinary user cannot give files away.
    let complaint = stderr
        .lines()
        .find(|line| !line.starts_with("debugfs ") && !line.contains("while changing ownership"));
    match complaint {
        Some(line) => bail!("debugfs `{request}` on {}: {line}", image.display()),
        None => Ok(()),
    }
}

pub(super) fn mtool(name: &str, image: &Path, place: Place, args: &[OsString]) -> Result<String> {
    let mut command = tool(name);
    // mtools has a shell read the name of an image that has a character special to it.
    let directory = image.parent().filter(|it| !it.as_os_str().is_empty());
    let mut drive = OsString::from(image.file_name().unwrap_or_default());
    drive.push(format!("@@{}", place.start));
    command
        .current_dir(directory.unwrap_or(Path::new(".")))
        .env("MTOOLS_SKIP_CHECK", "1")
        .arg("-i")
        .arg(drive)
        .args(
            args.iter()
                .map(OsString::as_os_str)
                .map(AsRef::<OsStr>::as_ref),
        );
    run(command)
}

/// Copies `from` to `to` without storing its zeros.
pub(super) fn copy_sparse(from: &Path, to: &Path) -> Result<()> {
    let mut reader = fs_err::File::open(from)?;
    let mut writer = fs_err::File::create(to)?;
    writer.set_len(reader.metadata()?.len())?;
    let mut block = vec![0; 1 << 20];
    let mut place = 0;
    loop {
        let size = reader.read(&mut block)?;
        if size == 0 {
            return Ok(());
        }
        if block[..size].iter().any(|byte| *byte != 0) {
            writer.seek(SeekFrom::Start(place))?;
            writer.write_all(&block[..size])?;
        }
        place += size as u64;
    }
}

/// Copies a partition of a machine's stick, which is an overlay, to a file of its own; where on the stick it is.
///
/// # Errors
/// There is no such partition, or a tool is missing.
pub(super) fn copy_partition(stick: &Path, name: &str, to: &Path) -> Result<Place> {
    let work = tempfile::tempdir()?;
    let table = work.path().join("gpt");
    extract_range(stick, 0, TABLE, &table)?;
    let place = find_partition(&fs_err::read(&table)?, name);
    let place = place.with_context(|| format!("the stick has no {name}"))?;
    extract_range(stick, place.start, place.length, to)?;
    Ok(place)
}

/// Copies a file or directory of the partition EMTS-CONF of a machine's stick, which is an overlay.
///
/// # Errors
/// There is none, or a tool is missing.
pub(super) fn copy_out(stick: &Path, name: &str, to: &Path) -> Result<()> {
    let work = tempfile::tempdir()?;
    copy_partition(stick, CONFIG_PARTITION, &work.path().join("conf.img"))?;
    let to = std::path::absolute(to)?;
    let mut command = tool("mcopy");
    // mtools has a shell read the name of an image that has a character special to it.
    command
        .current_dir(work.path())
        .args(["-s", "-n", "-Q", "-i", "conf.img"])
        .arg(format!("::{name}"))
        .arg(to);
    run(command).map(drop)
}

#[cfg(test)]
mod tests;
