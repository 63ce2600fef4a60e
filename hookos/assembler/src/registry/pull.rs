//! One image, from a registry into a layout.

use arch::ARCH;
use oci_client::errors::OciDistributionError;
use oci_client::manifest::{
    IMAGE_MANIFEST_LIST_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE,
    OCI_IMAGE_MEDIA_TYPE, OciDescriptor,
};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};
use serde_json::Value;

use crate::oci::{LayoutWriter, canonical, is_sha256, sha256_hex};

use super::{Error, Refusal, Registries, Result, chain, credentials, endpoint};

/// Kinds of documents that are asked for.
const DOCUMENTS: [&str; 4] = [
    OCI_IMAGE_INDEX_MEDIA_TYPE,
    IMAGE_MANIFEST_LIST_MEDIA_TYPE,
    OCI_IMAGE_MEDIA_TYPE,
    IMAGE_MANIFEST_MEDIA_TYPE,
];

/// What an endpoint gave, or why it did not.
type Attempt<T> = std::result::Result<T, Refusal>;

impl Registries {
    /// Puts the variant of an image for this architecture into `layout`; returns its digest
    /// (`sha256:<hex>`), that of the index if the registry has one.
    ///
    /// With `digest` exactly that is pulled, else what the reference's tag stands for now. Blobs
    /// that the layout has are not pulled again.
    ///
    /// # Errors
    /// [`Error::Pull`] with what each endpoint answered; [`Error::Credentials`];
    /// [`Error::Layout`] when the layout cannot be written.
    pub fn pull(
        &self,
        reference: &str,
        digest: Option<&str>,
        layout: &mut LayoutWriter,
    ) -> Result<String> {
        let reference = canonical(reference)?;
        let mut tried = Vec::new();
        let parsed: Reference = match reference.parse() {
            Ok(parsed) => parsed,
            Err(error) => {
                return Err(Error::Layout(crate::oci::Error::Reference {
                    reference,
                    reason: format!("{error}"),
                }));
            }
        };
        let wanted = match digest {
            Some(digest) => parsed.clone_with_digest(digest.into()),
            None => parsed,
        };
        for endpoint in endpoint::endpoints(&wanted, &self.mirrors) {
            let auth = credentials::of(endpoint.resolve_registry())?;
            let pull = Pull {
                client: &self.client,
                image: &endpoint,
                auth: &auth,
                layout,
            };
            match self.runtime.block_on(pull.run(&reference)) {
                Ok(digest) => return Ok(digest),
                Err(reason) => tried.push((endpoint.resolve_registry().to_owned(), reason)),
            }
        }
        Err(Error::Pull { reference, tried })
    }
}

struct Pull<'a> {
    client: &'a Client,
    image: &'a Reference,
    auth: &'a RegistryAuth,
    layout: &'a mut LayoutWriter,
}

/// An index or manifest as it was received.
struct Document {
    data: Vec<u8>,
    digest: String,
    content: Value,
}

impl Document {
    /// The media type; documents of the OCI kind may leave it out.
    fn media_type(&self) -> &str {
        let own = self.content["mediaType"].as_str();
        own.unwrap_or(match self.content.get("manifests") {
            Some(_) => OCI_IMAGE_INDEX_MEDIA_TYPE,
            None => OCI_IMAGE_MEDIA_TYPE,
        })
    }
}

impl Pull<'_> {
    async fn run(self, reference: &str) -> Attempt<String> {
        let root = self.document(self.image).await?;
        let inner = match root.content.get("manifests") {
            Some(_) => {
                let image = self.image.clone_with_digest(variant(&root.content)?);
                Some(self.document(&image).await?)
            }
            None => None,
        };
        let manifest = inner.as_ref().unwrap_or(&root);
        let layers = manifest.content["layers"].as_array();
        let layers = layers.ok_or_else(|| {
            Refusal::Wrong("its manifest has no layers; is it a container image?".into())
        })?;
        for item in layers.iter().chain([&manifest.content["config"]]) {
            self.blob(item).await?;
        }
        self.store(manifest)?;
        self.store(&root)?;
        let media_type = root.media_type();
        self.layout
            .register_stored(reference, media_type, &root.digest, root.data.len() as u64)
            .map_err(|error| error.to_string())?;
        Ok(root.digest)
    }

    async fn document(&self, image: &Reference) -> Attempt<Document> {
        let pulled = self.client.pull_manifest_raw(image, self.auth, &DOCUMENTS);
        let (data, _) = pulled.await.map_err(|error| chain(&error))?;
        let digest = format!("sha256:{}", sha256_hex(&data));
        if image.digest().is_some_and(|wanted| wanted != digest) {
            return Err(Refusal::Wrong(format!("it gave {digest} for {image}")));
        }
        let content: Value = serde_json::from_slice(&data).map_err(|error| {
            Refusal::Wrong(format!("its answer for {image} is no manifest: {error}"))
        })?;
        if content["schemaVersion"] != 2 {
            return Err(Refusal::Wrong(format!(
                "the manifest of {image} has the schema version {}; only 2 is read",
                content["schemaVersion"]
            )));
        }
        Ok(Document {
            data: data.to_vec(),
            digest,
            content,
        })
    }

    fn store(&self, document: &Document) -> Attempt<()> {
        let stored = self.layout.add_bytes(&document.data);
        Ok(stored.map(drop).map_err(|error| error.to_string())?)
    }

    async fn blob(&self, descriptor: &Value) -> Attempt<()> {
        let digest = descriptor["digest"].as_str().unwrap_or_default();
        let size = descriptor["size"].as_u64();
        if !is_sha256(digest) {
            return Err(Refusal::Wrong(format!(
                "`{digest}` in its manifest is no SHA-256 digest"
            )));
        }
        let io = |error: std::io::Error| error.to_string();
        if self.layout.has(digest, size) {
            return Ok(());
        }
        let draft = self.layout.draft().map_err(io)?;
        let file = tokio::fs::File::from_std(draft.reopen().map_err(io)?);
        let layer = OciDescriptor {
            digest: digest.into(),
            ..OciDescriptor::default()
        };
        // The client checks the digest while it writes.
        self.client
            .pull_blob(self.image, &layer, file)
            .await
            .map_err(|error| blob_refusal(digest, &error))?;
        Ok(self.layout.keep(draft, digest).map_err(io)?)
    }
}

fn blob_refusal(digest: &str, error: &OciDistributionError) -> Refusal {
    let reason = format!("{digest}: {}", chain(error));
    match error {
        OciDistributionError::DigestError(_) => Refusal::Wrong(reason),
        _ => Refusal::Unavailable(reason),
    }
}

/// The digest of the manifest for this architecture.
fn variant(index: &Value) -> Attempt<String> {
    let mut others = Vec::new();
    for item in index["manifests"].as_array().into_iter().flatten() {
        let platform = &item["platform"];
        let part = |key: &str| platform[key].as_str().unwrap_or("unknown");
        let name = format!("{}/{}", part("os"), part("architecture"));
        if name == ARCH.oci
            && let Some(digest) = item["digest"].as_str()
        {
            return Ok(digest.into());
        }
        others.push(name);
    }
    Err(Refusal::Unavailable(format!(
        "it has no {} variant; it has: {}",
        ARCH.oci,
        others.join(", ")
    )))
}
