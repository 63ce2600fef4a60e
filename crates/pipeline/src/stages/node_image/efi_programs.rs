//! The EFI programs on an image's ESP: what a firmware with Secure Boot will judge them by, so that the installer can say
//! before it touches a disk whether they will start.

use std::io::{Read, Seek, SeekFrom, Write};

use anyhow::{Context as _, Result};
use arch::ARCH;
use authenticode::{AttributeCertificateIterator, AuthenticodeSignature, authenticode_digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cms::signed_data::SignerIdentifier;
use efi::{BootFile, Role, Signature};
use fatfs::{Dir, FileSystem, FsOptions};
use gpt::GptConfig;
use gpt::disk::LogicalBlockSize;
use gpt::partition_types;
use object::LittleEndian;
use object::read::pe::{ImageNtHeaders as _, PeFile64};
use sha2::{Digest as _, Sha256};
use x509_cert::Certificate;
use x509_cert::der::Encode as _;

use crate::digest::hex;

/// Bytes per sector that an image's GPT counts in.
const SECTOR: LogicalBlockSize = LogicalBlockSize::Lb512;
/// The begin of a PE file.
const PE: &[u8] = b"MZ";
/// What a Linux kernel for x86 has at an offset (Linux' Documentation/arch/x86/boot.rst).
const KERNEL: (usize, &[u8]) = (0x202, b"HdrS");
/// The section of a unified kernel image with the kernel.
const UKI_SECTION: &str = ".linux";
/// The section by which generations of programs are revoked, and how shim names itself there.
const SBAT: (&str, &str) = (".sbat", "shim,");

/// The ESP of an image, copied while the image goes by from its first byte on.
pub struct Esp {
    copy: std::fs::File,
    /// Its first byte in the image and the one behind it; nothing before the partition table went by, or without one.
    range: Option<(u64, u64)>,
    position: u64,
}

impl Esp {
    /// # Errors
    /// There is no room for temporary files.
    pub fn new() -> Result<Self> {
        let copy = tempfile::tempfile().context("making a temporary file")?;
        Ok(Self {
            copy,
            range: None,
            position: 0,
        })
    }

    /// Takes the next bytes of the image. The first ones have to hold its partition table.
    ///
    /// # Errors
    /// There is no room for the copy.
    pub fn take(&mut self, bytes: &[u8]) -> Result<()> {
        if self.position == 0 {
            self.range = place(bytes);
        }
        let begin = self.position;
        self.position += u64::try_from(bytes.len())?;
        if let Some((start, end)) = self.range {
            let within = |at: u64| usize::try_from(at.clamp(begin, self.position) - begin);
            self.copy.write_all(&bytes[within(start)?..within(end)?])?;
        }
        Ok(())
    }

    /// The programs for the machine's architecture, by their paths; nothing for an image without an ESP.
    ///
    /// # Errors
    /// The ESP has no FAT file system, or a file of it cannot be read.
    pub fn programs(mut self) -> Result<Option<Vec<BootFile>>> {
        if self.range.is_none() {
            return Ok(None);
        }
        self.copy.seek(SeekFrom::Start(0))?;
        let context = "reading the EFI system partition of the image";
        let files = FileSystem::new(self.copy, FsOptions::new()).context(context)?;
        let mut programs = Vec::new();
        collect(&files.root_dir(), "", &mut programs).context(context)?;
        programs.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(Some(programs))
    }
}

/// Where the first ESP is, as the partition table at the begin of an image says.
fn place(head: &[u8]) -> Option<(u64, u64)> {
    let config = GptConfig::new().writable(false).logical_block_size(SECTOR);
    // The second table is at the end of the image, which was not read yet.
    let table = config
        .open_from_device(std::io::Cursor::new(head.to_vec()))
        .ok()?;
    let mut partitions = table.partitions().values();
    let esp = partitions.find(|partition| partition.part_type_guid == partition_types::EFI)?;
    let start = esp.bytes_start(SECTOR).ok()?;
    Some((start, start + esp.bytes_len(SECTOR).ok()?))
}

/// Adds the programs in a directory and below. Links do not exist on FAT.
fn collect(
    directory: &Dir<'_, std::fs::File>,
    path: &str,
    programs: &mut Vec<BootFile>,
) -> Result<()> {
    for entry in directory.iter() {
        let entry = entry?;
        let name = entry.file_name();
        if name == "." || name == ".." {
            continue;
        }
        let path = match path {
            "" => name,
            path => format!("{path}/{name}"),
        };
        if entry.is_dir() {
            collect(&entry.to_dir(), &path, programs)?;
            continue;
        }
        let mut file = entry.to_file();
        let mut content = Vec::new();
        (&mut file)
            .take(PE.len() as u64)
            .read_to_end(&mut content)?;
        if content == PE {
            file.read_to_end(&mut content)?;
            programs.extend(program(path, &content));
        }
    }
    Ok(())
}

/// A program for the machine's architecture; nothing for another file.
fn program(path: String, content: &[u8]) -> Option<BootFile> {
    let pe = PeFile64::parse(content).ok()?;
    if pe.nt_headers().file_header().machine.get(LittleEndian) != ARCH.pe {
        return None;
    }
    let mut digest = Sha256Update(Sha256::new());
    authenticode_digest(&pe, &mut digest).ok()?;
    let digest = digest.0.finalize();
    Some(BootFile {
        role: role(&pe, content),
        sha256: hex(&digest),
        signatures: signatures(&pe, &digest),
        path,
    })
}

fn role(pe: &PeFile64<'_>, content: &[u8]) -> Role {
    let section = |name: &str| {
        let mut sections = pe.section_table().iter();
        let section = sections.find(|section| section.raw_name() == name.as_bytes())?;
        section.pe_data(content).ok()
    };
    let sbat = section(SBAT.0).map(String::from_utf8_lossy);
    let (at, magic) = KERNEL;
    let is_kernel = content.get(at..at + magic.len()) == Some(magic);
    if sbat.is_some_and(|text| text.lines().any(|line| line.starts_with(SBAT.1))) {
        Role::Shim
    } else if is_kernel || section(UKI_SECTION).is_some() {
        Role::Kernel
    } else {
        Role::Other
    }
}

/// The signatures of a program that are of this digest: firmware takes no others.
fn signatures(pe: &PeFile64<'_>, digest: &[u8]) -> Vec<Signature> {
    let Ok(Some(all)) = AttributeCertificateIterator::new(pe) else {
        return Vec::new();
    };
    all.filter_map(|one| one.ok()?.get_authenticode_signature().ok())
        .filter(|signature| signature.digest() == digest)
        .map(|signature| Signature {
            certificates: chain(&signature),
        })
        .collect()
}

/// The signer's certificate and, of those in the signature, its issuers.
fn chain(signature: &AuthenticodeSignature) -> Vec<String> {
    let mut rest: Vec<&Certificate> = signature.certificates().collect();
    let mut take = |wanted: &dyn Fn(&Certificate) -> bool| {
        let place = rest.iter().position(|certificate| wanted(certificate));
        place.map(|place| rest.remove(place))
    };
    let mut chain = Vec::new();
    let mut next = match &signature.signer_info().sid {
        SignerIdentifier::IssuerAndSerialNumber(signer) => take(&|certificate| {
            let certificate = &certificate.tbs_certificate;
            certificate.issuer == signer.issuer && certificate.serial_number == signer.serial_number
        }),
        SignerIdentifier::SubjectKeyIdentifier(_) => None,
    };
    while let Some(certificate) = next {
        chain.extend(certificate.to_der().map(|der| STANDARD.encode(der)));
        let issuer = &certificate.tbs_certificate.issuer;
        next = take(&|other| other.tbs_certificate.subject == *issuer);
    }
    chain
}

/// [`Sha256`] as authenticode takes it, which knows an older version of the trait.
struct Sha256Update(Sha256);

impl digest::Update for Sha256Update {
    fn update(&mut self, data: &[u8]) {
        sha2::Digest::update(&mut self.0, data);
    }
}

#[cfg(test)]
pub mod tests {
    use std::path::Path;

    use fatfs::{FormatVolumeOptions, format_volume};

    use super::super::super::boot_files;
    use super::*;
    use crate::signing;

    /// Bytes of a test's ESP.
    const ESP: u64 = 4 << 20;

    /// The bytes of a FAT file system of this size with these files.
    pub fn file_system(size: u64, files: &[(&str, &[u8])]) -> Result<Vec<u8>> {
        let mut file = tempfile::tempfile()?;
        file.set_len(size)?;
        format_volume(&mut file, FormatVolumeOptions::new())?;
        let made = FileSystem::new(&mut file, FsOptions::new())?;
        for (path, content) in files {
            let mut directory = made.root_dir();
            let mut parts: Vec<&str> = path.split('/').collect();
            let name = parts.pop().context("a path has a name")?;
            for part in parts {
                directory = directory.create_dir(part)?;
            }
            directory.create_file(name)?.write_all(content)?;
        }
        made.unmount()?;
        let mut content = Vec::new();
        file.seek(SeekFrom::Start(0))?;
        file.read_to_end(&mut content)?;
        Ok(content)
    }

    /// A raw image with a partition before the ESP, which has these files.
    fn image(files: &[(&str, &[u8])]) -> Result<Vec<u8>> {
        let raw = tempfile::NamedTempFile::new()?;
        raw.as_file().set_len(8 << 20)?;
        let mut table = GptConfig::new().writable(true).create(raw.path())?;
        table.add_partition("first", 1 << 20, partition_types::LINUX_FS, 0, None)?;
        table.add_partition("esp", ESP, partition_types::EFI, 0, None)?;
        let start = table.partitions()[&2].bytes_start(SECTOR)?;
        table.write()?;
        let mut image = fs_err::read(raw.path())?;
        let content = file_system(ESP, files)?;
        let start = usize::try_from(start)?;
        image[start..start + content.len()].copy_from_slice(&content);
        Ok(image)
    }

    fn programs(image: &[u8], piece: usize) -> Result<Option<Vec<BootFile>>> {
        let mut esp = Esp::new()?;
        for piece in image.chunks(piece) {
            esp.take(piece)?;
        }
        esp.programs()
    }

    /// The boot loader of the host, and the same signed with the test key.
    fn loader(scratch: &Path) -> Result<(Vec<u8>, Vec<u8>)> {
        let unsigned = fs_err::read(boot_files::loader().path())?;
        let signed = scratch.join("signed.efi");
        fs_err::write(&signed, &unsigned)?;
        signing::sign(&signed, &signing::test_key(scratch)?)?;
        Ok((unsigned, fs_err::read(signed)?))
    }

    /// The test key's certificate, DER in base64.
    fn certificate() -> Result<String> {
        let pem = fs_err::read_to_string(ARCH.test_certificate)?;
        let lines = pem
            .lines()
            .skip_while(|line| !line.starts_with("-----BEGIN"));
        Ok(lines
            .skip(1)
            .take_while(|line| !line.starts_with('-'))
            .collect())
    }

    /// The same with zeros up to a multiple of eight bytes, as signing makes it.
    fn padded(mut program: Vec<u8>) -> Vec<u8> {
        program.resize(program.len().next_multiple_of(8), 0);
        program
    }

    #[test]
    fn programs_are_found_in_all_directories_whatever_pieces_the_image_comes_in() -> Result<()> {
        let scratch = tempfile::tempdir()?;
        let (unsigned, signed) = loader(scratch.path())?;
        let unsigned = padded(unsigned);
        let mut other_architecture = unsigned.clone();
        let header = u32::from_le_bytes(unsigned[0x3c..0x40].try_into()?) as usize;
        other_architecture[header + 4..header + 6].copy_from_slice(&0xaa64u16.to_le_bytes());
        let image = image(&[
            (ARCH.boot_file, &signed),
            ("vendor/a longer name.efi", &unsigned),
            ("EFI/Linux/other.efi", &other_architecture),
            ("loader/loader.conf", b"timeout 0\n"),
            ("empty.efi", b""),
            ("damaged.efi", b"MZ and nothing more"),
        ])?;
        let found = programs(&image, 8 << 20)?.context("there is an ESP")?;
        let paths: Vec<&str> = found.iter().map(|program| program.path.as_str()).collect();
        assert_eq!(paths, [ARCH.boot_file, "vendor/a longer name.efi"]);
        assert_eq!(
            found[0].sha256, found[1].sha256,
            "a signature does not count"
        );
        let signature = Signature {
            certificates: vec![certificate()?],
        };
        assert_eq!(
            (&found[0].signatures, &found[1].signatures),
            (&vec![signature], &vec![])
        );
        for piece in [100_000, 17 << 10, 1 << 20] {
            assert_eq!(programs(&image, piece)?.as_ref(), Some(&found));
        }
        Ok(())
    }

    /// sbsign signs the digest that it has calculated, so that a signature which is found proves ours.
    #[test]
    fn a_program_that_was_changed_since_is_not_signed() -> Result<()> {
        let scratch = tempfile::tempdir()?;
        let (_, mut signed) = loader(scratch.path())?;
        let before = program("a".into(), &signed).context("it is a program")?;
        assert_eq!(before.signatures.len(), 1);
        let place = signed.len() / 2;
        signed[place] ^= 1;
        let after = program("a".into(), &signed).context("it is a program")?;
        assert_eq!(after.signatures, []);
        assert_ne!(after.sha256, before.sha256);
        Ok(())
    }

    #[test]
    fn a_program_is_what_is_in_it() -> Result<()> {
        let scratch = tempfile::tempdir()?;
        let (loader, _) = loader(scratch.path())?;
        let role = |content: &[u8]| program("a".into(), content).map(|program| program.role);
        assert_eq!(role(&loader), Some(Role::Other));

        let (kernel, uki) = (scratch.path().join("kernel"), scratch.path().join("uki"));
        fs_err::write(&kernel, b"a kernel, as far as the stub knows")?;
        let stub = boot_files::stub();
        hookos::uki::build(stub.path(), &kernel, &kernel, "quiet", "ID=test\n", &uki)?;
        assert_eq!(role(&fs_err::read(uki)?), Some(Role::Kernel));

        let mut with_magic = loader.clone();
        with_magic[KERNEL.0..KERNEL.0 + 4].copy_from_slice(KERNEL.1);
        assert_eq!(role(&with_magic), Some(Role::Kernel));

        let mut shim = loader.clone();
        let line = b"systemd,";
        let place = shim.windows(line.len()).position(|bytes| bytes == line);
        let place = place.context("systemd-boot has its line in .sbat")?;
        shim[place..place + line.len()].copy_from_slice(b"shim,15,");
        assert_eq!(role(&shim), Some(Role::Shim));
        Ok(())
    }

    #[test]
    fn an_image_without_an_esp_has_no_list_and_one_without_a_file_system_is_refused() -> Result<()>
    {
        assert_eq!(programs(&[5; 1 << 20], 1 << 20)?, None);
        let image = image(&[])?;
        assert_eq!(programs(&image, 1 << 20)?, Some(vec![]));
        let start = usize::try_from(place(&image).context("there is an ESP")?.0)?;
        let mut blank = image;
        blank[start..start + 512].fill(0);
        let error = programs(&blank, 1 << 20).expect_err("there is no file system");
        assert!(
            format!("{error:#}").starts_with("reading the EFI system partition"),
            "{error:#}"
        );
        Ok(())
    }
}
