//! How guest code is executed: by the CPU (KVM) or in software (TCG).

mod probe;
mod remembered;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use crate::machine::Accelerator;
pub use probe::{Probed, probe};
pub use remembered::{host_boot_id, recall, remember};

/// The chosen accelerator and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chosen {
    /// The accelerator.
    pub accelerator: Accelerator,
    /// The reason, for the first line of the output and the report.
    pub reason: String,
}

/// What can be said without a probe: `wanted`, if anything is, a device that does not open, or
/// an answer remembered since the host's boot. None: a guest has to be tried.
#[must_use]
pub fn choose_without_probe(
    wanted: Option<Accelerator>,
    cache: &Path,
    device: &Path,
) -> Option<Chosen> {
    let chosen = |accelerator, reason: String| {
        Some(Chosen {
            accelerator,
            reason,
        })
    };
    if let Some(accelerator) = wanted {
        return chosen(accelerator, "asked for".to_owned());
    }
    if let Err(error) = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(device)
    {
        return chosen(
            Accelerator::Tcg,
            format!("{} does not open: {error}", device.display()),
        );
    }
    recall(cache, &host_boot_id().ok()?)
}

/// The device of KVM.
#[must_use]
pub fn kvm_device() -> PathBuf {
    PathBuf::from("/dev/kvm")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_needs_no_probe() {
        let chosen = choose_without_probe(
            Some(Accelerator::Kvm),
            Path::new("/nowhere"),
            Path::new("/nowhere"),
        )
        .unwrap();
        assert_eq!(chosen.accelerator, Accelerator::Kvm);
    }

    #[test]
    fn a_device_that_does_not_open_means_tcg() {
        let chosen =
            choose_without_probe(None, Path::new("/nowhere"), Path::new("/nowhere/kvm")).unwrap();
        assert_eq!(chosen.accelerator, Accelerator::Tcg);
        assert!(
            chosen.reason.contains("/nowhere/kvm does not open"),
            "{}",
            chosen.reason
        );
    }

    #[test]
    fn a_device_that_opens_proves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let device = folder.path().join("kvm");
        fs_err::write(&device, "").unwrap();
        assert_eq!(choose_without_probe(None, folder.path(), &device), None);
    }
}
