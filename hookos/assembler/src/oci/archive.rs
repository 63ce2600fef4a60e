//! Images inside tar files: where each member's bytes are, and the docker-archive format.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufReader, Read};
use std::path::Path;

use serde::Deserialize;

use super::image::Stored;
use super::spec;
use super::{Blob, Error, Image, Result, canonical, sha256_hex};

/// The regular files of a tar, found in one pass without reading their content.
#[derive(Debug, Default)]
pub(super) struct Members {
    /// Cleaned name to offset and size, bytes.
    files: HashMap<String, (u64, u64)>,
    /// Links of a docker-archive (older ones link equal layers): name to name.
    links: HashMap<String, String>,
}

impl Members {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let mut file = fs_err::File::open(path)?;
        let mut magic = [0; 4];
        let have = file.read(&mut magic)?;
        if magic[..have].starts_with(&[0x1f, 0x8b]) || magic == [0x28, 0xb5, 0x2f, 0xfd] {
            return Err(Error::NotALayout {
                path: path.into(),
                seen: "a compressed file (decompress it first)".into(),
            });
        }
        let not_tar = |error: std::io::Error| Error::NotALayout {
            path: path.into(),
            seen: format!("no readable tar ({error})"),
        };
        let mut archive = tar::Archive::new(BufReader::new(fs_err::File::open(path)?));
        let mut members = Self::default();
        for entry in archive.entries_with_seek().map_err(not_tar)? {
            members.note(&entry.map_err(not_tar)?).map_err(not_tar)?;
        }
        Ok(members)
    }

    fn note(&mut self, entry: &tar::Entry<'_, impl Read>) -> std::io::Result<()> {
        let name = clean(&entry.path()?.to_string_lossy());
        match entry.header().entry_type() {
            tar::EntryType::Regular | tar::EntryType::Continuous => {
                self.files
                    .insert(name, (entry.raw_file_position(), entry.size()));
            }
            tar::EntryType::Symlink | tar::EntryType::Link => {
                let target = entry
                    .link_name()?
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned();
                let hard = entry.header().entry_type() == tar::EntryType::Link;
                let target = if hard {
                    clean(&target)
                } else {
                    beside(&name, &target)
                };
                self.links.insert(name, target);
            }
            _ => {}
        }
        Ok(())
    }

    pub(super) fn blob(&self, path: &Path, name: &str) -> Option<Blob> {
        let name = clean(name);
        let target = self.links.get(&name).unwrap_or(&name);
        let &(offset, size) = self.files.get(target)?;
        Some(Blob {
            path: path.into(),
            offset,
            size,
            digest: None,
        })
    }
}

fn clean(name: &str) -> String {
    let parts: Vec<&str> = name
        .split('/')
        .filter(|part| !matches!(*part, "" | "."))
        .collect();
    parts.join("/")
}

/// A relative link target as a name from the archive's root.
fn beside(link: &str, target: &str) -> String {
    let mut parts: Vec<&str> = link.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// One image of a docker-archive's `manifest.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// The images of a `docker save` archive by canonical reference.
pub(super) fn docker_images(
    path: &Path,
    members: &Members,
    manifest: &Blob,
) -> Result<BTreeMap<String, Image>> {
    let json = |what: &str, source| Error::Json {
        what: what.into(),
        path: path.into(),
        source,
    };
    let member = |name: &str| {
        members.blob(path, name).ok_or_else(|| Error::MissingBlob {
            digest: name.into(),
            path: path.into(),
        })
    };
    let saved: Vec<Saved> =
        serde_json::from_slice(&manifest.read()?).map_err(|e| json("manifest.json", e))?;
    let mut images = BTreeMap::new();
    for image in saved {
        let data = member(&image.config)?.read()?;
        let config: spec::Configuration =
            serde_json::from_slice(&data).map_err(|e| json(&image.config, e))?;
        let layers = docker_layers(&image, &config, member)?;
        for tag in image.repo_tags.unwrap_or_default() {
            let reference = canonical(&tag)?;
            images.insert(
                reference.clone(),
                Image {
                    reference,
                    digest: format!("sha256:{}", sha256_hex(&data)),
                    config: config.clone(),
                    layers: layers.clone(),
                    stored: Stored::default(),
                },
            );
        }
    }
    Ok(images)
}

/// The layers, with their DiffIDs as digests where they are stored uncompressed (as docker does).
fn docker_layers(
    image: &Saved,
    config: &spec::Configuration,
    member: impl Fn(&str) -> Result<Blob>,
) -> Result<Vec<Blob>> {
    let mut layers = Vec::new();
    for (name, diff_id) in image.layers.iter().zip(&config.rootfs.diff_ids) {
        let mut blob = member(name)?;
        blob.digest = blob.is_plain()?.then(|| diff_id.clone());
        layers.push(blob);
    }
    Ok(layers)
}
