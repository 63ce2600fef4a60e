//! Secure Boot: the firmware, its keys and what it started are as they have to be, and the node sees it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use arch::ARCH;
use sha2::{Digest, Sha256};
use vm::console::Console;
use vm::firmware::Kind;
use vm::hex::hex;
use vm::nvram::{Variable, read_store};

use super::hooks::{Aspect, Subject, When};
use crate::evidence::Check;
use crate::node::{Facts, Probe};
use crate::scenario::one_machine::Scenario;
use crate::scenario::stick::{mtool, place_of};

/// What the EFI stub of a Linux kernel says before it starts the kernel.
const KERNEL_SAYS: &str = "EFI stub: UEFI Secure Boot is enabled.";
/// The keys, as the UEFI specification names them, and whose variables they are.
const KEYS: [(&str, &str); 4] = [
    ("PK", GLOBAL),
    ("KEK", GLOBAL),
    ("db", SECURITY),
    ("dbx", SECURITY),
];
/// EFI_GLOBAL_VARIABLE.
const GLOBAL: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
/// EFI_IMAGE_SECURITY_DATABASE_GUID.
const SECURITY: &str = "d719b2cb-3d3a-4596-a3bc-dad00e67656f";
/// Variables that say whether Secure Boot is on, and what they have then, in hexadecimal.
const STATE: [(&str, &str); 2] = [("SecureBoot", "01"), ("SetupMode", "00")];
/// The lockdown mode in brackets among all; Debian's kernels choose this one when they start with Secure Boot on.
const LOCKDOWN: &str = "cat /sys/kernel/security/lockdown";
const LOCKED_DOWN: &str = "none [integrity] confidentiality";
/// HookOS on the stick.
const BOOT_PARTITION: &str = "EMTS-BOOT";

const KEY: &str = "machine/secureBoot";

/// A firmware that starts only what is signed.
pub(super) struct SecureBoot;

impl Aspect for SecureBoot {
    fn concerns(&self, scenario: &Scenario) -> bool {
        scenario.machine.secure_boot
    }

    fn prepared(&self, subject: &Subject<'_>, usb: &Path) -> Result<Vec<Check>> {
        Ok(vec![signature(usb, subject.scenario.machine.signed)?])
    }

    fn installed(&self, _subject: &Subject<'_>, console: &Console) -> Result<Vec<Check>> {
        let said = console.look(|state| state.secure_starts) > 0;
        Ok(vec![kernel_said(said)])
    }

    /// In each boot of the node.
    fn questions(&self, when: When) -> Vec<Probe> {
        if when != When::LoggedIn {
            return Vec::new();
        }
        let state = STATE.map(|(name, _)| (name, GLOBAL));
        let variables = state.iter().chain(&KEYS).map(variable);
        variables.chain([Probe::shell(LOCKDOWN)]).collect()
    }

    /// The running node sees Secure Boot on, and the keys that the firmware was made with.
    fn answered(&self, subject: &Subject<'_>, when: When, facts: &Facts) -> Result<Vec<Check>> {
        if when != When::LoggedIn {
            return Ok(Vec::new());
        }
        let made_with = read_store(&Kind::SecureBoot.initial_vars()?)?;
        let state = STATE.map(|(name, wanted)| ((name, GLOBAL), wanted.to_owned()));
        let keys = KEYS.map(|key| (key, hex(&data(&made_with, key.0))));
        let mut checks: Vec<Check> = state
            .into_iter()
            .chain(keys)
            .map(|(of, wanted)| {
                let seen = facts.text(&variable(&of));
                let seen = seen.trim();
                Check::new(
                    KEY,
                    format!("{}the node sees the firmware's {}", subject.label, of.0),
                    short(&wanted),
                    short(seen),
                    seen == wanted,
                )
            })
            .collect();
        checks.push(Check::same(
            KEY,
            format!("{}the node's kernel is locked down", subject.label),
            LOCKED_DOWN,
            facts.text(&Probe::shell(LOCKDOWN)).trim(),
        ));
        Ok(checks)
    }

    fn powered_off(&self, subject: &Subject<'_>, _finished: bool) -> Result<Vec<Check>> {
        enrolled(&subject.hardware.firmware.vars)
    }
}

/// The question what a variable of the firmware has, in hexadecimal. Four bytes of attributes come first.
fn variable((name, vendor): &(&str, &str)) -> Probe {
    Probe::shell(format!(
        "od -An -v -tx1 -j4 /sys/firmware/efi/efivars/{name}-{vendor} | tr -d ' \\n'"
    ))
}

fn kernel_said(said: bool) -> Check {
    Check::same(
        KEY,
        "the installer's kernel says that Secure Boot is on",
        KERNEL_SAYS,
        if said { KERNEL_SAYS } else { "not said" },
    )
}

/// The machine's firmware still has Secure Boot on and the keys that it was made with.
///
/// # Errors
/// A variable store cannot be read.
fn enrolled(vars: &Path) -> Result<Vec<Check>> {
    let made_with = read_store(&Kind::SecureBoot.initial_vars()?)?;
    let now = read_store(&fs_err::read(vars)?)?;
    let names = KEYS.iter().map(|(name, _)| *name);
    Ok(names
        .chain(["SecureBootEnable"])
        .map(|name| {
            let (wanted, seen) = (hex(&data(&made_with, name)), hex(&data(&now, name)));
            Check::new(
                KEY,
                format!("the firmware's {name} is as it was enrolled"),
                short(&wanted),
                short(&seen),
                seen == wanted && !wanted.is_empty(),
            )
        })
        .collect())
}

/// HookOS on the stick `usb`, as it was made, has the test key's signature where the scenario says that it is signed,
/// and none else: a refusal means nothing when the stick is not what it is said to be.
///
/// # Errors
/// The stick cannot be read, or sbverify is missing.
fn signature(usb: &Path, signed: bool) -> Result<Check> {
    let folder = tempfile::tempdir()?;
    let image = folder.path().join("hookos.efi");
    let from = format!("::{}", ARCH.boot_file);
    let place = place_of(usb, BOOT_PARTITION)?;
    mtool("mcopy", usb, place, &[from.into(), image.clone().into()])?;
    let output = Command::new("sbverify")
        .args(["--cert", ARCH.test_certificate])
        .arg(&image)
        .output()
        .context("cannot start sbverify (`cargo xtask setup` installs what is missing)")?;
    let said = String::from_utf8_lossy(&output.stderr);
    let seen = match output.status.success() {
        true => SIGNED,
        false if said.contains("No signature table present") => NOT_SIGNED,
        false => said.trim(),
    };
    let wanted = if signed { SIGNED } else { NOT_SIGNED };
    Ok(Check::same(
        KEY,
        "HookOS on the stick, as it was made, is",
        wanted,
        seen,
    ))
}

const SIGNED: &str = "signed with the firmware's test key";
const NOT_SIGNED: &str = "not signed";

fn data(variables: &[Variable], name: &str) -> Vec<u8> {
    let mut all = variables.iter();
    all.find(|variable| variable.name == name)
        .map(|variable| variable.data.clone())
        .unwrap_or_default()
}

/// A short value as it is, a long one by its length and digest.
fn short(value: &str) -> String {
    match value.len() {
        0 => "nothing".to_owned(),
        1..=8 => value.to_owned(),
        length => format!(
            "{} bytes, SHA-256 of their hexadecimal digits {}",
            length / 2,
            &hex(&Sha256::digest(value))[..16]
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::made::{Made, fat_partition, results};
    use super::*;
    use vm::machine::SerialLog;

    fn made() -> Made {
        Made::new(|scenario| scenario.machine.secure_boot = true)
    }

    #[test]
    fn only_such_a_firmware_has_the_aspect() {
        assert!(SecureBoot.concerns(&made().scenario));
        assert!(!SecureBoot.concerns(&Made::new(|_| {}).scenario));
    }

    #[tokio::test]
    async fn the_installers_kernel_has_to_say_it() {
        let made = made();
        let log = made.path("serial.log");
        for (text, said) in [("other\n", false), (&*format!("{KERNEL_SAYS}\r\n"), true)] {
            fs_err::write(&log, text).unwrap();
            let console = Console::follow(&[SerialLog {
                port: "ttyS0",
                path: log.clone(),
            }]);
            console.caught_up().await;
            let checks = SecureBoot.installed(&made.subject(), &console).unwrap();
            assert_eq!(results(&checks), [(KEY, said)]);
        }
    }

    #[test]
    fn each_variable_that_the_node_sees_is_checked() {
        let made = made();
        let probes = SecureBoot.questions(When::LoggedIn);
        assert_eq!(probes.len(), 7);
        let store = read_store(&Kind::SecureBoot.initial_vars().unwrap()).unwrap();
        let mut values = vec!["01".to_owned(), "00".to_owned()];
        values.extend(KEYS.map(|(name, _)| hex(&data(&store, name))));
        values.push(format!("{LOCKED_DOWN}\n"));
        let failed = |values: &[String]| {
            let texts = values.iter().map(String::as_str);
            let answers: Vec<_> = probes.iter().cloned().zip(texts).collect();
            let checks = made.answered(&SecureBoot, When::LoggedIn, &answers);
            assert_eq!(checks.len(), 7);
            let failed = checks.iter().enumerate().filter(|(_, check)| !check.passed);
            failed.map(|(at, _)| at).collect::<Vec<_>>()
        };
        assert_eq!(failed(&values), [0; 0]);
        for at in 0..values.len() {
            let mut other = values.clone();
            other[at] = "02".to_owned();
            assert_eq!(failed(&other), [at]);
        }
        for when in [When::Verify, When::BeforeReboot, When::AfterReboot] {
            assert!(SecureBoot.questions(when).is_empty());
            assert!(made.answered(&SecureBoot, when, &[]).is_empty());
        }
    }

    #[test]
    fn the_firmware_is_looked_at_however_the_run_ended() {
        let made = made();
        for finished in [true, false] {
            let checks = made.off(&SecureBoot, finished);
            assert_eq!(results(&checks), [(KEY, true); 5]);
        }
    }

    #[test]
    fn a_stick_without_a_signature_is_not_signed() {
        let made = made();
        let image = made.path("usb.img");
        fat_partition(&image, BOOT_PARTITION);
        let place = place_of(&image, BOOT_PARTITION).unwrap();
        for directory in ["::EFI", "::EFI/BOOT"] {
            mtool("mmd", &image, place, &[directory.into()]).unwrap();
        }
        let efi = made.path("efi");
        fs_err::write(&efi, "no executable").unwrap();
        let to = format!("::{}", ARCH.boot_file);
        mtool("mcopy", &image, place, &[efi.into(), to.into()]).unwrap();
        // What is no executable is neither signed nor an executable without a signature.
        for signed in [true, false] {
            let check = signature(&image, signed).unwrap();
            assert!(!check.passed && check.actual != SIGNED, "{check:?}");
        }
        assert_eq!(
            SecureBoot.prepared(&made.subject(), &image).unwrap().len(),
            1
        );
    }

    #[test]
    fn the_test_firmware_has_secure_boot_on_and_a_changed_key_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let vars = folder.path().join("vars.fd");
        let mut bytes = Kind::SecureBoot.initial_vars().unwrap();
        fs_err::write(&vars, &bytes).unwrap();
        let checks = enrolled(&vars).unwrap();
        assert!(checks.iter().all(|check| check.passed), "{checks:?}");
        let key = data(&read_store(&bytes).unwrap(), "dbx");
        let at = bytes
            .windows(key.len())
            .position(|window| window == key)
            .unwrap();
        bytes[at + key.len() - 1] ^= 1;
        fs_err::write(&vars, &bytes).unwrap();
        let failed: Vec<String> = enrolled(&vars)
            .unwrap()
            .into_iter()
            .filter(|check| !check.passed)
            .map(|check| check.check)
            .collect();
        assert_eq!(failed, ["the firmware's dbx is as it was enrolled"]);
    }
}
