//! Whether virtual machines run on the processor itself.

use std::io::ErrorKind;

/// The device of KVM.
const DEVICE: &str = "/dev/kvm";

/// What `doctor` says of KVM. Without it machines are emulated, which takes several times as long. That a guest starts is
/// not known before one has: the harness finds out and remembers it.
pub fn state() -> String {
    let opened = fs_err::OpenOptions::new()
        .read(true)
        .write(true)
        .open(DEVICE);
    let processor = fs_err::read_to_string("/proc/cpuinfo").unwrap_or_default();
    advice(opened.err().map(|error| error.kind()), &processor)
}

fn advice(error: Option<ErrorKind>, cpuinfo: &str) -> String {
    let has = |flag: &str| {
        let flags = cpuinfo.lines().filter(|line| line.starts_with("flags"));
        flags
            .flat_map(|line| line.split(' '))
            .any(|word| word == flag)
    };
    let why = match error {
        None => return "ok: it opens; the harness finds out whether a guest starts".to_owned(),
        Some(ErrorKind::PermissionDenied) => {
            "it may not be opened: add yourself to the group kvm (`sudo usermod -aG kvm $USER`), and log in again"
        }
        Some(ErrorKind::NotFound) if has("vmx") => {
            "it is not there: `sudo modprobe kvm_intel`; if that fails, switch VT-x on in the firmware"
        }
        Some(ErrorKind::NotFound) if has("svm") => {
            "it is not there: `sudo modprobe kvm_amd`; if that fails, switch SVM on in the firmware"
        }
        Some(ErrorKind::NotFound) => {
            "it is not there, and the processor shows no vmx or svm: switch virtualization on in the firmware, or, in a \
             virtual machine, nested virtualization on its host"
        }
        Some(_) => "it does not open",
    };
    format!("emulated machines: {why}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_has_its_advice() {
        let intel = "flags\t\t: fpu vmx ssse3\n";
        for (error, cpuinfo, wanted) in [
            (None, "", "ok"),
            (Some(ErrorKind::PermissionDenied), intel, "group kvm"),
            (Some(ErrorKind::NotFound), intel, "kvm_intel"),
            (Some(ErrorKind::NotFound), "flags\t: svm\n", "kvm_amd"),
            (Some(ErrorKind::NotFound), "flags\t: fpu\n", "nested"),
        ] {
            let advice = advice(error, cpuinfo);
            assert!(advice.contains(wanted), "{advice}");
        }
    }
}
