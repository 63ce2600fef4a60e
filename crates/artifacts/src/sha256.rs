//! A SHA-256 sum, parsed.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::Digest as _;

/// Bytes that are read at once.
const BLOCK: usize = 256 * 1024;

/// A SHA-256 sum; written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sha256([u8; 32]);

/// A text that is not a SHA-256 sum.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a SHA-256 sum: that has 64 hexadecimal digits")]
pub struct Invalid(String);

impl Sha256 {
    /// The sum of `data`.
    pub fn of(data: &[u8]) -> Self {
        Self(sha2::Sha256::digest(data).into())
    }

    /// The sum and the length of a file.
    ///
    /// # Errors
    /// Those of opening and reading it; they do not name it.
    pub fn of_file(path: &Path) -> io::Result<(Self, u64)> {
        let mut hasher = Hasher::default();
        let length = hasher.read(&mut File::open(path)?)?;
        Ok((hasher.finish(), length))
    }
}

/// A sum in the making.
#[derive(Clone, Debug, Default)]
pub struct Hasher(sha2::Sha256);

impl Hasher {
    /// Adds bytes.
    pub fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    /// Adds all that `source` still has; returns how much that was.
    ///
    /// # Errors
    /// Those of reading.
    pub fn read(&mut self, source: &mut impl Read) -> io::Result<u64> {
        let mut block = vec![0; BLOCK];
        let mut length = 0;
        loop {
            match source.read(&mut block) {
                Ok(0) => return Ok(length),
                Ok(n) => {
                    self.update(&block[..n]);
                    length += n as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The sum of what was added.
    pub fn finish(self) -> Sha256 {
        Sha256(self.0.finalize().into())
    }
}

impl FromStr for Sha256 {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let mut sum = [0; 32];
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Invalid(text.into()));
        }
        for (byte, digits) in sum.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            *byte = digits.iter().fold(0, |value, digit| {
                value << 4 | (*digit as char).to_digit(16).unwrap_or_default() as u8
            });
        }
        Ok(Self(sum))
    }
}

impl TryFrom<String> for Sha256 {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<Sha256> for String {
    fn from(sum: Sha256) -> Self {
        sum.to_string()
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sha256({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-4, example of a message of one block.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn the_sum_of_abc_is_the_standards() {
        assert_eq!(Sha256::of(b"abc").to_string(), ABC);
    }

    #[test]
    fn upper_case_digits_are_the_same_sum() {
        assert_eq!(ABC.to_uppercase().parse(), Ok(Sha256::of(b"abc")));
    }

    #[test]
    fn sixty_three_digits_are_refused() {
        assert!(ABC[1..].parse::<Sha256>().is_err());
    }

    #[test]
    fn a_letter_that_is_no_digit_is_refused() {
        assert!(ABC.replace('f', "g").parse::<Sha256>().is_err());
    }

    #[test]
    fn it_is_a_string_in_json() {
        let json = serde_json::to_string(&Sha256::of(b"abc")).unwrap();
        assert_eq!(json, format!("\"{ABC}\""));
        assert_eq!(
            serde_json::from_str::<Sha256>(&json).unwrap(),
            Sha256::of(b"abc")
        );
    }

    #[test]
    fn a_file_has_the_sum_of_its_bytes() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "abc").unwrap();
        assert_eq!(
            Sha256::of_file(file.path()).unwrap(),
            (Sha256::of(b"abc"), 3)
        );
    }
}
