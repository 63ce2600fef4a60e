//! What disk, partitions and file systems of the image are called becomes what nothing else is called, where that can be.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt as _;

use uuid::Uuid;

use super::file_system::serial_text;
use crate::error::{Error, Kind, Result};
use crate::image::{Kept, OsImage};

/// The new names of an installation.
#[derive(Debug)]
pub struct Identities {
    /// By the old name in small letters.
    new: BTreeMap<String, String>,
    kept: Vec<Kept>,
}

impl Identities {
    /// None is given yet.
    pub fn of(image: &OsImage) -> Self {
        Self {
            new: BTreeMap::new(),
            kept: image.kept.clone(),
        }
    }

    /// What becomes of a GUID, a UUID or the serial number of a FAT, as libblkid writes it; `None` where it stays. The same
    /// for the same, whoever asks.
    pub fn renewed(&mut self, old: &str) -> Option<String> {
        if self
            .kept
            .iter()
            .any(|kept| kept.uuid.eq_ignore_ascii_case(old))
        {
            return None;
        }
        let new = self.new.entry(old.to_ascii_lowercase());
        Some(new.or_insert_with(|| random_like(old)).clone())
    }

    /// Writes the new names where the image's texts have the old ones.
    ///
    /// # Errors
    /// The disk cannot be written, or has something else there.
    pub fn rewrite(&mut self, image: &OsImage, disk: &File) -> Result<()> {
        for named in &image.named {
            let Some(new) = self.renewed(&named.uuid) else {
                continue;
            };
            let new = in_case_of(&named.uuid, &new);
            for offset in &named.offsets {
                replace(disk, *offset, &named.uuid, &new)?;
            }
        }
        Ok(())
    }

    /// What stays, and why.
    pub fn warnings(&self) -> Vec<String> {
        let kept = self.kept.iter();
        kept.map(|kept| {
            format!(
                "the disk keeps {} of the OS image, as {} names it: never attach two disks of this image to one machine",
                kept.uuid, kept.by
            )
        })
        .collect()
    }
}

fn random_like(old: &str) -> String {
    let random = Uuid::new_v4();
    match old.len() {
        // Of a FAT's serial number all bits are random.
        9 => serial_text(random.as_u128() as u32),
        _ => random.to_string(),
    }
}

/// The same text in capital letters where the other one is.
fn in_case_of(other: &str, text: &str) -> String {
    match other.bytes().any(|byte| byte.is_ascii_lowercase()) {
        true => text.to_ascii_lowercase(),
        false => text.to_ascii_uppercase(),
    }
}

fn replace(disk: &File, offset: u64, old: &str, new: &str) -> Result<()> {
    let failed = |error: std::io::Error| {
        let reason = format!("{old} cannot be replaced at byte {offset} of the disk: {error}");
        Error::new(Kind::Environment, reason)
    };
    let mut seen = vec![0; old.len()];
    disk.read_exact_at(&mut seen, offset).map_err(failed)?;
    if seen != old.as_bytes() || new.len() != old.len() {
        let reason = format!(
            "the OS image has no {old} at byte {offset}, where its manifest says that it has"
        );
        return Err(Error::new(Kind::Medium, reason));
    }
    disk.write_all_at(new.as_bytes(), offset).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Named, example};

    const ROOT: &str = "1f6e2c4a-5b0d-4e7a-9c38-e0575f6d7402";

    fn image(kept: &[&str], named: &[(&str, &[u64])]) -> OsImage {
        let kept = kept.iter().map(|uuid| Kept {
            uuid: (*uuid).into(),
            by: "EFI/Linux/a.efi".into(),
        });
        let named = named.iter().map(|(uuid, offsets)| Named {
            uuid: (*uuid).into(),
            offsets: offsets.to_vec(),
        });
        OsImage {
            kept: kept.collect(),
            named: named.collect(),
            ..example()
        }
    }

    #[test]
    fn a_name_becomes_one_and_the_same_new_one() {
        let mut one = Identities::of(&image(&[], &[]));
        let new = one.renewed(ROOT).expect("it is renewed");
        assert_eq!(one.renewed(&ROOT.to_uppercase()), Some(new.clone()));
        assert!(new != ROOT && Uuid::parse_str(&new).is_ok());
        let mut other = Identities::of(&image(&[], &[]));
        assert_ne!(other.renewed(ROOT), Some(new));
        assert!(one.warnings().is_empty());
    }

    #[test]
    fn a_serial_number_becomes_one() {
        let mut identities = Identities::of(&image(&[], &[]));
        let new = identities.renewed("E057-5F01").expect("it is renewed");
        assert_eq!((new.len(), &new[4..5]), (9, "-"));
        assert_ne!(new, "E057-5F01");
    }

    #[test]
    fn what_cannot_be_changed_stays_with_a_warning() {
        let mut identities = Identities::of(&image(&[ROOT], &[]));
        assert_eq!(identities.renewed(&ROOT.to_uppercase()), None);
        assert!(identities.renewed("E057-5F01").is_some());
        let warning = format!(
            "the disk keeps {ROOT} of the OS image, as EFI/Linux/a.efi names it: never attach two disks of this image \
             to one machine"
        );
        assert_eq!(identities.warnings(), [warning]);
    }

    #[test]
    fn texts_name_what_is_there() {
        let path = tempfile::NamedTempFile::new().expect("a file can be made");
        let capital = ROOT.to_uppercase();
        let text = format!("root=UUID={ROOT} {capital} E057-5F01 {ROOT}\n");
        std::fs::write(&path, &text).expect("file");
        let at = |what: &str| text.find(what).expect("it is there") as u64;
        let last = text.rfind(ROOT).expect("it is there") as u64;
        let image = image(
            &[],
            &[
                (ROOT, &[at(ROOT), last]),
                (&capital, &[at(&capital)]),
                ("E057-5F01", &[at("E057-5F01")]),
            ],
        );
        let mut identities = Identities::of(&image);
        let file = path.reopen().expect("it opens");
        identities.rewrite(&image, &file).expect("it is written");
        let (uuid, serial) = (identities.renewed(ROOT), identities.renewed("e057-5f01"));
        let (uuid, serial) = (uuid.expect("new"), serial.expect("new"));
        let expected = format!("root=UUID={uuid} {} {serial} {uuid}\n", uuid.to_uppercase());
        assert_eq!(std::fs::read_to_string(&path).expect("file"), expected);
    }

    #[test]
    fn a_text_that_is_not_there_is_the_medium_s_fault() {
        let path = tempfile::NamedTempFile::new().expect("a file can be made");
        std::fs::write(&path, [b'x'; 100]).expect("file");
        let image = image(&[], &[(ROOT, &[10])]);
        let file = path.reopen().expect("it opens");
        let error = Identities::of(&image).rewrite(&image, &file);
        assert_eq!(error.expect_err("it is not there").kind, Kind::Medium);
        assert_eq!(std::fs::read(&path).expect("file"), [b'x'; 100]);
    }
}
