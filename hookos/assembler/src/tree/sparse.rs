//! Sparse files in tar archives, made whole: GNU's own type (expanded by the `tar` crate) and the
//! PAX formats 0.0, 0.1 and 1.0 of the GNU tar manual ("Storing Sparse Files").

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

/// Unit of the map in format 1.0, bytes.
const BLOCK: usize = 512;
/// Regions beyond this make no sense and would only fill memory.
const MAX_REGIONS: u64 = 1 << 20;

/// The `GNU.sparse.*` keys of a PAX header.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    /// The real name.
    pub name: Option<Vec<u8>>,
    size: Option<u64>,
    major: u64,
    /// Offsets and lengths by turns (formats 0.0 and 0.1).
    map: Vec<u64>,
    present: bool,
}

impl Keys {
    /// Takes one key of the header.
    pub fn note(&mut self, key: &str, value: &[u8]) {
        let Some(key) = key.strip_prefix("GNU.sparse.") else {
            return;
        };
        let text = String::from_utf8_lossy(value);
        let number = text.parse().ok();
        self.present = true;
        match key {
            "name" => self.name = Some(value.to_vec()),
            "size" | "realsize" => self.size = number,
            "major" => self.major = number.unwrap_or(0),
            "offset" | "numbytes" => self.map.extend(number),
            "map" => {
                self.map = text
                    .split(',')
                    .filter_map(|item| item.parse().ok())
                    .collect()
            }
            _ => {}
        }
    }

    /// Whether the entry is a sparse file.
    pub fn is_sparse(&self) -> bool {
        self.present && self.size.is_some()
    }
}

/// Writes an entry that reads as its full content to `out` at `offset`; returns its size in bytes.
pub fn copy_dense(data: &mut impl Read, out: &File, offset: u64) -> io::Result<u64> {
    copy_at(data, u64::MAX, out, offset)
}

/// Writes the content that `keys` and `data` describe to `out` at `offset`; returns its size.
pub fn expand(data: &mut impl Read, keys: &Keys, out: &File, offset: u64) -> io::Result<u64> {
    let bad =
        |what: &str| io::Error::new(io::ErrorKind::InvalidData, format!("sparse file: {what}"));
    let size = keys.size.ok_or_else(|| bad("no size"))?;
    let map = if keys.major == 1 {
        read_map(data)?
    } else {
        keys.map.clone()
    };
    for region in map.chunks(2) {
        let &[start, length] = region else {
            return Err(bad("odd map"));
        };
        if start.checked_add(length).is_none_or(|end| end > size) {
            return Err(bad("a region ends after the file"));
        }
        if copy_at(data, length, out, offset + start)? != length {
            return Err(bad("its data is cut off"));
        }
    }
    let end = offset.checked_add(size).ok_or_else(|| bad("too large"))?;
    if out.metadata()?.len() < end {
        out.set_len(end)?;
    }
    Ok(size)
}

fn copy_at(data: &mut impl Read, most: u64, out: &File, offset: u64) -> io::Result<u64> {
    let mut buffer = vec![0; 64 * 1024];
    let mut data = data.take(most);
    let mut done = 0;
    loop {
        let n = data.read(&mut buffer)?;
        if n == 0 {
            return Ok(done);
        }
        out.write_all_at(&buffer[..n], offset + done)?;
        done += n as u64;
    }
}

/// Format 1.0: decimal lines (count, then offsets and lengths) before the data, padded to blocks.
fn read_map(data: &mut impl Read) -> io::Result<Vec<u64>> {
    let mut lines = Lines {
        data,
        block: Vec::new(),
        at: 0,
    };
    let count = lines.number()?;
    if count > MAX_REGIONS {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "sparse file: too many regions",
        ));
    }
    (0..count * 2).map(|_| lines.number()).collect()
}

struct Lines<'a, R> {
    data: &'a mut R,
    block: Vec<u8>,
    at: usize,
}

impl<R: Read> Lines<'_, R> {
    fn number(&mut self) -> io::Result<u64> {
        let mut value = 0u64;
        loop {
            if self.at == self.block.len() {
                self.block.resize(BLOCK, 0);
                self.data.read_exact(&mut self.block)?;
                self.at = 0;
            }
            let byte = self.block[self.at];
            self.at += 1;
            match byte {
                b'\n' => return Ok(value),
                b'0'..=b'9' => {
                    value = value
                        .saturating_mul(10)
                        .saturating_add(u64::from(byte - b'0'))
                }
                _ => {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        "sparse file: bad map",
                    ));
                }
            }
        }
    }
}
