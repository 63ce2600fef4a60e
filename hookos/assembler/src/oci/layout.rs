//! Reading images from an OCI image layout (a folder or a tar of one) or a docker-archive tar.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use arch::ARCH;
use serde::de::DeserializeOwned;

use super::archive::Members;
use super::image::{Image, Stored};
use super::spec::{self, REFERENCE_ANNOTATION, media_type};
use super::{Blob, Error, Result, canonical, is_sha256};

/// containerd's and BuildKit's annotation for the full name; theirs has only the tag in the other.
/// `linuxkit cache import` registers images by this one only.
pub(super) const CONTAINERD_NAME: &str = "io.containerd.image.name";
/// Indexes inside indexes deeper than this are refused.
const MAX_INDEX_DEPTH: u32 = 4;

/// Where the bytes of a layout are.
#[derive(Debug)]
enum Store {
    Folder,
    Tar(Members),
}

/// Images in one folder or file.
#[derive(Debug)]
pub struct Layout {
    path: PathBuf,
    store: Store,
    /// Canonical reference to the descriptors that bear it (several for several platforms).
    roots: BTreeMap<String, Vec<spec::Descriptor>>,
    /// Images of a docker-archive, which has no descriptors.
    archived: BTreeMap<String, Image>,
}

impl Layout {
    /// Opens a layout folder, a tar of one, or a docker-archive tar (`docker save`).
    ///
    /// # Errors
    /// [`Error::NotALayout`], [`Error::Json`], [`Error::Io`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_path_buf();
        let store = if path.is_dir() {
            Store::Folder
        } else {
            Store::Tar(Members::read(&path)?)
        };
        let mut layout = Self {
            path,
            store,
            roots: BTreeMap::new(),
            archived: BTreeMap::new(),
        };
        match (
            layout.member("index.json"),
            layout.member("manifest.json"),
            &layout.store,
        ) {
            (Some(index), _, _) => layout.read_index(&index)?,
            (None, Some(manifest), Store::Tar(members)) => {
                layout.archived = super::archive::docker_images(&layout.path, members, &manifest)?;
            }
            _ => {
                return Err(Error::NotALayout {
                    path: layout.path,
                    seen: "it has no index.json".into(),
                });
            }
        }
        Ok(layout)
    }

    /// The canonical references of all images, sorted.
    pub fn references(&self) -> impl Iterator<Item = &str> {
        self.roots
            .keys()
            .chain(self.archived.keys())
            .map(String::as_str)
    }

    /// The image for this architecture with this canonical reference, if the layout has the name.
    ///
    /// A reference with a digest matches its exact spelling first, then an image whose index or
    /// manifest has that digest.
    ///
    /// # Errors
    /// [`Error::Platform`], [`Error::MissingBlob`], [`Error::Damaged`], [`Error::Json`].
    pub fn find(&self, reference: &str) -> Result<Option<Image>> {
        if let Some(image) = self.archived.get(reference) {
            return Ok(Some(image.clone()));
        }
        match self.descriptors(reference) {
            Some(descriptors) => self.resolve(reference, &descriptors).map(Some),
            None => Ok(None),
        }
    }

    /// Whether there is an image of this canonical reference, for any platform.
    pub fn has(&self, reference: &str) -> bool {
        self.archived.contains_key(reference) || self.descriptors(reference).is_some()
    }

    /// Whether the image of this canonical reference is the one with this digest.
    pub fn has_digest(&self, reference: &str, digest: &str) -> bool {
        let descriptors = self.descriptors(reference).unwrap_or_default();
        descriptors.iter().any(|it| it.digest == digest)
    }

    fn descriptors(&self, reference: &str) -> Option<Vec<spec::Descriptor>> {
        if let Some(exact) = self.roots.get(reference) {
            return Some(exact.clone());
        }
        let (name, digest) = reference.split_once('@')?;
        let same_repository = |known: &str| {
            known == name
                || known
                    .strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with([':', '@']))
        };
        let found: Vec<_> = (self.roots.iter())
            .filter(|(known, _)| same_repository(known))
            .flat_map(|(_, descriptors)| descriptors)
            .filter(|descriptor| descriptor.digest == digest)
            .cloned()
            .collect();
        (!found.is_empty()).then_some(found)
    }

    fn read_index(&mut self, blob: &Blob) -> Result<()> {
        let index: spec::Index = self.decode("index.json", &blob.read()?)?;
        for descriptor in &index.manifests {
            let annotations = descriptor.annotations.clone().unwrap_or_default();
            for key in [REFERENCE_ANNOTATION, CONTAINERD_NAME] {
                let Some(name) = annotations.get(key).and_then(|name| canonical(name).ok()) else {
                    continue;
                };
                let known = self.roots.entry(name).or_default();
                if !known.contains(descriptor) {
                    known.push(descriptor.clone());
                }
            }
        }
        Ok(())
    }

    fn resolve(&self, reference: &str, descriptors: &[spec::Descriptor]) -> Result<Image> {
        let mut platforms = Vec::new();
        for root in descriptors {
            let mut stored = Stored {
                root: Some(root.clone()),
                index: None,
            };
            let Some(manifest) = self.pick(root, &mut stored, &mut platforms, 0)? else {
                continue;
            };
            let image = self.load(reference, &manifest, stored)?;
            let seen = format!("{}/{}", image.config.os, image.config.architecture);
            if seen == ARCH.oci {
                return Ok(image);
            }
            platforms.push(seen);
        }
        Err(Error::Platform {
            reference: reference.into(),
            platforms,
        })
    }

    /// Follows a descriptor to the manifest for this architecture.
    fn pick(
        &self,
        descriptor: &spec::Descriptor,
        stored: &mut Stored,
        platforms: &mut Vec<String>,
        depth: u32,
    ) -> Result<Option<spec::Descriptor>> {
        if !is_index(&descriptor.media_type) {
            return Ok(Some(descriptor.clone()));
        }
        if depth == MAX_INDEX_DEPTH {
            return Err(Error::Unsupported {
                what: format!("an image index nested more than {MAX_INDEX_DEPTH} deep"),
                hint: "refer to the inner index".into(),
            });
        }
        let blob = self.blob(&descriptor.digest)?;
        let index: spec::Index = self.decode(&descriptor.digest, &blob.read()?)?;
        if stored.index.is_none() {
            stored.index = Some((index.clone(), blob));
        }
        for candidate in &index.manifests {
            if let Some(platform) = &candidate.platform {
                let name = format!("{}/{}", platform.os, platform.architecture);
                if name != ARCH.oci {
                    platforms.push(name);
                    continue;
                }
            }
            if let Some(found) = self.pick(candidate, stored, platforms, depth + 1)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn load(
        &self,
        reference: &str,
        descriptor: &spec::Descriptor,
        stored: Stored,
    ) -> Result<Image> {
        let digest = descriptor.digest.clone();
        let manifest: spec::Manifest = self.decode(&digest, &self.blob(&digest)?.read()?)?;
        let config = manifest.config.digest;
        let config: spec::Configuration = self.decode(&config, &self.blob(&config)?.read()?)?;
        let layers = (manifest.layers.iter())
            .map(|layer| self.blob(&layer.digest))
            .collect::<Result<Vec<_>>>()?;
        Ok(Image {
            reference: reference.into(),
            digest,
            config,
            layers,
            stored,
        })
    }

    /// The blob with this digest (`sha256:<hex>`).
    ///
    /// # Errors
    /// [`Error::MissingBlob`]; [`Error::Unsupported`] for other algorithms.
    pub fn blob(&self, digest: &str) -> Result<Blob> {
        let hex = digest
            .strip_prefix("sha256:")
            .filter(|_| is_sha256(digest))
            .ok_or_else(|| Error::Unsupported {
                what: format!("the digest {digest}"),
                hint: "only sha256 digests are read".into(),
            })?;
        let missing = || Error::MissingBlob {
            digest: digest.into(),
            path: self.path.clone(),
        };
        let mut blob = self
            .member(&format!("blobs/sha256/{hex}"))
            .ok_or_else(missing)?;
        blob.digest = Some(digest.into());
        Ok(blob)
    }

    fn member(&self, name: &str) -> Option<Blob> {
        match &self.store {
            Store::Tar(members) => members.blob(&self.path, name),
            Store::Folder => {
                let path = self.path.join(name);
                let size = path
                    .metadata()
                    .ok()
                    .filter(std::fs::Metadata::is_file)?
                    .len();
                Some(Blob {
                    path,
                    offset: 0,
                    size,
                    digest: None,
                })
            }
        }
    }

    fn decode<T: DeserializeOwned>(&self, what: &str, data: &[u8]) -> Result<T> {
        serde_json::from_slice(data).map_err(|source| Error::Json {
            what: what.into(),
            path: self.path.clone(),
            source,
        })
    }
}

fn is_index(media_type: &str) -> bool {
    [media_type::INDEX, media_type::DOCKER_INDEX].contains(&media_type)
}
