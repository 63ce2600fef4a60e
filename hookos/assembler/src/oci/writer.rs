//! Writing an OCI image layout.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use arch::ARCH;
use serde_json::{Map, Value, json};

use super::layout::CONTAINERD_NAME;
use super::spec::media_type;
use super::{
    Entry, Error, HashingWriter, REFERENCE_ANNOTATION, Result, canonical, sha256_hex, write_tar,
};

/// How layers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Plain tar.
    None,
    /// zstd at this level (1 to 19); output does not depend on the number of cores.
    Zstd(i32),
}

/// The execution defaults of an image.
#[derive(Clone, Debug, Default)]
pub struct ImageConfig {
    /// `Entrypoint`.
    pub entrypoint: Vec<String>,
    /// `Cmd`.
    pub cmd: Vec<String>,
    /// `Env`, each `NAME=value`.
    pub env: Vec<String>,
    /// `WorkingDir`; empty for none.
    pub working_dir: String,
    /// `Labels`; LinuxKit reads `org.mobyproject.config`.
    pub labels: BTreeMap<String, String>,
}

/// Where a layer's content comes from. A tar is stored byte for byte as it is read, so an image is
/// as reproducible as the tars given.
pub enum LayerInput<'a> {
    /// An uncompressed tar file.
    Tar(PathBuf),
    /// An uncompressed tar, for instance from a pipe.
    Reader(Box<dyn Read + 'a>),
    /// Entries, written in this order.
    Entries(Vec<Entry>),
}

/// An image to be added to a layout.
pub struct ImageSpec<'a> {
    /// Its name; stored in canonical form.
    pub reference: String,
    /// Execution defaults.
    pub config: ImageConfig,
    /// Layers, the lowest first.
    pub layers: Vec<LayerInput<'a>>,
    /// How the layers are stored.
    pub compression: Compression,
}

/// Adds images to a layout folder; the same images in the same order give the same bytes.
///
/// Each image is an index with one manifest for this architecture, as LinuxKit's cache wants it.
pub struct LayoutWriter {
    dir: PathBuf,
    images: Vec<Value>,
}

impl LayoutWriter {
    /// Opens the layout in `dir`, or makes an empty one.
    ///
    /// # Errors
    /// When the folder cannot be made or its `index.json` cannot be read.
    pub fn create(dir: impl Into<PathBuf>) -> Result<Self> {
        let dir = dir.into();
        fs_err::create_dir_all(dir.join("blobs/sha256"))?;
        fs_err::write(dir.join("oci-layout"), r#"{"imageLayoutVersion": "1.0.0"}"#)?;
        let path = dir.join("index.json");
        let mut writer = Self {
            dir,
            images: Vec::new(),
        };
        if path.exists() {
            let index: Value =
                serde_json::from_slice(&fs_err::read(&path)?).map_err(|source| Error::Json {
                    what: "index.json".into(),
                    path: writer.dir.clone(),
                    source,
                })?;
            writer.images = index["manifests"].as_array().cloned().unwrap_or_default();
        } else {
            writer.write_index()?;
        }
        Ok(writer)
    }

    /// Adds an image, replacing one of the same name, and returns the digest of its index
    /// (`sha256:<hex>`). The layout is complete again when this returns.
    ///
    /// # Errors
    /// A reference that is not one, a layer that cannot be read, a folder that cannot be written.
    pub fn add_image(&mut self, image: ImageSpec<'_>) -> Result<String> {
        let reference = canonical(&image.reference)?;
        let mut layers = Vec::new();
        let mut diff_ids = Vec::new();
        for input in image.layers {
            let (descriptor, diff_id) = self.add_layer(input, image.compression)?;
            layers.push(descriptor);
            diff_ids.push(format!("sha256:{diff_id}"));
        }
        let config = self.add_json(
            media_type::CONFIGURATION,
            &config_json(&image.config, &diff_ids),
        )?;
        let manifest = self.add_json(
            media_type::MANIFEST,
            &json!({
                "schemaVersion": 2,
                "mediaType": media_type::MANIFEST,
                "config": config,
                "layers": layers,
            }),
        )?;
        let index = self.add_json(media_type::INDEX, &index_json(manifest))?;
        let digest = index["digest"].as_str().unwrap_or_default().to_owned();
        self.register(&reference, index)?;
        Ok(digest)
    }

    /// Whether a blob is there, with this size in bytes where it is known.
    #[cfg(feature = "registry")]
    pub(crate) fn has(&self, digest: &str, size: Option<u64>) -> bool {
        let hex = digest.strip_prefix("sha256:").unwrap_or_default();
        let found = self.blob_path(hex).metadata();
        found.is_ok_and(|meta| meta.is_file() && size.is_none_or(|size| size == meta.len()))
    }

    /// A file in the layout's folder for a blob to be received.
    #[cfg(feature = "registry")]
    pub(crate) fn draft(&self) -> io::Result<tempfile::NamedTempFile> {
        tempfile::NamedTempFile::new_in(&self.dir)
    }

    /// Makes a blob of a draft whose content has been checked.
    #[cfg(feature = "registry")]
    pub(crate) fn keep(&self, draft: tempfile::NamedTempFile, digest: &str) -> io::Result<()> {
        let hex = digest.strip_prefix("sha256:").unwrap_or(digest);
        crate::files::persist(draft, &self.blob_path(hex))
    }

    /// Registers an index or manifest that is among the blobs.
    #[cfg(feature = "registry")]
    pub(crate) fn register_stored(
        &mut self,
        reference: &str,
        media_type: &str,
        digest: &str,
        size: u64,
    ) -> Result<()> {
        let descriptor = json!({ "mediaType": media_type, "digest": digest, "size": size });
        self.register(reference, descriptor)
    }

    fn register(&mut self, reference: &str, mut index: Value) -> Result<()> {
        index["annotations"] =
            json!({ CONTAINERD_NAME: reference, REFERENCE_ANNOTATION: reference });
        let name = |image: &Value| {
            image["annotations"][REFERENCE_ANNOTATION]
                .as_str()
                .map(str::to_owned)
        };
        self.images
            .retain(|image| name(image).as_deref() != Some(reference));
        self.images.push(index);
        self.images.sort_by_key(name);
        self.write_index()
    }

    fn write_index(&self) -> Result<()> {
        let index = json!({
            "schemaVersion": 2,
            "mediaType": media_type::INDEX,
            "manifests": self.images,
        });
        let mut file = tempfile::NamedTempFile::new_in(&self.dir)?;
        file.write_all(&pretty(&index))?;
        Ok(crate::files::persist(file, &self.dir.join("index.json"))?)
    }

    /// Stores a layer; returns its descriptor and the hex SHA-256 of the uncompressed tar.
    fn add_layer(
        &self,
        input: LayerInput<'_>,
        compression: Compression,
    ) -> Result<(Value, String)> {
        let file = tempfile::NamedTempFile::new_in(&self.dir)?;
        let stored = HashingWriter::new(io::BufWriter::new(file));
        let (diff_id, stored, media_type) = match compression {
            Compression::None => {
                let mut plain = HashingWriter::new(stored);
                write_layer(input, &mut plain)?;
                let (stored, diff_id, _) = plain.finish();
                (diff_id, stored, media_type::LAYER)
            }
            Compression::Zstd(level) => {
                let mut plain = HashingWriter::new(crate::compress::zstd_encoder(stored, level)?);
                write_layer(input, &mut plain)?;
                let (encoder, diff_id, _) = plain.finish();
                (diff_id, encoder.finish()?, media_type::LAYER_ZSTD)
            }
        };
        let (buffered, hex, size) = stored.finish();
        let file = buffered
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        crate::files::persist(file, &self.blob_path(&hex))?;
        Ok((descriptor(media_type, &hex, size), diff_id))
    }

    fn add_json(&self, media_type: &str, value: &Value) -> Result<Value> {
        let data = value.to_string().into_bytes();
        let hex = self.add_bytes(&data)?;
        Ok(descriptor(media_type, &hex, data.len() as u64))
    }

    /// Stores a blob; returns the hex SHA-256 that is its name.
    pub(crate) fn add_bytes(&self, data: &[u8]) -> Result<String> {
        let hex = sha256_hex(data);
        let mut file = tempfile::NamedTempFile::new_in(&self.dir)?;
        file.write_all(data)?;
        crate::files::persist(file, &self.blob_path(&hex))?;
        Ok(hex)
    }

    fn blob_path(&self, hex: &str) -> PathBuf {
        self.dir.join("blobs/sha256").join(hex)
    }
}

fn write_layer(input: LayerInput<'_>, out: &mut impl Write) -> Result<()> {
    match input {
        LayerInput::Tar(path) => {
            io::copy(&mut fs_err::File::open(path)?, out)?;
        }
        LayerInput::Reader(mut reader) => {
            io::copy(&mut reader, out)?;
        }
        LayerInput::Entries(entries) => write_tar(&entries, &mut *out)?,
    }
    Ok(())
}

fn descriptor(media_type: &str, hex: &str, size: u64) -> Value {
    json!({ "mediaType": media_type, "digest": format!("sha256:{hex}"), "size": size })
}

fn index_json(mut manifest: Value) -> Value {
    manifest["platform"] = json!({ "architecture": ARCH.go, "os": "linux" });
    json!({
        "schemaVersion": 2,
        "mediaType": media_type::INDEX,
        "manifests": [manifest],
    })
}

/// The image configuration, its keys in a fixed order.
fn config_json(config: &ImageConfig, diff_ids: &[String]) -> Value {
    let mut execution = Map::new();
    let mut list = |key: &str, items: &[String]| {
        if !items.is_empty() {
            execution.insert(key.into(), json!(items));
        }
    };
    list("Env", &config.env);
    list("Entrypoint", &config.entrypoint);
    list("Cmd", &config.cmd);
    if !config.working_dir.is_empty() {
        execution.insert("WorkingDir".into(), json!(config.working_dir));
    }
    if !config.labels.is_empty() {
        execution.insert("Labels".into(), json!(config.labels));
    }
    json!({
        "architecture": ARCH.go,
        "os": "linux",
        "config": execution,
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    })
}

fn pretty(value: &Value) -> Vec<u8> {
    format!("{value:#}\n").into_bytes()
}
