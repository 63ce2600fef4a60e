//! Secure Boot: the firmware refuses what is not signed, and its keys are still those that it was made with.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use arch::ARCH;
use sha2::{Digest, Sha256};

use super::collect::check;
use super::failure::Failure;
use super::installed::hex;
use super::session::Session;
use super::stick::{mtool, place_of};
use crate::evidence::Check;
use vm::console::{ConsoleState, NOTHING_TO_START, RefusedEntry};
use vm::firmware::Kind;
use vm::nvram::{BootVariables, Variable, read_store};

/// The firmware's answers for an executable that it does not trust: EFI_ACCESS_DENIED, EFI_SECURITY_VIOLATION.
const NOT_TRUSTED: [&str; 2] = ["Access Denied", "Security Violation"];
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
/// The lockdown mode in brackets among all; Debian's kernels choose this one when they start with Secure Boot on.
const LOCKDOWN: &str = "cat /sys/kernel/security/lockdown";
const LOCKED_DOWN: &str = "none [integrity] confidentiality";
/// HookOS on the stick.
const BOOT_PARTITION: &str = "EMTS-BOOT";
/// How long the guest may take to read a few variables.
const SILENCE: Duration = Duration::from_secs(60);

impl Session<'_> {
    /// Until the firmware has nothing left to start, or HookOS runs.
    pub async fn firmware_refuses(&mut self) -> Result<()> {
        self.output.doing("waiting for the firmware to refuse");
        let console = self.guard.console();
        let ended = console.wait_for(|state| {
            let gave_up = |state: &ConsoleState| {
                let mut signs = state.badness.iter();
                signs.any(|badness| badness.name == NOTHING_TO_START)
            };
            (gave_up(state) || !state.markers.is_empty()).then_some(())
        });
        let ended = async {
            ended.await;
            Ok::<_, Failure>(())
        };
        let doing = "waiting for the firmware to refuse the stick";
        let budget = self.budgets().first_marker;
        self.guard.race_the_firmware(doing, budget, ended).await?;
        console.caught_up().await;
        self.screenshot("screen-refusal").await;
        let vars = fs_err::read(&self.hardware.firmware.vars)?;
        let boot = BootVariables::from_file_content(&vars)?;
        self.checks
            .extend(console.look(|state| refusal_checks(state, &boot)));
        Ok(())
    }

    /// The installer's kernel has started with Secure Boot on. Nothing to see on another machine.
    pub fn secure_boot_of_installer(&mut self) {
        if self.hardware.firmware.kind == Kind::Plain {
            return;
        }
        let said = self.guard.console().look(|state| state.secure_starts);
        self.checks.push(check(
            "machine/secureBoot",
            "the installer's kernel says that Secure Boot is on",
            KERNEL_SAYS.into(),
            if said > 0 { KERNEL_SAYS } else { "not said" }.into(),
            said > 0,
        ));
    }

    /// The running node sees Secure Boot on, and the keys that the firmware was made with. Nothing to see on
    /// another machine.
    pub async fn secure_boot_in_guest(&mut self) -> Result<()> {
        if self.hardware.firmware.kind == Kind::Plain {
            return Ok(());
        }
        let made_with = read_store(&Kind::SecureBoot.initial_vars()?)?;
        let mut expected = vec![
            ("SecureBoot", GLOBAL, "01".to_owned()),
            ("SetupMode", GLOBAL, "00".to_owned()),
        ];
        expected.extend(KEYS.map(|(name, vendor)| (name, vendor, hex(&data(&made_with, name)))));
        // Four bytes of attributes come first.
        let ask = |(name, vendor, _): &(&str, &str, String)| {
            format!(
                "od -An -v -tx1 -j4 /sys/firmware/efi/efivars/{name}-{vendor} | tr -d ' \\n'; echo"
            )
        };
        let mut script: Vec<String> = expected.iter().map(ask).collect();
        script.push(LOCKDOWN.to_owned());
        let output = self
            .ssh()?
            .run("secure-boot", &script.join("; "), SILENCE)
            .await?;
        let text = output.text();
        let mut lines = text.lines();
        for (name, _, wanted) in &expected {
            let seen = lines.next().unwrap_or_default();
            self.checks.push(check(
                "machine/secureBoot",
                &format!("{}the node sees the firmware's {name}", self.label),
                short(wanted),
                short(seen),
                seen == wanted,
            ));
        }
        let lockdown = lines.next().unwrap_or_default();
        self.checks.push(check(
            "machine/secureBoot",
            &format!("{}the node's kernel is locked down", self.label),
            LOCKED_DOWN.into(),
            lockdown.into(),
            lockdown == LOCKED_DOWN,
        ));
        Ok(())
    }
}

/// The stick was not trusted, and nothing of it ran.
fn refusal_checks(state: &ConsoleState, boot: &BootVariables) -> Vec<Check> {
    let is_stick = |number: u16| boot.entry(number).is_some_and(|entry| entry.is_usb());
    let of_stick: Vec<&RefusedEntry> = state
        .refused
        .iter()
        .filter(|entry| is_stick(entry.number))
        .collect();
    let status = of_stick.first().map(|entry| entry.status.as_str());
    let started = boot
        .entries
        .iter()
        .find(|entry| entry.is_usb() && state.boots.contains(&entry.description))
        .map(|entry| format!("Boot{:04X} {}", entry.number, entry.description));
    let ran = state.markers.first().map(ToString::to_string).or(started);
    vec![
        check(
            "machine/secureBoot",
            "the firmware does not trust the stick",
            NOT_TRUSTED.join(" or "),
            status.unwrap_or("it was not refused").into(),
            status.is_some_and(|status| NOT_TRUSTED.contains(&status)),
        ),
        check(
            "machine/secureBoot",
            "nothing of the stick was started",
            "nothing".into(),
            ran.clone().unwrap_or_else(|| "nothing".into()),
            ran.is_none(),
        ),
    ]
}

/// The machine's firmware still has Secure Boot on and the keys that it was made with.
///
/// # Errors
/// A variable store cannot be read.
pub(super) fn enrolled(vars: &Path) -> Result<Vec<Check>> {
    let made_with = read_store(&Kind::SecureBoot.initial_vars()?)?;
    let now = read_store(&fs_err::read(vars)?)?;
    let names = KEYS.iter().map(|(name, _)| *name);
    Ok(names
        .chain(["SecureBootEnable"])
        .map(|name| {
            let (wanted, seen) = (hex(&data(&made_with, name)), hex(&data(&now, name)));
            check(
                "machine/secureBoot",
                &format!("the firmware's {name} is as it was enrolled"),
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
pub(super) fn signature(usb: &Path, signed: bool) -> Result<Check> {
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
    Ok(check(
        "machine/secureBoot",
        "HookOS on the stick, as it was made, is",
        wanted.into(),
        seen.into(),
        seen == wanted,
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
    use super::*;
    use vm::nvram::{BootEntry, DevicePathNode};

    const STICK: &str = "UEFI QEMU QEMU USB HARDDRIVE 1-0000:00:03.0-1";

    fn passed(lines: &[&str]) -> Vec<bool> {
        let mut state = ConsoleState::default();
        for line in lines {
            state.take("ttyS0", line);
        }
        let boot = BootVariables {
            order: vec![1],
            entries: vec![BootEntry {
                number: 1,
                description: STICK.into(),
                active: true,
                path: vec![DevicePathNode::Usb],
                decoded: true,
            }],
        };
        let checks = refusal_checks(&state, &boot);
        checks.iter().map(|check| check.passed).collect()
    }

    fn line(what: &str, end: &str) -> String {
        format!("BdsDxe: {what} Boot0001 \"{STICK}\" from PciRoot(0x0)/USB(0x0,0x0){end}")
    }

    #[test]
    fn a_stick_that_is_not_trusted_is_refused() {
        let refused = line("failed to load", ": Access Denied");
        assert_eq!(passed(&[&line("loading", ""), &refused]), [true, true]);
    }

    #[test]
    fn a_stick_that_is_absent_or_fails_otherwise_proves_nothing() {
        assert_eq!(passed(&[]), [false, true]);
        let failed = line("failed to load", ": Not Found");
        assert_eq!(passed(&[&failed]), [false, true]);
    }

    #[test]
    fn a_stick_that_starts_is_seen() {
        assert_eq!(passed(&[&line("starting", "")]), [false, false]);
        assert_eq!(
            passed(&["EMTS step=find-media state=begin t=1"]),
            [false, false]
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
