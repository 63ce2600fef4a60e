//! Blobs: a run of bytes in a file, with the digest it must have.

use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::PathBuf;

use super::{Error, HashingReader, Result};

/// Read-ahead for layers, bytes.
const BUFFER: usize = 256 * 1024;

/// Content in a layout folder or inside a tar file.
#[derive(Clone, Debug)]
pub struct Blob {
    /// The file that holds the bytes.
    pub path: PathBuf,
    /// Where in the file they begin.
    pub offset: u64,
    /// How many they are.
    pub size: u64,
    /// `sha256:<hex>` of these bytes; `None` where the format has no digest for them.
    pub digest: Option<String>,
}

impl Blob {
    /// The bytes as they are stored, unchecked.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(&self) -> Result<impl Read + Send + use<>> {
        let mut file = fs_err::File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.offset))?;
        Ok(BufReader::with_capacity(BUFFER, file).take(self.size))
    }

    /// All bytes, with the digest checked. For JSON documents, not for layers.
    ///
    /// # Errors
    /// When the file cannot be read, and [`Error::Damaged`].
    pub fn read(&self) -> Result<Vec<u8>> {
        let mut data = Vec::new();
        let mut reader = HashingReader::new(self.open()?);
        reader.read_to_end(&mut data)?;
        let (_, hex, len) = reader.finish();
        self.check(&hex, len)?;
        Ok(data)
    }

    /// Gives the decompressed bytes (gzip, zstd or none, told by their first bytes) to `consume`,
    /// then checks the digest of the stored bytes, those that `consume` left unread included.
    ///
    /// # Errors
    /// Those of `consume`, of reading, and [`Error::Damaged`].
    pub fn with_decoded<T>(&self, consume: impl FnOnce(&mut dyn Read) -> Result<T>) -> Result<T> {
        let mut reader = HashingReader::new(self.open()?);
        let outcome = decoder(&mut reader)
            .map_err(Error::from)
            .and_then(|mut r| consume(&mut *r));
        // A damaged blob is the better explanation of whatever its decoder or the archive reader
        // made of it.
        io::copy(&mut reader, &mut io::sink())?;
        let (_, hex, len) = reader.finish();
        self.check(&hex, len)?;
        outcome
    }

    /// Whether the bytes are stored uncompressed.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn is_plain(&self) -> Result<bool> {
        let mut magic = Vec::new();
        self.open()?.take(4).read_to_end(&mut magic)?;
        Ok(!is_gzip(&magic) && !is_zstd(&magic))
    }

    fn check(&self, hex: &str, len: u64) -> Result<()> {
        let damaged = |actual: String| Error::Damaged {
            expected: self
                .digest
                .clone()
                .unwrap_or_else(|| "of a tar member".into()),
            actual,
            path: self.path.clone(),
        };
        if len != self.size {
            return Err(damaged(format!("{len} bytes instead of {}", self.size)));
        }
        match &self.digest {
            Some(digest) if *digest != format!("sha256:{hex}") => {
                Err(damaged(format!("sha256:{hex}")))
            }
            _ => Ok(()),
        }
    }
}

fn is_gzip(magic: &[u8]) -> bool {
    magic.starts_with(&[0x1f, 0x8b])
}

fn is_zstd(magic: &[u8]) -> bool {
    magic.starts_with(&[0x28, 0xb5, 0x2f, 0xfd])
}

/// Undoes the compression that the first bytes tell of.
fn decoder<'a>(mut source: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut magic = Vec::new();
    (&mut source).take(4).read_to_end(&mut magic)?;
    let (gzip, zstd) = (is_gzip(&magic), is_zstd(&magic));
    let source = io::Cursor::new(magic).chain(source);
    Ok(if gzip {
        Box::new(flate2::read::MultiGzDecoder::new(source))
    } else if zstd {
        Box::new(zstd::Decoder::new(source)?)
    } else {
        Box::new(source)
    })
}
