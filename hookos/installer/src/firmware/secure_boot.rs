//! Whether a firmware with Secure Boot will start the OS image: asked before the disk is touched.
//!
//! It is a forecast. The image is compressed then, so its manifest says by what its boot files are judged; and an issuer
//! is told by its name and key, as only the firmware has to verify signatures.

use std::fs;
use std::path::Path;

use arch::ARCH;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use efi::{
    BootFile, GLOBAL_VARIABLE, IMAGE_SECURITY_DATABASE, Role, Signature, SignatureDatabase, Uuid,
};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use x509_cert::Certificate;
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::ext::pkix::{AuthorityKeyIdentifier, SubjectKeyIdentifier};

use super::variables::{Variables, refused};
use crate::error::{Error, Kind, Result};

/// What a person can do about an image that will not start.
const ADVICE: &str = "Turn Secure Boot off in the firmware's setup, enrol the certificate of the image's signer there, or \
    make the installation medium with an OS image that is signed for this machine.";

/// Whether firmware checks what it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It does.
    On,
    /// It could.
    Off,
    /// It has no keys, or lets anybody change them, and checks nothing.
    SetupMode,
    /// It cannot.
    Absent,
}

impl State {
    /// Reads it.
    ///
    /// # Errors
    /// The variables are there and cannot be read.
    pub fn read(variables: &impl Variables) -> Result<Self> {
        let flag = |name| {
            let content = content(variables, name, GLOBAL_VARIABLE)?;
            Ok(content.and_then(|content| content.first().copied()))
        };
        Ok(match (flag("SecureBoot")?, flag("SetupMode")?) {
            (Some(1), _) => Self::On,
            (Some(_), Some(1)) => Self::SetupMode,
            (Some(_), _) => Self::Off,
            (None, _) => Self::Absent,
        })
    }

    /// The state in words.
    pub fn shown(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Off => "off",
            Self::SetupMode => "off, the firmware is in setup mode",
            Self::Absent => "not supported by this firmware",
        }
    }
}

fn content(variables: &impl Variables, name: &str, vendor: Uuid) -> Result<Option<Vec<u8>>> {
    let content = variables.read(name, vendor);
    content.map_err(|error| refused(&format!("reading {name}"), &error))
}

/// What the firmware trusts, and what it trusts no more.
#[derive(Debug, Default)]
pub struct Keys {
    trusted: SignatureDatabase,
    revoked: SignatureDatabase,
}

impl Keys {
    /// Reads `db` and `dbx`.
    ///
    /// # Errors
    /// One of them is there and cannot be read or parsed.
    pub fn read(variables: &impl Variables) -> Result<Self> {
        let database = |name| {
            let content = content(variables, name, IMAGE_SECURITY_DATABASE)?;
            let database = SignatureDatabase::read(&content.unwrap_or_default());
            database.ok_or_else(|| {
                let reason = format!("the firmware's {name} is damaged");
                Error::new(Kind::Environment, reason)
            })
        };
        Ok(Self {
            trusted: database("db")?,
            revoked: database("dbx")?,
        })
    }

    /// Why the firmware does not start a program; nothing where it does. As EDK II's DxeImageVerificationLib: what is
    /// revoked is refused whatever else signed it.
    fn refusal(&self, file: &BootFile) -> Result<Option<String>> {
        let has_digest = |database: &SignatureDatabase| {
            let mut digests = database.programs.iter();
            digests.any(|digest| hex(digest).eq_ignore_ascii_case(&file.sha256))
        };
        if has_digest(&self.revoked) {
            return Ok(Some("its digest is revoked (dbx)".into()));
        }
        let signatures = file
            .signatures
            .iter()
            .map(|signature| chain(signature, &file.path));
        let chains = signatures.collect::<Result<Vec<_>>>()?;
        if let Some(chain) = chains.iter().find(|chain| leads_to(chain, &self.revoked)) {
            return Ok(Some(format!(
                "its signer {} is revoked (dbx)",
                signer(chain)
            )));
        }
        if has_digest(&self.trusted) || chains.iter().any(|chain| leads_to(chain, &self.trusted)) {
            return Ok(None);
        }
        let signers: Vec<String> = chains.iter().map(|chain| signer(chain)).collect();
        Ok(Some(match signers.is_empty() {
            true => "it is not signed".into(),
            false => format!(
                "the firmware's db has no certificate of its signer {}",
                signers.join(", ")
            ),
        }))
    }
}

/// A signature's certificates, DER, the signer's first.
fn chain(signature: &Signature, path: &str) -> Result<Vec<Vec<u8>>> {
    let certificates = signature
        .certificates
        .iter()
        .map(|text| STANDARD.decode(text));
    certificates
        .collect::<std::result::Result<_, _>>()
        .map_err(|error| {
            let reason =
                format!("manifest.json on EMTS-OS has no valid certificate for {path}: {error}");
            Error::new(Kind::Medium, reason)
        })
}

/// Whether a certificate of the chain, or the issuer of one, is in the database.
fn leads_to(chain: &[Vec<u8>], database: &SignatureDatabase) -> bool {
    let anchors: Vec<Certificate> = database
        .certificates
        .iter()
        .filter_map(|der| Certificate::from_der(der).ok())
        .collect();
    chain.iter().any(|der| {
        if database.certificates.contains(der) {
            return true;
        }
        Certificate::from_der(der).is_ok_and(|certificate| {
            let signed = certificate.tbs_certificate.to_der().unwrap_or_default();
            let digest: [u8; 32] = Sha256::digest(signed).into();
            database.certificate_digests.contains(&digest)
                || anchors
                    .iter()
                    .any(|anchor| is_issued_by(&certificate, anchor))
        })
    })
}

/// By name, and by the issuer's key where both certificates identify it.
fn is_issued_by(certificate: &Certificate, issuer: &Certificate) -> bool {
    let (certificate, issuer) = (&certificate.tbs_certificate, &issuer.tbs_certificate);
    let key = certificate.get::<AuthorityKeyIdentifier>().ok().flatten();
    let key = key.and_then(|(_, key)| key.key_identifier);
    let own = issuer.get::<SubjectKeyIdentifier>().ok().flatten();
    let is_other_key = matches!((&key, &own), (Some(key), Some((_, own))) if *key != own.0);
    certificate.issuer == issuer.subject && !is_other_key
}

/// The signer's name.
fn signer(chain: &[Vec<u8>]) -> String {
    let certificate = chain
        .first()
        .and_then(|der| Certificate::from_der(der).ok());
    certificate.map_or_else(
        || "without a name".into(),
        |it| it.tbs_certificate.subject.to_string(),
    )
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What the manifest says of the image's boot files; nothing where it was made before it said so.
///
/// # Errors
/// The manifest cannot be read.
pub fn boot_files(manifest: &Path) -> Result<Option<Vec<BootFile>>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Manifest {
        os_image: OsImage,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct OsImage {
        boot_files: Option<Vec<BootFile>>,
    }
    let failed = |error: String| {
        let reason = format!("{} cannot be read: {error}", manifest.display());
        Error::new(Kind::Medium, reason)
    };
    let text = fs::read(manifest).map_err(|error| failed(error.to_string()))?;
    let manifest: Manifest =
        serde_json::from_slice(&text).map_err(|error| failed(error.to_string()))?;
    Ok(manifest.os_image.boot_files)
}

/// That the firmware starts the image: its boot file, and a kernel where nothing but the firmware checks it. Returns what
/// of it will not start all the same.
///
/// # Errors
/// The firmware will refuse it.
pub fn check(files: &[BootFile], keys: &Keys) -> Result<Vec<String>> {
    let refused = |file: &BootFile, why: &str| {
        let reason = format!(
            "Secure Boot is on and will refuse {} of the OS image: {why}",
            file.path
        );
        Error::new(Kind::Environment, reason).advice(ADVICE)
    };
    let boot_file = files
        .iter()
        .find(|file| file.path.eq_ignore_ascii_case(ARCH.boot_file));
    let boot_file = boot_file.ok_or_else(|| {
        let reason = format!(
            "the OS image has no {} on its EFI system partition",
            ARCH.boot_file
        );
        Error::new(Kind::Medium, reason)
    })?;
    if let Some(why) = keys.refusal(boot_file)? {
        return Err(refused(boot_file, &why));
    }
    if boot_file.role == Role::Shim {
        return Ok(Vec::new());
    }
    let kernels: Vec<&BootFile> = files
        .iter()
        .filter(|file| file.role == Role::Kernel)
        .collect();
    let mut refusals = Vec::new();
    for kernel in &kernels {
        refusals.extend(keys.refusal(kernel)?.map(|why| (*kernel, why)));
    }
    match refusals.first() {
        Some((kernel, why)) if refusals.len() == kernels.len() => Err(refused(kernel, why)),
        _ => Ok(refusals
            .iter()
            .map(|(kernel, why)| refused(kernel, why).reason)
            .collect()),
    }
}

#[cfg(test)]
mod tests;
