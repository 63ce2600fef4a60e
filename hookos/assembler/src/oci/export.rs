//! Images as one tar of an OCI image layout, in the form that `linuxkit cache import` takes.

use std::collections::BTreeSet;
use std::io::{Read, Write};

use serde_json::{Value, json};

use super::layout::CONTAINERD_NAME;
use super::spec::REFERENCE_ANNOTATION;
use super::{Blob, Error, ImageSource, Layout, Result, T0};

/// Writes the images that `references` name, with every blob of theirs that the sources have.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Unsupported`] for an image of a docker-archive, which has no
/// descriptors; [`Error::Damaged`] and [`Error::Io`].
pub fn export(images: &ImageSource, references: &[String], out: impl Write) -> Result<()> {
    let mut tar = Exporter {
        tar: tar::Builder::new(out),
        written: BTreeSet::new(),
    };
    let mut manifests = Vec::new();
    for reference in references {
        let (image, layout) = images.find(reference)?;
        let root = image.stored.root.ok_or_else(|| Error::Unsupported {
            what: format!(
                "`{}` in a docker-archive for linuxkit's cache",
                image.reference
            ),
            hint:
                "convert it to an OCI layout: skopeo copy docker-archive:IMAGE.tar oci:LAYOUT:NAME"
                    .into(),
        })?;
        tar.tree(layout, &root.digest)?;
        let mut descriptor = serde_json::to_value(&root).map_err(std::io::Error::other)?;
        // Registered under the first, looked up by the second.
        descriptor["annotations"] =
            json!({ CONTAINERD_NAME: image.reference, REFERENCE_ANNOTATION: image.reference });
        manifests.push(descriptor);
    }
    let index = json!({ "schemaVersion": 2, "manifests": manifests });
    tar.file("index.json", index.to_string().as_bytes())?;
    tar.file("oci-layout", br#"{"imageLayoutVersion": "1.0.0"}"#)?;
    tar.tar.into_inner()?.flush()?;
    Ok(())
}

struct Exporter<W: Write> {
    tar: tar::Builder<W>,
    written: BTreeSet<String>,
}

impl<W: Write> Exporter<W> {
    /// Writes a blob and, if it is an index or a manifest, what it names. Manifests for other
    /// platforms are often left out of a layout, so what is missing is skipped.
    fn tree(&mut self, layout: &Layout, digest: &str) -> Result<()> {
        let Ok(blob) = layout.blob(digest) else {
            return Ok(());
        };
        if !self.written.insert(digest.into()) {
            return Ok(());
        }
        let document = self.blob(&blob, digest)?;
        let listed = ["manifests", "layers"].map(|key| document[key].as_array());
        let items = listed.into_iter().flatten().flatten();
        for item in items.chain([&document["config"]]) {
            if let Some(digest) = item["digest"].as_str() {
                self.tree(layout, digest)?;
            }
        }
        Ok(())
    }

    /// Writes a blob; gives its content if it is a JSON object of modest size.
    fn blob(&mut self, blob: &Blob, digest: &str) -> Result<Value> {
        const LARGEST: u64 = 4 << 20;
        let path = format!("blobs/{}", digest.replace(':', "/"));
        let mut header = header(blob.size);
        self.tar.append_data(&mut header, path, blob.open()?)?;
        let mut first = Vec::new();
        blob.open()?.take(1).read_to_end(&mut first)?;
        if blob.size > LARGEST || first != b"{" {
            return Ok(Value::Null);
        }
        Ok(serde_json::from_slice(&blob.read()?).unwrap_or_default())
    }

    fn file(&mut self, path: &str, content: &[u8]) -> Result<()> {
        let mut header = header(content.len() as u64);
        Ok(self.tar.append_data(&mut header, path, content)?)
    }
}

fn header(size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_mode(0o644);
    header.set_mtime(T0);
    header.set_size(size);
    header
}
