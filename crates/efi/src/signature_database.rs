//! The content of `db` and `dbx`: EFI_SIGNATURE_LISTs (UEFI specification 2.10, section 32.4.1) of certificates and of
//! digests of programs.

use uuid::{Uuid, uuid};

use crate::{guid_at, u32_at};

/// SHA-256 of a program.
const SHA256: Uuid = uuid!("c1c41626-504c-4092-aca9-41f936934328");
/// A certificate.
const X509: Uuid = uuid!("a5c059a1-94e4-4aa7-87b5-ab155c2bf072");
/// SHA-256 of a certificate's part that is signed, and a time from which on it is revoked.
const X509_SHA256: Uuid = uuid!("3bd2a492-96c0-4079-b420-fcf98ef103ed");
/// Bytes of a list's header: type, size of the list, of its own header, of each entry.
const HEADER: usize = 28;
/// Bytes of an entry's owner, a GUID before its data.
const OWNER: usize = 16;

/// What firmware trusts, or trusts no more. Digests other than SHA-256 are left out: firmware takes SHA-256 of
/// programs, and no list that is distributed has others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SignatureDatabase {
    /// Authenticode SHA-256 of programs.
    pub programs: Vec<[u8; 32]>,
    /// Certificates, DER.
    pub certificates: Vec<Vec<u8>>,
    /// SHA-256 of the signed part of certificates.
    pub certificate_digests: Vec<[u8; 32]>,
}

impl SignatureDatabase {
    /// Reads the content of the variable. Lists of other types are skipped; nothing where a list has no possible size.
    #[must_use]
    pub fn read(mut bytes: &[u8]) -> Option<Self> {
        let mut database = Self::default();
        while !bytes.is_empty() {
            let kind = guid_at(bytes, 0)?;
            let size = u32_at(bytes, 16)? as usize;
            let header = u32_at(bytes, 20)? as usize;
            let entry = u32_at(bytes, 24)? as usize;
            let entries = bytes.get(HEADER.checked_add(header)?..size)?;
            if entry < OWNER {
                return None;
            }
            for entry in entries.chunks_exact(entry) {
                database.add(kind, &entry[OWNER..]);
            }
            bytes = &bytes[size..];
        }
        Some(database)
    }

    fn add(&mut self, kind: Uuid, data: &[u8]) {
        let digest = || data.first_chunk::<32>().copied();
        match kind {
            SHA256 => self.programs.extend(digest()),
            X509_SHA256 => self.certificate_digests.extend(digest()),
            X509 => self.certificates.push(data.to_vec()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(kind: Uuid, header: &[u8], entries: &[&[u8]]) -> Vec<u8> {
        let entry = OWNER + entries[0].len();
        let size = HEADER + header.len() + entry * entries.len();
        let mut bytes = kind.to_bytes_le().to_vec();
        for number in [size, header.len(), entry] {
            bytes.extend(u32::try_from(number).unwrap().to_le_bytes());
        }
        bytes.extend(header);
        for entry in entries {
            bytes.extend([9; OWNER]);
            bytes.extend(*entry);
        }
        bytes
    }

    #[test]
    fn reads_lists_of_each_kind_and_skips_others() {
        let sha1 = uuid!("826ca512-cf10-4ac9-b187-be01496631bd");
        let bytes = [
            list(X509, &[], &[b"certificate"]),
            list(sha1, &[], &[&[1; 20], &[2; 20]]),
            list(SHA256, &[5; 3], &[&[3; 32], &[4; 32]]),
            list(
                X509_SHA256,
                &[],
                &[&[[6; 32].as_slice(), &[0; 16]].concat()],
            ),
        ];
        let expected = SignatureDatabase {
            programs: vec![[3; 32], [4; 32]],
            certificates: vec![b"certificate".to_vec()],
            certificate_digests: vec![[6; 32]],
        };
        assert_eq!(SignatureDatabase::read(&bytes.concat()), Some(expected));
        assert_eq!(
            SignatureDatabase::read(&[]),
            Some(SignatureDatabase::default())
        );
    }

    #[test]
    fn a_list_of_no_possible_size_is_refused() {
        let whole = list(X509, &[], &[b"certificate"]);
        for length in 1..whole.len() {
            assert_eq!(
                SignatureDatabase::read(&whole[..length]),
                None,
                "{length} bytes"
            );
        }
        for (at, value) in [
            (16, 0),
            (16, 27),
            (20, u32::MAX),
            (20, 40),
            (24, 0),
            (24, 15),
        ] {
            let mut bytes = whole.clone();
            bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
            assert_eq!(SignatureDatabase::read(&bytes), None, "{value} at {at}");
        }
    }
}
