//! The scenario's stick: a copy of the image that was built, and what is done to it before it is plugged in.

use std::ffi::{OsStr, OsString};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

/// Something that happened to a stick after it was made.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
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
pub(super) const TABLE: u64 = 34 * SECTOR;

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
    let mut bytes = vec![0; usize::try_from(TABLE)?];
    fs_err::File::open(image)?.read_exact(&mut bytes)?;
    find_partition(&bytes, name)
        .with_context(|| format!("{} has no partition {name}", image.display()))
}

/// A partition by its name, in the first 34 sectors of 512 bytes of a GPT disk: entries of 128 bytes from
/// sector 2 on, first sector at 32, last at 40, name in UTF-16 at 56 (UEFI specification, 5.3).
pub(super) fn find_partition(bytes: &[u8], name: &str) -> Option<Place> {
    if bytes.get(512..520)? != b"EFI PART" {
        return None;
    }
    let wanted: Vec<u8> = name
        .encode_utf16()
        .chain([0])
        .flat_map(u16::to_le_bytes)
        .collect();
    let (number, entry) = bytes
        .get(1024..)?
        .chunks_exact(128)
        .enumerate()
        .find(|(_, entry)| entry[56..].starts_with(&wanted))?;
    let word = |at: usize| Some(u64::from_le_bytes(entry.get(at..at + 8)?.try_into().ok()?));
    let (first, last) = (word(32)?, word(40)?);
    Some(Place {
        number: number + 1,
        start: first * SECTOR,
        length: (last.checked_sub(first)? + 1) * SECTOR,
    })
}

/// A tool of `/usr/sbin`, which is not in the PATH of ordinary users.
pub(super) fn tool(name: &str) -> Command {
    let mut command = Command::new(name);
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
    command
}

/// Runs a tool; its standard output.
pub(super) fn run(command: Command) -> Result<String> {
    Ok(String::from_utf8_lossy(&output(command)?.stdout).into_owned())
}

fn output(mut command: Command) -> Result<Output> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| {
        format!("cannot start {name} (`cargo xtask setup` installs what is missing)")
    })?;
    if !output.status.success() {
        bail!(
            "{name} ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(output)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A stick with an ext4 partition and a FAT one, each with the file `a`.
    fn stick(folder: &Path) -> PathBuf {
        let image = folder.join("stick.img");
        fs_err::File::create(&image)
            .unwrap()
            .set_len(24 << 20)
            .unwrap();
        let mut table = tool("sgdisk");
        table.args([
            "-n1:2048:18431",
            "-c1:EMTS-OS",
            "-n2:18432:34815",
            "-c2:EMTS-CONF",
        ]);
        table.arg(&image);
        run(table).unwrap();
        let (os, conf) = (
            place_of(&image, "EMTS-OS").unwrap(),
            place_of(&image, CONFIG_PARTITION).unwrap(),
        );
        let mut ext4 = tool("mke2fs");
        ext4.args(["-q", "-t", "ext4", "-E", &format!("offset={}", os.start)]);
        ext4.arg(&image).arg(format!("{}k", os.length >> 10));
        run(ext4).unwrap();
        let mut fat = tool("mkfs.vfat");
        fat.args(["--offset", &(conf.start / SECTOR).to_string()]);
        fat.arg(&image).arg((conf.length >> 10).to_string());
        run(fat).unwrap();
        let content = folder.join("a");
        fs_err::write(&content, "0123456789").unwrap();
        debugfs(&image, os, &format!("write {} a", content.display())).unwrap();
        mtool("mcopy", &image, conf, &[content.into(), "::a".into()]).unwrap();
        image
    }

    /// mtools has a shell expand the name of an image that has such characters.
    #[test]
    fn no_shell_reads_the_name_of_a_directory() {
        let folder = tempfile::tempdir().unwrap();
        let odd = folder.path().join("a 'b' $(touch made)");
        fs_err::create_dir(&odd).unwrap();
        let image = odd.join("fat.img");
        let size = 8 << 20;
        fs_err::File::create(&image).unwrap().set_len(size).unwrap();
        let mut format = tool("mkfs.vfat");
        format.arg(&image);
        run(format).unwrap();
        let place = Place {
            number: 1,
            start: 0,
            length: size,
        };
        let content = folder.path().join("content");
        fs_err::write(&content, "0123456789").unwrap();
        mtool("mcopy", &image, place, &[content.into(), "::a".into()]).unwrap();
        let listed = mtool("mdir", &image, place, &["-b".into(), "::".into()]).unwrap();
        assert_eq!(listed.trim(), "::/a");
        assert!(!odd.join("made").exists() && !Path::new("made").exists());
    }

    fn read(image: &Path, partition: &str) -> Option<String> {
        let work = tempfile::tempdir().unwrap();
        let copy = work.path().join("copy");
        let place = place_of(image, partition).unwrap();
        match file_system(image, place).unwrap() {
            FileSystem::Ext4 => {
                debugfs(image, place, &format!("dump a {}", copy.display())).unwrap()
            }
            FileSystem::Fat => {
                mtool("mcopy", image, place, &["::a".into(), copy.clone().into()]).ok()?;
            }
        }
        fs_err::read_to_string(copy).ok()
    }

    #[test]
    fn damage_changes_the_file_that_it_names_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let image = stick(folder.path());
        for partition in ["EMTS-OS", CONFIG_PARTITION] {
            let on = || OnStick {
                partition: partition.into(),
                file: "a".into(),
                at: None,
            };
            inflict(&image, &Damage::FlipByte(on()), folder.path()).unwrap();
            assert_eq!(read(&image, partition).as_deref(), Some("01234u6789"));
            inflict(&image, &Damage::Truncate(on()), folder.path()).unwrap();
            assert_eq!(read(&image, partition).as_deref(), Some("01234"));
        }
        let on = OnStick {
            partition: CONFIG_PARTITION.into(),
            file: "a".into(),
            at: None,
        };
        inflict(&image, &Damage::Remove(on), folder.path()).unwrap();
        assert_eq!(read(&image, CONFIG_PARTITION), None);
        assert_eq!(read(&image, "EMTS-OS").as_deref(), Some("01234"));
    }

    #[test]
    fn damage_that_cannot_be_done_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let image = stick(folder.path());
        for (file, at) in [("absent", None), ("a", Some(10))] {
            let on = OnStick {
                partition: "EMTS-OS".into(),
                file: file.into(),
                at,
            };
            assert!(inflict(&image, &Damage::FlipByte(on), folder.path()).is_err());
        }
        let on = OnStick {
            partition: "EMTS-OS".into(),
            file: "absent".into(),
            at: None,
        };
        assert!(inflict(&image, &Damage::Remove(on), folder.path()).is_err());
    }

    #[test]
    fn an_enlarged_config_file_ends_with_a_longer_text_and_has_the_size() {
        let head = "a:\n  - content: |\n      first\n";
        for size in [200, 201, 5000, 123_456] {
            let mut bytes = head.as_bytes().to_vec();
            enlarge(&mut bytes, size).unwrap();
            assert_eq!(bytes.len(), size);
            let text = String::from_utf8(bytes).unwrap();
            assert!(text.lines().skip(2).all(|line| line.starts_with("      ")));
        }
        assert!(enlarge(&mut head.as_bytes().to_vec(), 10).is_err());
    }

    #[test]
    fn a_filled_partition_takes_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let image = stick(folder.path());
        inflict(
            &image,
            &Damage::Fill(CONFIG_PARTITION.into()),
            folder.path(),
        )
        .unwrap();
        let more = folder.path().join("more");
        fs_err::write(&more, [1; 5000]).unwrap();
        let place = place_of(&image, CONFIG_PARTITION).unwrap();
        assert!(mtool("mcopy", &image, place, &[more.into(), "::more".into()]).is_err());
    }

    #[test]
    fn a_deleted_partition_is_gone_and_a_wrong_name_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let image = stick(folder.path());
        let delete = Damage::DeletePartition("EMTS-OS".into());
        inflict(&image, &delete, folder.path()).unwrap();
        let error = format!("{:#}", inflict(&image, &delete, folder.path()).unwrap_err());
        assert!(error.contains("no partition EMTS-OS"), "{error}");
        place_of(&image, CONFIG_PARTITION).unwrap();
    }
}
