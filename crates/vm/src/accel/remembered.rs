//! The probe's answer, remembered until the host boots anew.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Chosen;

#[derive(Serialize, Deserialize)]
struct Remembered {
    boot_id: String,
    chosen: Chosen,
}

/// The identity of the host's current boot.
///
/// # Errors
/// The kernel does not tell it.
pub fn host_boot_id() -> std::io::Result<String> {
    Ok(fs_err::read_to_string("/proc/sys/kernel/random/boot_id")?
        .trim()
        .to_owned())
}

fn file(cache: &Path) -> PathBuf {
    cache.join("accelerator.json")
}

/// The answer of this boot, if there is one in the folder `cache`.
#[must_use]
pub fn recall(cache: &Path, boot_id: &str) -> Option<Chosen> {
    let text = fs_err::read_to_string(file(cache)).ok()?;
    let remembered: Remembered = serde_json::from_str(&text).ok()?;
    (remembered.boot_id == boot_id).then_some(remembered.chosen)
}

/// Keeps an answer for this boot of the host.
///
/// # Errors
/// The folder cannot be written.
pub fn remember(cache: &Path, boot_id: &str, chosen: &Chosen) -> std::io::Result<()> {
    fs_err::create_dir_all(cache)?;
    let text = serde_json::to_string_pretty(&Remembered {
        boot_id: boot_id.to_owned(),
        chosen: chosen.clone(),
    })?;
    let mut temporary = tempfile::NamedTempFile::new_in(cache)?;
    std::io::Write::write_all(&mut temporary, text.as_bytes())?;
    temporary.persist(file(cache))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accel::Accelerator;

    #[test]
    fn an_answer_holds_for_one_boot() {
        let folder = tempfile::tempdir().unwrap();
        let chosen = Chosen {
            accelerator: Accelerator::Kvm,
            reason: "a guest came up".into(),
        };
        remember(folder.path(), "boot-1", &chosen).unwrap();
        assert_eq!(recall(folder.path(), "boot-1"), Some(chosen));
        assert_eq!(recall(folder.path(), "boot-2"), None);
    }
}
