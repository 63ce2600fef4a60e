//! Unified kernel images: systemd's stub, kernel, initrd and command line in one PE file that
//! UEFI starts without a boot loader.
//!
//! The sections are appended here and not by objcopy: the stub's own bytes stay as they are, the
//! image is streamed whatever the initrd's size, and nothing depends on a time or a tool's
//! version. Sources: Microsoft's PE format specification; section names from the
//! "Unified Kernel Image" specification (UAPI.5).

use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use arch::ARCH;

/// New sections begin at a multiple of this in memory, bytes.
const PAGE: u64 = 4096;
/// Size of one entry of the section table, bytes.
const SECTION_ENTRY: usize = 40;
/// Initialized data, readable.
const CHARACTERISTICS: u32 = 0x4000_0040;

/// A UKI that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Reading or writing failed; the message names the file.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The stub is no stub.
    #[error("{} cannot serve as UEFI stub: {reason}; systemd-boot's {} is wanted", path.display(), ARCH.boot_stub)]
    Stub {
        /// The file given.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Signing failed.
    #[error("signing {}: {reason}", path.display())]
    Sign {
        /// The UKI.
        path: PathBuf,
        /// What sbsign said.
        reason: String,
    },
    /// PE sizes are 32 bits.
    #[error(
        "the UEFI image would be {size} bytes; PE images end at 4 GiB, so make the initrd smaller"
    )]
    TooLarge {
        /// Size in memory, bytes.
        size: u64,
    },
}

/// What goes into a section.
#[derive(Clone, Copy, Debug)]
enum Source<'a> {
    File(&'a Path),
    Text(&'a str),
}

/// Where a section goes, in the file and in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Placement {
    name: &'static str,
    size: u64,
    address: u64,
    offset: u64,
}

/// Writes the UKI `out`. `cmdline` and `os_release` are texts; `kernel` and `initrd` are files.
///
/// # Errors
/// When a file cannot be read or written, when the stub is not a PE image with room for four more
/// sections, or when the result would exceed 4 GiB.
pub fn build(
    stub: &Path,
    kernel: &Path,
    initrd: &Path,
    cmdline: &str,
    os_release: &str,
    out: &Path,
) -> Result<(), Error> {
    let mut image = fs_err::read(stub)?;
    let pe = Pe::parse(&image).map_err(|reason| Error::Stub {
        path: stub.into(),
        reason: reason.into(),
    })?;
    // The kernel comes last so that, unpacked in place by an old stub, it overwrites nothing.
    let sources = [
        (".osrel", Source::Text(os_release)),
        (".cmdline", Source::Text(cmdline)),
        (".initrd", Source::File(initrd)),
        (".linux", Source::File(kernel)),
    ];
    let plan = plan(&pe, &sources)?;
    pe.check_room(&plan).map_err(|reason| Error::Stub {
        path: stub.into(),
        reason: reason.into(),
    })?;
    pe.write_headers(&mut image, &plan);
    write(&image, &plan, &sources, out)
}

/// Signs the UKI `image` in place for Secure Boot, with `sbsign` of Debian's sbsigntool. `key` and
/// `certificate` are PEM files. The same key and image give the same bytes.
///
/// # Errors
/// [`Error::Sign`] with what sbsign said; `image` is unchanged then.
pub fn sign(image: &Path, key: &Path, certificate: &Path) -> Result<(), Error> {
    let folder = image
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let signed = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
    let refuse = |reason: String| Error::Sign {
        path: image.into(),
        reason,
    };
    let output = Command::new("sbsign")
        .arg("--key")
        .arg(key)
        .arg("--cert")
        .arg(certificate)
        .arg("--output")
        .arg(signed.path())
        .arg(image)
        .output()
        .map_err(|error| refuse(format!("sbsign (Debian package sbsigntool): {error}")))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(refuse(format!(
            "sbsign ended with {}: {}",
            output.status,
            said.trim()
        )));
    }
    Ok(crate::files::persist(signed, image)?)
}

fn plan(pe: &Pe, sources: &[(&'static str, Source<'_>)]) -> Result<Vec<Placement>, Error> {
    let mut address = pe.memory_end.next_multiple_of(PAGE);
    let mut offset = pe.file_end.next_multiple_of(pe.file_alignment);
    let mut plan = Vec::new();
    for (name, source) in sources {
        let size = match source {
            Source::Text(text) => text.len() as u64,
            Source::File(path) => fs_err::metadata(path)?.len(),
        };
        plan.push(Placement {
            name,
            size,
            address,
            offset,
        });
        address = (address + size.max(1)).next_multiple_of(PAGE);
        offset = (offset + size).next_multiple_of(pe.file_alignment);
    }
    match address.max(offset) {
        size if size > u64::from(u32::MAX) => Err(Error::TooLarge { size }),
        _ => Ok(plan),
    }
}

fn write(
    head: &[u8],
    plan: &[Placement],
    sources: &[(&'static str, Source<'_>)],
    out: &Path,
) -> Result<(), Error> {
    let dir = out
        .parent()
        .filter(|dir| !dir.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let file = tempfile::NamedTempFile::new_in(dir)?;
    let mut writer = BufWriter::with_capacity(1 << 20, file);
    writer.write_all(head)?;
    let mut position = head.len() as u64;
    for (section, (_, source)) in plan.iter().zip(sources) {
        io::copy(
            &mut io::repeat(0).take(section.offset - position),
            &mut writer,
        )?;
        let copied = match source {
            Source::Text(text) => io::copy(&mut text.as_bytes(), &mut writer)?,
            Source::File(path) => io::copy(
                &mut fs_err::File::open(path)?.take(section.size),
                &mut writer,
            )?,
        };
        if copied != section.size {
            return Err(
                io::Error::other(format!("{} changed while it was read", section.name)).into(),
            );
        }
        position = section.offset + copied;
    }
    let last = plan.last().map_or(position, |s| s.offset + s.size);
    io::copy(
        &mut io::repeat(0).take(last.next_multiple_of(512) - position),
        &mut writer,
    )?;
    let file = writer
        .into_inner()
        .map_err(io::IntoInnerError::into_error)?;
    crate::files::persist(file, out)?;
    Ok(())
}

/// What has to be known of the stub to add sections to it.
#[derive(Debug)]
struct Pe {
    /// Offsets of the COFF header, the optional header and the section table, bytes.
    coff: usize,
    optional: usize,
    table: usize,
    sections: usize,
    /// End of the headers, where the first section's content may begin.
    headers_end: usize,
    file_alignment: u64,
    memory_end: u64,
    file_end: u64,
}

impl Pe {
    fn parse(image: &[u8]) -> Result<Self, &'static str> {
        if image.get(..2) != Some(b"MZ") {
            return Err("it is no PE image");
        }
        let coff = word(image, 0x3c)? as usize + 4;
        if image.get(coff - 4..coff) != Some(b"PE\0\0") {
            return Err("it has no PE signature");
        }
        let optional = coff + 20;
        if half(image, optional)? != 0x20b {
            return Err("it is not a 64-bit (PE32+) image");
        }
        if half(image, coff)? != ARCH.pe {
            return Err("it is for another architecture");
        }
        let sections = usize::from(half(image, coff + 2)?);
        let table = optional + usize::from(half(image, coff + 16)?);
        let mut pe = Self {
            coff,
            optional,
            table,
            sections,
            headers_end: word(image, optional + 60)? as usize,
            file_alignment: u64::from(word(image, optional + 36)?).max(1),
            memory_end: 0,
            file_end: image.len() as u64,
        };
        for entry in (0..sections).map(|index| table + index * SECTION_ENTRY) {
            let field = |at: usize| word(image, entry + at).map(u64::from);
            pe.memory_end = pe.memory_end.max(field(12)? + field(8)?.max(field(16)?));
            if image[entry..].starts_with(b".linux\0\0") {
                return Err("it already has a kernel");
            }
        }
        // A signature's table lies behind the sections and would not match any more.
        if word(image, optional + 112 + 4 * 8 + 4)? != 0 {
            return Err("it is signed; the unsigned stub is needed");
        }
        Ok(pe)
    }

    fn check_room(&self, plan: &[Placement]) -> Result<(), &'static str> {
        let needed = self.table + (self.sections + plan.len()) * SECTION_ENTRY;
        if needed > self.headers_end {
            Err("its header has no room for more sections")
        } else {
            Ok(())
        }
    }

    fn write_headers(&self, image: &mut [u8], plan: &[Placement]) {
        let count = self.sections + plan.len();
        put(image, self.coff + 2, &(count as u16).to_le_bytes());
        for (index, section) in plan.iter().enumerate() {
            let entry = self.table + (self.sections + index) * SECTION_ENTRY;
            let mut fields = [0; SECTION_ENTRY];
            fields[..section.name.len()].copy_from_slice(section.name.as_bytes());
            let stored = section.size.next_multiple_of(self.file_alignment);
            for (at, value) in [
                (8, section.size),
                (12, section.address),
                (16, stored),
                (20, section.offset),
                (36, u64::from(CHARACTERISTICS)),
            ] {
                put(&mut fields, at, &(value as u32).to_le_bytes());
            }
            put(image, entry, &fields);
        }
        let end = plan
            .last()
            .map_or(self.memory_end, |last| last.address + last.size.max(1));
        put(
            image,
            self.optional + 56,
            &(end.next_multiple_of(PAGE) as u32).to_le_bytes(),
        );
        // The checksum is not looked at by UEFI; signing tools compute it anew.
        put(image, self.optional + 64, &[0; 4]);
    }
}

fn put(image: &mut [u8], at: usize, bytes: &[u8]) {
    image[at..at + bytes.len()].copy_from_slice(bytes);
}

fn half(image: &[u8], at: usize) -> Result<u16, &'static str> {
    let bytes = image.get(at..at + 2).ok_or("its headers are cut off")?;
    Ok(u16::from_le_bytes([bytes[0], bytes[1]]))
}

fn word(image: &[u8], at: usize) -> Result<u32, &'static str> {
    Ok(u32::from(half(image, at)?) | u32::from(half(image, at + 2)?) << 16)
}
