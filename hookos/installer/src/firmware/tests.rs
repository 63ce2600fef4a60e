use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt as _;

use efi::{GLOBAL_VARIABLE, IMAGE_SECURITY_DATABASE};
use gpt::partition_types::{EFI, LINUX_FS};

use super::*;
use crate::error::Kind;

/// A machine: its firmware's variables in a directory, and an installed disk.
struct Machine {
    directory: tempfile::TempDir,
    disk: tempfile::NamedTempFile,
}

impl Machine {
    /// With these boot variables, as `BootOrder` and content without attributes.
    fn new(variables: &[(&str, &[u8])]) -> Self {
        let machine = Self {
            directory: tempfile::tempdir().expect("a directory can be made"),
            disk: esp::tests::disk(&[EFI, LINUX_FS]),
        };
        fs::create_dir(machine.efivars()).expect("a directory can be made");
        for (name, content) in variables {
            machine.write(name, GLOBAL_VARIABLE, content);
        }
        machine
    }

    fn efivars(&self) -> PathBuf {
        self.directory.path().join("efivars")
    }

    fn mark(&self) -> PathBuf {
        self.directory.path().join("restarted.txt")
    }

    fn write(&self, name: &str, vendor: Uuid, content: &[u8]) {
        let bytes = [&[7, 0, 0, 0], content].concat();
        fs::write(self.efivars().join(format!("{name}-{vendor}")), bytes)
            .expect("it can be written");
    }

    /// All variables by their names.
    fn variables(&self) -> BTreeMap<String, Vec<u8>> {
        let files = fs::read_dir(self.efivars()).expect("it can be listed");
        let read = |file: fs::DirEntry| {
            let name = file.file_name().into_string().expect("names are ASCII");
            let name = name
                .split('-')
                .next()
                .map(str::to_owned)
                .expect("there is a first part");
            (
                name,
                fs::read(file.path()).expect("it can be read")[4..].to_vec(),
            )
        };
        files
            .map(|file| read(file.expect("it can be listed")))
            .collect()
    }

    fn firmware(&self) -> Firmware {
        Firmware {
            efivars: self.efivars(),
            disk: Some(self.disk.path().to_owned()),
        }
    }

    fn state(&self) -> State {
        State::at(self.directory.path())
    }

    fn set_boot_order(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let set = self
            .firmware()
            .set_boot_order(&self.state(), &mut |line| lines.push(line.to_owned()));
        set.expect("the disk has an ESP");
        lines
    }

    fn boot_next(&self) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        let say = &mut |line: &str| lines.push(line.to_owned());
        self.firmware()
            .boot_next(&self.state(), &self.mark(), say)?;
        Ok(lines)
    }

    fn entry(&self) -> Vec<u8> {
        let esp = esp::of(self.disk.path()).expect("the disk has an ESP");
        esp.load_option("EMTS", &entries::loader())
    }
}

#[test]
fn the_disks_entry_is_made_first_and_said() {
    let machine = Machine::new(&[("BootOrder", &[1, 0]), ("Boot0001", b"damaged")]);
    assert_eq!(
        machine.set_boot_order(),
        [format!(
            "Boot0000 (EMTS) starts {} and is first in BootOrder: 0000,0001",
            machine.disk.path().display()
        )]
    );
    let expected = [
        ("Boot0000", machine.entry()),
        ("Boot0001", b"damaged".to_vec()),
        ("BootOrder", vec![0, 0, 1, 0]),
    ];
    assert_eq!(
        machine.variables(),
        BTreeMap::from(expected.map(|(name, content)| (name.to_owned(), content)))
    );
}

#[test]
fn the_disk_is_that_of_choose_disk_unless_it_is_given() {
    let machine = Machine::new(&[("BootOrder", &[])]);
    let firmware = Firmware {
        disk: None,
        ..machine.firmware()
    };
    let error = firmware
        .set_boot_order(&machine.state(), &mut |_| ())
        .expect_err("nobody has chosen one");
    assert!(error.reason.ends_with("choose-disk comes first"), "{error}");
}

#[test]
fn a_next_start_of_somebody_else_is_kept_and_said() {
    let machine = Machine::new(&[("BootOrder", &[1, 0]), ("BootNext", &[5, 0])]);
    let lines = machine.set_boot_order();
    assert_eq!(
        lines[1],
        "warning: the firmware starts Boot0005 once before the installed system: BootNext is set to it"
    );
    assert_eq!(machine.variables()["BootNext"], [5, 0]);
    machine.write("BootNext", GLOBAL_VARIABLE, &[0, 0]);
    assert_eq!(machine.set_boot_order().len(), 1, "it is the entry itself");
}

#[test]
fn without_variables_there_is_a_warning_with_what_to_do() {
    let machine = Machine::new(&[]);
    let line = &machine.set_boot_order()[0];
    assert!(
        line.starts_with("warning: the firmware did not keep the boot entry: no access to"),
        "{line}"
    );
    let disk = machine.disk.path().display();
    let end =
        format!("; until then set it to start from {disk}, or remove the installation medium");
    assert!(line.ends_with(&end), "{line}");
}

#[test]
fn a_disk_without_an_esp_is_a_failure() {
    let machine = Machine {
        disk: esp::tests::disk(&[LINUX_FS]),
        ..Machine::new(&[("BootOrder", &[])])
    };
    let error = machine
        .firmware()
        .set_boot_order(&machine.state(), &mut |_| ());
    assert_eq!(error.expect_err("it starts nothing").kind, Kind::Medium);
}

#[test]
fn the_disk_is_started_next_once_until_it_has_started() -> Result<()> {
    let machine = Machine::new(&[("BootOrder", &[1, 0]), ("Boot0001", b"stick")]);
    let disk = machine.disk.path().display();
    assert_eq!(
        machine.boot_next()?,
        [format!(
            "BootNext is Boot0000 (EMTS): the firmware starts {disk} next"
        )]
    );
    assert_eq!(machine.variables()["BootNext"], [0, 0]);
    assert_eq!(machine.variables()["BootOrder"], [0, 0, 1, 0]);

    // The firmware drops it, puts the stick first again and starts it.
    fs::remove_file(
        machine
            .efivars()
            .join(format!("BootNext-{GLOBAL_VARIABLE}")),
    )
    .expect("it is there");
    machine.write("BootOrder", GLOBAL_VARIABLE, &[1, 0, 0, 0]);
    let before = machine.variables();
    let error = machine.boot_next().expect_err("it was tried");
    assert_eq!(
        error.advice.as_deref(),
        Some("remove the installation medium and restart")
    );
    assert_eq!(machine.variables(), before);

    // The system has started: its root file system was mounted once more.
    let root = esp::table(machine.disk.path())?.partitions()[&2].first_lba * 512;
    machine
        .disk
        .as_file()
        .write_all_at(&[1], root + 1024 + 52)
        .expect("it can be written");
    machine.boot_next()?;
    assert_eq!(machine.variables()["BootNext"], [0, 0]);
    Ok(())
}

#[test]
fn the_next_start_of_somebody_else_is_left_and_nothing_is_noted() {
    let machine = Machine::new(&[
        ("BootOrder", &[1, 0]),
        ("BootNext", &[1, 0]),
        ("Boot0001", b"?"),
    ]);
    let before = machine.variables();
    let error = machine.boot_next().expect_err("it is taken");
    assert_eq!(error.reason, "BootNext is set to Boot0001 already");
    assert_eq!(machine.variables(), before);
    assert!(!machine.mark().exists());
}

#[test]
fn what_cannot_be_remembered_is_not_started() {
    let machine = Machine::new(&[("BootOrder", &[1, 0])]);
    let mark = machine.directory.path().join("none/restarted.txt");
    let tried = machine
        .firmware()
        .boot_next(&machine.state(), &mark, &mut |_| ());
    assert_eq!(tried.expect_err("there is no directory").kind, Kind::Medium);
    assert!(!machine.variables().contains_key("BootNext"));
}

/// A manifest of an image with one program that is not signed.
const UNSIGNED: &str = r#"{"osImage": {"bootFiles": [
    {"path": "EFI/BOOT/BOOT.EFI", "role": "other", "sha256": "00", "signatures": []}]}}"#;

/// What is said of this manifest's image, and whether it is taken.
fn with_secure_boot(state: u8, manifest: &str) -> (Vec<String>, Result<()>) {
    let machine = Machine::new(&[("SecureBoot", &[state]), ("SetupMode", &[0])]);
    machine.write("db", IMAGE_SECURITY_DATABASE, &[]);
    let manifest = manifest.replace("EFI/BOOT/BOOT.EFI", arch::ARCH.boot_file);
    fs::write(machine.directory.path().join("manifest.json"), manifest).expect("it can be written");
    let mut lines = Vec::new();
    let say = &mut |line: &str| lines.push(line.to_owned());
    let taken = machine.firmware().check_secure_boot(&machine.state(), say);
    (lines, taken)
}

#[test]
fn an_image_is_refused_only_with_secure_boot_on_and_the_state_is_said_either_way() {
    assert_eq!(
        with_secure_boot(0, UNSIGNED),
        (vec!["Secure Boot: off".into()], Ok(()))
    );
    let (lines, taken) = with_secure_boot(1, UNSIGNED);
    assert_eq!(lines, ["Secure Boot: on"]);
    let error = taken.expect_err("it is not signed");
    assert!(
        error.reason.ends_with("of the OS image: it is not signed"),
        "{error}"
    );
}

#[test]
fn of_an_image_that_nothing_is_known_of_there_is_a_warning() {
    let (lines, taken) = with_secure_boot(1, r#"{"osImage": {}}"#);
    assert_eq!((lines.len(), taken), (2, Ok(())));
    assert!(
        lines[1].starts_with("warning: Secure Boot is on, and the manifest does not say"),
        "{lines:?}"
    );
}

#[test]
fn without_variables_the_state_is_not_known() -> Result<()> {
    let machine = Machine::new(&[]);
    let mut lines = Vec::new();
    let say = &mut |line: &str| lines.push(line.to_owned());
    machine
        .firmware()
        .check_secure_boot(&machine.state(), say)?;
    assert!(
        lines[0].starts_with("Secure Boot: not known, no access to"),
        "{lines:?}"
    );
    Ok(())
}

#[test]
fn an_entry_of_a_partition_that_was_overwritten_is_used_again() -> Result<()> {
    let machine = Machine::new(&[("BootOrder", &[4, 0])]);
    machine.set_boot_order();
    assert_eq!(partitions(machine.disk.path()).len(), 2);
    let target = |disk: &Path| Target {
        path: disk.to_owned(),
        name: "sda".into(),
        size: 16 << 20,
        sector_size: 512,
        transport: "sata".into(),
        model: String::new(),
        serial: String::new(),
        wwn: String::new(),
        mounts: vec![],
        swaps: vec![],
        loses: vec![],
        partitions: partitions(machine.disk.path()),
        selected: false,
    };
    let written = esp::tests::disk(&[EFI]);
    machine.state().write(&target(written.path()))?;
    let firmware = Firmware {
        disk: None,
        ..machine.firmware()
    };
    firmware.set_boot_order(&machine.state(), &mut |_| ())?;
    let variables = machine.variables();
    assert_eq!(variables.len(), 2, "{variables:?}");
    let esp = esp::of(written.path())?;
    assert_eq!(
        variables["Boot0000"],
        esp.load_option("EMTS", &entries::loader())
    );
    Ok(())
}
