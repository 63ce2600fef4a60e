//! Volumes of the format `oci`: the image itself, as an image layout.

use serde_json::json;

use crate::oci::{self, Blob, Content, Entry, Image, Kind, Layout, REFERENCE_ANNOTATION};

/// What LinuxKit writes to `oci-layout`.
const LAYOUT: &str = "{\n\t\t\"imageLayoutVersion\": \"1.0.0\"\n\t}";

/// The entries of the layout below `prefix`; all have the modification time 0.
///
/// # Errors
/// When the image has no index, and when one of its blobs is missing.
pub fn entries(
    prefix: &str,
    image: &Image,
    layout: &Layout,
    platforms: &[String],
) -> oci::Result<Vec<Entry>> {
    let Some((index, index_blob)) = &image.stored.index else {
        return Err(oci::Error::Unsupported {
            what: format!("{} as a volume of the format oci", image.reference),
            hint: "it has no image index; store it as an index, or use `format: filesystem`".into(),
        });
    };
    let name = |descriptor: &oci::spec::Descriptor| {
        let platform = descriptor.platform.as_ref()?;
        let mut name = format!("{}/{}", platform.os, platform.architecture);
        if let Some(variant) = &platform.variant {
            name = format!("{name}/{variant}");
        }
        Some(name)
    };
    let known: Vec<String> = index.manifests.iter().filter_map(name).collect();
    if let Some(missing) = platforms.iter().find(|wanted| !known.contains(wanted)) {
        return Err(oci::Error::Unsupported {
            what: format!("the platform {missing} of {}", image.reference),
            hint: format!("its index has: {}", known.join(", ")),
        });
    }
    let mut out = Out {
        prefix,
        entries: Vec::new(),
    };
    out.file("oci-layout", Content::Bytes(LAYOUT.into()));
    out.folder("blobs");
    out.folder("blobs/sha256");
    for descriptor in &index.manifests {
        let wanted =
            name(descriptor).is_none_or(|name| platforms.is_empty() || platforms.contains(&name));
        if wanted {
            out.manifest(layout, &descriptor.digest)?;
        }
    }
    out.blob(index_blob.clone());
    let digest = index_blob.digest.clone().unwrap_or_default();
    out.file(
        "index.json",
        Content::Bytes(index_json(&digest, index_blob.size, &image.reference)),
    );
    Ok(out.entries)
}

fn index_json(digest: &str, size: u64, reference: &str) -> Vec<u8> {
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "size": size,
            "digest": digest,
            "annotations": { REFERENCE_ANNOTATION: reference },
        }],
    });
    let mut out = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"   ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, formatter);
    // JSON types written to memory: nothing can fail.
    let _ = serde::Serialize::serialize(&index, &mut serializer);
    out
}

struct Out<'a> {
    prefix: &'a str,
    entries: Vec<Entry>,
}

impl Out<'_> {
    fn push(&mut self, mut entry: Entry) {
        entry.mtime = 0;
        if !self.entries.iter().any(|known| known.path == entry.path) {
            self.entries.push(entry);
        }
    }

    fn folder(&mut self, name: &str) {
        self.push(Entry::directory(format!("{}/{name}", self.prefix), 0o755));
    }

    fn file(&mut self, name: &str, content: Content) {
        let mut entry = Entry::file(format!("{}/{name}", self.prefix), 0o644, "");
        entry.kind = Kind::File(content);
        self.push(entry);
    }

    fn blob(&mut self, blob: Blob) {
        let hex = blob
            .digest
            .as_deref()
            .and_then(|digest| digest.split_once(':'))
            .map(|(_, hex)| hex.to_owned());
        if let Some(hex) = hex {
            self.file(&format!("blobs/sha256/{hex}"), Content::Blob(blob));
        }
    }

    fn manifest(&mut self, layout: &Layout, digest: &str) -> oci::Result<()> {
        let blob = layout.blob(digest)?;
        let manifest: oci::spec::Manifest =
            serde_json::from_slice(&blob.read()?).map_err(|source| oci::Error::Json {
                what: digest.into(),
                path: blob.path.clone(),
                source,
            })?;
        self.blob(layout.blob(&manifest.config.digest)?);
        for layer in &manifest.layers {
            self.blob(layout.blob(&layer.digest)?);
        }
        self.blob(blob);
        Ok(())
    }
}
