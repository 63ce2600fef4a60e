//! Reads an initrd: cpio archives ("newc"), plain or compressed by gzip or zstd, one after another.

use std::io::{self, BufRead, BufReader, Read};

/// Bytes of an entry's header.
const HEADER: usize = 110;
/// `PATH_MAX` of the kernel, which takes no longer names.
const LONGEST_NAME: u64 = 4096;
/// The name of an archive's last entry.
const TRAILER: &str = "TRAILER!!!";

/// An entry's header.
#[derive(Debug)]
pub struct Header {
    pub name: String,
    pub inode: u32,
    /// Type and permission bits.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub links: u32,
    /// Content length, bytes.
    pub size: u32,
    /// Major and minor of a device node.
    pub device: (u32, u32),
}

/// Something that entries are given to, in their order.
pub trait Visitor {
    /// An entry; `data` has its content.
    fn entry(&mut self, header: &Header, data: &mut dyn Read) -> io::Result<()>;
    /// The end of an archive: inode numbers begin anew.
    fn end_of_archive(&mut self);
}

/// Gives every entry to `visitor`.
///
/// # Errors
/// When what is read is neither cpio nor a compressed one, or is cut off.
pub fn read(reader: &mut dyn BufRead, visitor: &mut dyn Visitor) -> io::Result<()> {
    while let Some(&first) = reader.fill_buf()?.first() {
        match first {
            // Padding between archives.
            0 => reader.consume(1),
            b'0' => archive(reader, visitor)?,
            0x1f => {
                let member = flate2::bufread::GzDecoder::new(&mut *reader);
                read(&mut BufReader::with_capacity(1 << 18, member), visitor)?;
            }
            0x28 => {
                let frame = zstd::Decoder::with_buffer(&mut *reader)?.single_frame();
                read(&mut BufReader::with_capacity(1 << 18, frame), visitor)?;
            }
            other => {
                return Err(bad(format!(
                    "neither cpio nor gzip nor zstd begins with the byte {other:#04x}"
                )));
            }
        }
    }
    Ok(())
}

fn bad(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

fn archive(reader: &mut dyn BufRead, visitor: &mut dyn Visitor) -> io::Result<()> {
    loop {
        let header = header(reader)?;
        if header.name == TRAILER {
            visitor.end_of_archive();
            return Ok(());
        }
        let mut data = (&mut *reader).take(u64::from(header.size));
        visitor.entry(&header, &mut data)?;
        io::copy(&mut data, &mut io::sink())?;
        if data.limit() > 0 {
            return Err(bad(format!("{} is cut off", header.name)));
        }
        skip_padding(reader, u64::from(header.size))?;
    }
}

fn header(reader: &mut dyn BufRead) -> io::Result<Header> {
    let mut raw = [0; HEADER];
    reader.read_exact(&mut raw)?;
    if !raw.starts_with(b"070701") {
        return Err(bad("an entry without the magic 070701".into()));
    }
    let field = |index: usize| -> io::Result<u32> {
        let at = 6 + index * 8;
        std::str::from_utf8(&raw[at..at + 8])
            .ok()
            .and_then(|text| u32::from_str_radix(text, 16).ok())
            .ok_or_else(|| bad("a header field that is not hexadecimal".into()))
    };
    let name_size = u64::from(field(11)?);
    if name_size == 0 || name_size > LONGEST_NAME {
        return Err(bad(format!("a name of {name_size} bytes")));
    }
    let mut name = Vec::new();
    (&mut *reader).take(name_size).read_to_end(&mut name)?;
    // The name ends with a NUL, which does not belong to it.
    name.pop();
    skip_padding(reader, HEADER as u64 + name_size)?;
    Ok(Header {
        name: String::from_utf8_lossy(&name).into_owned(),
        inode: field(0)?,
        mode: field(1)?,
        uid: field(2)?,
        gid: field(3)?,
        links: field(4)?,
        size: field(6)?,
        device: (field(9)?, field(10)?),
    })
}

/// Headers and contents begin at multiples of four bytes.
fn skip_padding(reader: &mut dyn BufRead, length: u64) -> io::Result<()> {
    let missing = length.next_multiple_of(4) - length;
    let mut padding = [0; 3];
    reader.read_exact(&mut padding[..missing as usize])
}
