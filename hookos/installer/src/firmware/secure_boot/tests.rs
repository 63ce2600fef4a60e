use std::collections::{BTreeMap, BTreeSet};
use std::io;

use efi::uuid;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustix::io::Errno;

use super::*;

/// EFI_CERT_X509_GUID, EFI_CERT_SHA256_GUID, EFI_CERT_X509_SHA256_GUID.
const X509: Uuid = uuid!("a5c059a1-94e4-4aa7-87b5-ab155c2bf072");
const SHA256: Uuid = uuid!("c1c41626-504c-4092-aca9-41f936934328");
const X509_SHA256: Uuid = uuid!("3bd2a492-96c0-4079-b420-fcf98ef103ed");

/// Variables by vendor and name; those without content cannot be read.
#[derive(Default)]
struct Store(BTreeMap<(Uuid, &'static str), Option<Vec<u8>>>);

impl Store {
    fn with(mut self, vendor: Uuid, name: &'static str, content: Option<&[u8]>) -> Self {
        self.0.insert((vendor, name), content.map(<[u8]>::to_vec));
        self
    }

    fn flags(secure_boot: u8, setup_mode: u8) -> Self {
        Self::default()
            .with(GLOBAL_VARIABLE, "SecureBoot", Some(&[secure_boot]))
            .with(GLOBAL_VARIABLE, "SetupMode", Some(&[setup_mode]))
    }
}

impl Variables for Store {
    fn names(&self) -> io::Result<BTreeSet<String>> {
        unreachable!("keys are read by their names")
    }

    fn read(&self, name: &str, vendor: Uuid) -> io::Result<Option<Vec<u8>>> {
        match self.0.get(&(vendor, name)) {
            Some(None) => Err(Errno::IO.into()),
            Some(content) => Ok(content.clone()),
            None => Ok(None),
        }
    }

    fn write(&self, _: &str, _: &[u8]) -> io::Result<()> {
        unreachable!("nothing is written")
    }

    fn remove(&self, _: &str) -> io::Result<()> {
        unreachable!("nothing is removed")
    }
}

/// A signature list of one entry.
fn list(kind: Uuid, data: &[u8]) -> Vec<u8> {
    let mut bytes = kind.to_bytes_le().to_vec();
    for number in [44 + data.len(), 0, 16 + data.len()] {
        bytes.extend(u32::try_from(number).expect("it is short").to_le_bytes());
    }
    bytes.extend([0; 16]);
    bytes.extend(data);
    bytes
}

fn keys(db: &[u8], dbx: &[u8]) -> Keys {
    let store = Store::default()
        .with(IMAGE_SECURITY_DATABASE, "db", Some(db))
        .with(IMAGE_SECURITY_DATABASE, "dbx", Some(dbx));
    Keys::read(&store).expect("both can be read")
}

fn parameters(name: &str, is_ca: bool) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.use_authority_key_identifier_extension = true;
    if is_ca {
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    parameters
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let key = KeyPair::generate().expect("a key can be made");
    CertifiedIssuer::self_signed(parameters(name, true), key).expect("it can sign itself")
}

/// The certificate of a signer, DER.
fn signer_of(issuer: &CertifiedIssuer<'_, KeyPair>, name: &str) -> Vec<u8> {
    let key = KeyPair::generate().expect("a key can be made");
    let certificate = parameters(name, false).signed_by(&key, issuer);
    certificate.expect("it can be signed").der().to_vec()
}

const DIGEST: [u8; 32] = [0xab; 32];

fn file(path: &str, role: Role, chains: &[&[&[u8]]]) -> BootFile {
    let signature = |chain: &&[&[u8]]| Signature {
        certificates: chain.iter().map(|der| STANDARD.encode(der)).collect(),
    };
    BootFile {
        path: path.into(),
        role,
        sha256: hex(&DIGEST),
        signatures: chains.iter().map(signature).collect(),
    }
}

fn loader(chains: &[&[&[u8]]]) -> BootFile {
    file(ARCH.boot_file, Role::Other, chains)
}

/// Why the firmware refuses a program.
fn refusal(keys: &Keys, file: &BootFile) -> Option<String> {
    keys.refusal(file).expect("its certificates can be decoded")
}

#[test]
fn the_state_is_that_of_two_variables() -> Result<()> {
    assert_eq!(State::read(&Store::flags(1, 0))?, State::On);
    assert_eq!(State::read(&Store::flags(0, 0))?, State::Off);
    assert_eq!(State::read(&Store::flags(0, 1))?, State::SetupMode);
    assert_eq!(State::read(&Store::default())?, State::Absent);
    let broken = Store::default().with(GLOBAL_VARIABLE, "SecureBoot", None);
    let error = State::read(&broken).expect_err("it cannot be read");
    assert!(error.reason.starts_with("reading SecureBoot: "), "{error}");
    let shown = [State::On, State::Off, State::SetupMode, State::Absent].map(State::shown);
    let expected = [
        "on",
        "off",
        "off, the firmware is in setup mode",
        "not supported by this firmware",
    ];
    assert_eq!(shown, expected);
    Ok(())
}

#[test]
fn what_is_not_signed_is_refused_unless_its_digest_is_trusted() {
    let ca = authority("CA");
    let unsigned = loader(&[]);
    let trusts_ca = keys(&list(X509, ca.der()), &[]);
    assert_eq!(
        refusal(&trusts_ca, &unsigned).as_deref(),
        Some("it is not signed")
    );
    let trusts_digest = keys(&list(SHA256, &DIGEST), &[]);
    assert_eq!(refusal(&trusts_digest, &unsigned), None);
    let trusts_other = keys(&list(SHA256, &[0xac; 32]), &[]);
    assert!(refusal(&trusts_other, &unsigned).is_some());
}

#[test]
fn a_signature_counts_by_the_signer_its_chain_or_an_issuer_outside_of_it() {
    let (ca, other) = (authority("CA"), authority("Other"));
    let signer = signer_of(&ca, "Signer");
    let signed = loader(&[&[&signer]]);
    assert_eq!(refusal(&keys(&list(X509, &signer), &[]), &signed), None);
    assert_eq!(refusal(&keys(&list(X509, ca.der()), &[]), &signed), None);
    let with_issuer = loader(&[&[&signer, ca.der()]]);
    assert_eq!(
        refusal(&keys(&list(X509, ca.der()), &[]), &with_issuer),
        None
    );
    assert_eq!(
        refusal(&keys(&list(X509, other.der()), &[]), &signed).as_deref(),
        Some("the firmware's db has no certificate of its signer CN=Signer")
    );
    // One signature that counts is enough.
    let other_signer = signer_of(&other, "Other signer");
    let twice = loader(&[&[&other_signer], &[&signer]]);
    assert_eq!(refusal(&keys(&list(X509, ca.der()), &[]), &twice), None);
    let neither = refusal(&keys(&[], &[]), &twice).expect("nothing is trusted");
    assert!(
        neither.ends_with("of its signer CN=Other signer, CN=Signer"),
        "{neither}"
    );
}

#[test]
fn an_issuer_of_the_same_name_with_another_key_is_another() {
    let (ca, namesake) = (authority("CA"), authority("CA"));
    let signed = loader(&[&[&signer_of(&ca, "Signer")]]);
    assert!(refusal(&keys(&list(X509, namesake.der()), &[]), &signed).is_some());
}

#[test]
fn what_is_revoked_is_refused_whatever_else_is_trusted() {
    let (ca, other) = (authority("CA"), authority("Other"));
    let signer = signer_of(&ca, "Signer");
    let signed = loader(&[&[&signer]]);
    let trusted = [list(X509, ca.der()), list(SHA256, &DIGEST)].concat();
    let refused = |dbx: &[u8]| refusal(&keys(&trusted, dbx), &signed);
    assert_eq!(refused(&[]), None);
    assert_eq!(
        refused(&list(SHA256, &DIGEST)).as_deref(),
        Some("its digest is revoked (dbx)")
    );
    let by_signer = Some("its signer CN=Signer is revoked (dbx)");
    assert_eq!(refused(&list(X509, &signer)).as_deref(), by_signer);
    assert_eq!(refused(&list(X509, ca.der())).as_deref(), by_signer);
    let parsed = Certificate::from_der(&signer).expect("rcgen makes certificates");
    let signed_part = parsed.tbs_certificate.to_der().expect("it was parsed");
    let mut entry = Sha256::digest(signed_part).to_vec();
    entry.extend([0; 16]);
    assert_eq!(refused(&list(X509_SHA256, &entry)).as_deref(), by_signer);
    entry[0] ^= 1;
    assert_eq!(refused(&list(X509_SHA256, &entry)), None);
    assert_eq!(refused(&list(X509, other.der())), None);
}

#[test]
fn damaged_databases_and_certificates_are_errors() {
    let store = Store::default().with(IMAGE_SECURITY_DATABASE, "dbx", Some(&[1; 30]));
    let error = Keys::read(&store).expect_err("it is no list");
    assert_eq!(error.reason, "the firmware's dbx is damaged");
    let mut file = loader(&[]);
    file.signatures.push(Signature {
        certificates: vec!["%".into()],
    });
    let error = keys(&[], &[]).refusal(&file).expect_err("it is no base64");
    assert_eq!(error.kind, Kind::Medium);
    assert!(
        error
            .reason
            .contains(&format!("no valid certificate for {}", ARCH.boot_file)),
        "{error}"
    );
}

#[test]
fn the_boot_file_and_a_kernel_have_to_start() -> Result<()> {
    let ca = authority("CA");
    let signer = signer_of(&ca, "Signer");
    let keys = keys(&list(X509, ca.der()), &[]);
    let chains: &[&[&[u8]]] = &[&[&signer]];
    let kernel = |path: &str, chains| file(path, Role::Kernel, chains);
    let good = [loader(chains), kernel("EFI/Linux/a.efi", chains)];
    assert_eq!(check(&good, &keys)?, Vec::<String>::new());
    let reason = |files: &[BootFile]| check(files, &keys).expect_err("it does not start");

    let error = reason(&[loader(&[]), good[1].clone()]);
    assert_eq!(
        error.reason,
        format!(
            "Secure Boot is on and will refuse {} of the OS image: it is not signed",
            ARCH.boot_file
        )
    );
    assert_eq!(
        (error.kind, error.advice.as_deref()),
        (Kind::Environment, Some(ADVICE))
    );
    let error = reason(&[loader(chains), kernel("EFI/Linux/a.efi", &[])]);
    assert!(
        error
            .reason
            .contains("will refuse EFI/Linux/a.efi of the OS image"),
        "{error}"
    );
    let warnings = check(
        &[
            loader(chains),
            kernel("EFI/Linux/b.efi", &[]),
            good[1].clone(),
        ],
        &keys,
    )?;
    assert_eq!(warnings.len(), 1, "one of two kernels starts");
    assert!(warnings[0].contains("EFI/Linux/b.efi"), "{warnings:?}");
    let error = reason(&[kernel("EFI/Linux/a.efi", chains)]);
    assert!(
        error.reason.starts_with("the OS image has no EFI/BOOT/"),
        "{error}"
    );
    Ok(())
}

#[test]
fn the_boot_file_has_no_case_and_other_programs_may_be_anything() -> Result<()> {
    let ca = authority("CA");
    let signer = signer_of(&ca, "Signer");
    let keys = keys(&list(X509, ca.der()), &[]);
    let boot_file = file(&ARCH.boot_file.to_lowercase(), Role::Other, &[&[&signer]]);
    check(
        &[boot_file, file("EFI/tools/shell.efi", Role::Other, &[])],
        &keys,
    )?;
    Ok(())
}

#[test]
fn what_shim_starts_is_shims_to_judge() -> Result<()> {
    let ca = authority("CA");
    let signer = signer_of(&ca, "Signer");
    let keys = keys(&list(X509, ca.der()), &[]);
    let shim = file(ARCH.boot_file, Role::Shim, &[&[&signer]]);
    check(&[shim, file("vmlinuz", Role::Kernel, &[])], &keys)?;
    let unsigned = file(ARCH.boot_file, Role::Shim, &[]);
    check(&[unsigned], &keys).expect_err("the firmware judges shim");
    Ok(())
}

#[test]
fn a_manifest_may_say_nothing_of_boot_files() -> io::Result<()> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("manifest.json");
    let read = |text: &str| {
        fs::write(&path, text)?;
        io::Result::Ok(boot_files(&path))
    };
    assert_eq!(read(r#"{"osImage": {"file": "a"}}"#)?, Ok(None));
    let one = r#"{"osImage": {"bootFiles": [{"path": "a", "role": "kernel", "sha256": "00",
        "signatures": [{"certificates": ["AA=="]}]}]}}"#;
    let expected = BootFile {
        path: "a".into(),
        role: Role::Kernel,
        sha256: "00".into(),
        signatures: vec![Signature {
            certificates: vec!["AA==".into()],
        }],
    };
    assert_eq!(read(one)?, Ok(Some(vec![expected])));
    let error = read("{}")?.expect_err("there is no osImage");
    assert_eq!(error.kind, Kind::Medium);
    Ok(())
}
