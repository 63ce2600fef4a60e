//! Files that are written to the node.

use super::attributes;
use crate::codes;
use crate::values::{FileMode, FileOwner, GuestPath};
use base64::Engine as _;
use schemars::JsonSchema;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::io::Read as _;

/// One item, or a list of them.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(untagged)]
pub enum OneOrMany<T> {
    /// Several, as the CRD has it.
    Many(Vec<T>),
    /// One, as the proposal's example writes it.
    One(Box<T>),
}

/// By hand: serde's own way for untagged enums copies every text in it.
impl<'de, T: DeserializeOwned> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(from)?;
        let read = if value.is_array() {
            Vec::deserialize(value).map(Self::Many)
        } else {
            Box::deserialize(value).map(Self::One)
        };
        read.map_err(D::Error::custom)
    }
}

impl<T> OneOrMany<T> {
    /// The items in order.
    pub fn as_slice(&self) -> &[T] {
        match self {
            Self::Many(items) => items,
            Self::One(item) => std::slice::from_ref(item),
        }
    }

    /// The items, as a list.
    pub fn into_list(self) -> Vec<T> {
        match self {
            Self::Many(items) => items,
            Self::One(item) => vec![*item],
        }
    }
}

impl<T> Default for OneOrMany<T> {
    fn default() -> Self {
        Self::Many(vec![])
    }
}

/// A file on the node.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct File {
    /// Where it is written; only below /etc and /var.
    pub path: GuestPath,
    /// Owner.
    #[serde(default)]
    #[schemars(extend("default" = "root:root"))]
    pub owner: Option<FileOwner>,
    /// Permission bits. Below /etc/rancher, where files may hold tokens and credentials, they are 0600 when left out.
    #[serde(default)]
    #[schemars(extend("default" = "0644"))]
    pub permissions: Option<FileMode>,
    /// How `content` is encoded here; it is decoded before it is written.
    #[serde(default)]
    pub encoding: Option<Encoding>,
    /// The file's content.
    #[serde(default)]
    pub content: Option<String>,
    /// Content from a Secret of the management cluster.
    #[serde(default)]
    #[schemars(extend("x-refused" = attributes::with_code(
        codes::ContentFrom,
        "`contentFrom` cannot be used: there is no API server to read a Secret from",
        "write the string into `content`"
    )))]
    pub content_from: Option<Value>,
}

/// Why a file's content cannot be decoded.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// The text is not base64.
    #[error("the content is not base64 as `encoding` says")]
    Base64(#[from] base64::DecodeError),
    /// The data are not gzip.
    #[error("the content is not gzip as `encoding` says: {0}")]
    Gzip(#[from] std::io::Error),
    /// Unpacked, it is larger than any file may be.
    #[error("the content is larger than {MAX_UNPACKED} bytes once unpacked")]
    TooLarge,
}

/// Largest file in bytes once unpacked.
pub const MAX_UNPACKED: u64 = 32 << 20;

impl File {
    /// The permission bits that the file has on the node.
    pub fn mode(&self) -> u32 {
        let default = match self.path.as_str().starts_with("/etc/rancher/") {
            true => 0o600,
            false => 0o644,
        };
        self.permissions.as_ref().map_or(default, FileMode::bits)
    }

    /// The bytes that the file has on the node.
    ///
    /// # Errors
    /// The content does not fit its encoding. [`crate::parse`] has reported that.
    pub fn bytes(&self) -> Result<Vec<u8>, ContentError> {
        let text = self.content.as_deref().unwrap_or_default();
        match self.encoding {
            None => Ok(text.as_bytes().to_vec()),
            Some(Encoding::Base64) => decode(text),
            Some(Encoding::Gzip) => unpack(text.as_bytes()),
            Some(Encoding::GzipBase64) => unpack(&decode(text)?),
        }
    }
}

fn decode(text: &str) -> Result<Vec<u8>, ContentError> {
    let compact: String = text.split_ascii_whitespace().collect();
    Ok(base64::engine::general_purpose::STANDARD.decode(compact)?)
}

fn unpack(packed: &[u8]) -> Result<Vec<u8>, ContentError> {
    let mut bytes = vec![];
    flate2::read::MultiGzDecoder::new(packed)
        .take(MAX_UNPACKED + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_UNPACKED {
        return Err(ContentError::TooLarge);
    }
    Ok(bytes)
}

/// Encoding of a file's `content` in the config-file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Encoding {
    /// Base64.
    #[serde(rename = "base64")]
    Base64,
    /// gzip, which YAML text cannot hold; refused with a hint at `gzip+base64`.
    #[serde(rename = "gzip")]
    Gzip,
    /// gzip, then base64.
    #[serde(rename = "gzip+base64")]
    GzipBase64,
}
