//! find-media and choose-disk on a machine made of files.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use super::*;
use crate::disks::fake::{Fake, PCI};
use crate::disks::settle::tests::Fake as FakeClock;
use crate::state::Loss;

const GB500: u64 = 976_562_500 * 512;

/// A machine with a stick and two SATA disks that are files, after find-media.
struct Machine {
    fake: Fake,
    state: State,
    said: Vec<String>,
}

impl Machine {
    fn new() -> Self {
        let fake = Fake::new();
        fake.usb("sdz");
        for (name, label) in [
            ("sdz1", "EMTS-BOOT"),
            ("sdz2", "EMTS-OS"),
            ("sdz3", "EMTS-CONF"),
        ] {
            fake.partition("sdz", name, label);
        }
        let host = fake.host();
        fake.write(&host.proc.join("self"), "mountinfo", "");
        fake.write(&host.proc, "swaps", "Filename\n");
        let run = host.proc.join("run");
        let manifest =
            r#"{"format": 1, "id": "0123abcd", "osImage": {"file": "x", "rawSize": 4000000000}}"#;
        fake.write(&run, "manifest.json", manifest);
        let machine = Self {
            fake,
            state: State::at(run),
            said: Vec::new(),
        };
        machine.sata("sda", 1);
        machine.sata("sdb", 2);
        find_media(&host, &machine.state, &mut FakeClock::new()).expect("there is a stick");
        machine
    }

    fn sata(&self, name: &str, port: u32) {
        let device = self.fake.sata(name, port);
        let serial = format!("S-{name}");
        let mut page = vec![0, 0x80, 0, serial.len() as u8];
        page.extend(serial.bytes());
        self.fake.write_bytes(&device, "vpd_pg80", &page);
        let node = File::create(self.fake.host().dev.join(name)).expect("can be made");
        node.set_len(GB500).expect("a file can be long");
    }

    /// sda says what its maker left in.
    fn placeholder(&self) {
        let page = format!("{PCI}:1f.2/ata3/host1/target1:0:0/1:0:0:0");
        let page = self.fake.directory(&page);
        let text = b"\0\x80\0\x0eDefault string";
        self.fake.write_bytes(&page, "vpd_pg80", text);
    }

    fn write(&self, name: &str, at: u64, bytes: &[u8]) {
        let node = self.fake.host().dev.join(name);
        let node = File::options().write(true).open(node).expect("is there");
        node.write_all_at(bytes, at).expect("it takes it");
    }

    fn choose(&mut self, selector: &str) -> Result<Target> {
        let said = &mut self.said;
        let mut say = |line: &str| said.push(line.to_owned());
        let clock = &mut FakeClock::new();
        choose_disk(&self.fake.host(), &self.state, selector, clock, &mut say)?;
        self.state.read()
    }
}

#[test]
fn chooses_the_empty_disk_and_notes_what_later_steps_need() {
    let mut machine = Machine::new();
    machine.write("sda", 0, b"something");
    let target = machine.choose("null").expect("one is better");
    let dev = machine.fake.host().dev;
    let expected = Target {
        path: dev.join("sdb"),
        name: "sdb".into(),
        size: GB500,
        sector_size: 512,
        transport: "sata".into(),
        model: String::new(),
        serial: "S-sdb".into(),
        wwn: String::new(),
        mounts: vec![],
        swaps: vec![],
        loses: vec![],
        partitions: vec![],
        selected: false,
    };
    assert_eq!(target, expected);
    let lines = &machine.said[machine.said.len() - 5..];
    let dev = dev.display();
    assert_eq!(
        lines,
        [
            "Disks:".to_owned(),
            format!("  {dev}/sdb  500 GB  sata    serial S-sdb: can be used, empty"),
            format!(
                "  {dev}/sda  500 GB  sata    serial S-sda: can be used, has {dev}/sda: unknown data"
            ),
            format!("  {dev}/sdz  500 GB  usb    serial USB-1: the installer stick"),
            format!("Target disk: {dev}/sdb"),
        ]
    );
}

#[test]
fn what_the_chosen_disk_loses_is_noted() {
    let mut machine = Machine::new();
    machine.write("sda", 0, b"something");
    let json =
        r#"{"serial": "S-sda", "wwn": null, "minSize": 1000000, "maxSize": null, "wipe": false}"#;
    let target = machine.choose(json).expect("it is named");
    let path = machine.fake.host().dev.join("sda");
    let loss = Loss {
        label: path.display().to_string(),
        size: GB500,
        kind: "unknown data".into(),
    };
    assert_eq!(
        (target.path, target.loses, target.selected),
        (path, vec![loss], true)
    );
}

#[test]
fn a_raid_mode_that_hides_disks_is_a_warning() {
    let mut machine = Machine::new();
    machine.write("sda", 0, b"something");
    let pci = machine
        .fake
        .host()
        .sysfs
        .join("bus/pci/devices/0000:00:17.0");
    machine.fake.write(&pci, "remapped_nvme", "1\n");
    machine.choose("null").expect("one is better");
    assert!(
        machine
            .said
            .iter()
            .any(|line| line.starts_with("warning: the firmware's RAID mode"))
    );
}

#[test]
fn a_medium_that_has_gone_or_is_another_one_is_an_error() {
    let mut machine = Machine::new();
    fs::remove_file(machine.fake.sysfs().block("sdz")).expect("is there");
    let error = machine.choose("null").expect_err("it has gone");
    assert_eq!(
        (&*error.reason, error.kind),
        ("the stick has gone", Kind::Medium)
    );
}

#[test]
fn without_a_medium_what_is_there_is_listed_at_the_deadline() {
    let fake = Fake::new();
    fake.sata("sda", 1);
    fake.partition("sda", "sda1", "EMTS-OS");
    let state = State::at(fake.host().proc);
    let error = find_media(&fake.host(), &state, &mut FakeClock::new()).expect_err("there is none");
    let path = fake.host().dev.join("sda");
    let expected = format!(
        "no disk with the partitions EMTS-BOOT, EMTS-OS and EMTS-CONF within 60 s; seen: {} [EMTS-OS]",
        path.display()
    );
    assert_eq!(error.reason, expected);
}

#[test]
fn an_install_disk_that_is_none_is_an_error() {
    for json in ["", "7", r#"{"serial": ""}"#] {
        assert_eq!(
            parse_selector(json).expect_err("no selector").kind,
            Kind::Bug,
            "{json}"
        );
    }
    let sizes = parse_selector(r#"{"minSize": 9007199254740992}"#).expect("a selector");
    assert_eq!(sizes.min_size.map(|size| size.bytes()), Some(1 << 53));
}

/// Installs sda, as far as the medium and the disk remember it.
fn noted(machine: &mut Machine, table: bool) -> (PathBuf, Vec<String>) {
    machine.write("sdb", 0, b"something");
    let path = machine.choose("null").expect("sda is empty").path;
    if table {
        let config = gpt::GptConfig::new().writable(true);
        let mut table = config.create(&path).expect("it is a disk");
        table
            .update_partitions(Default::default())
            .expect("there are none");
        table.write().expect("it takes it");
    }
    let list = machine.fake.host().proc.join("installed.txt");
    let mut said = Vec::new();
    let mut say = |line: &str| said.push(line.to_owned());
    note_installed(&machine.state, &list, "2026-11-29T00:00:00Z", &mut say).expect("can be noted");
    (list, said)
}

fn refuse(machine: &Machine, list: &Path) -> (Result<()>, Vec<String>) {
    let mut said = Vec::new();
    let mut say = |line: &str| said.push(line.to_owned());
    let result = refuse_installed(&machine.fake.host(), &machine.state, list, &mut say);
    (result, said)
}

#[test]
fn a_machine_that_was_installed_is_refused_and_another_is_not() {
    let mut machine = Machine::new();
    let (list, said) = noted(&mut machine, true);
    assert_eq!(said, [""; 0]);
    let line = fs::read_to_string(&list).expect("is there");
    assert!(
        line.starts_with("S-sda\t2026-11-29T00:00:00Z\t0123abcd\t"),
        "{line}"
    );
    let error = refuse(&machine, &list).0.expect_err("it was installed");
    let found: Installation = machine.state.read().expect("it was noted");
    assert!(found.path.ends_with("sda"), "{found:?}");
    let expected = "this stick has installed the disk with serial number S-sda already";
    assert_eq!(error.reason, expected);
    assert!(
        error
            .advice
            .is_some_and(|advice| advice.contains("delete installed.txt from EMTS-CONF"))
    );

    machine.write("sda", 32 << 10, &[0; 4096]);
    let error = refuse(&machine, &list).0.expect_err("it was installed");
    assert_eq!(
        error.reason,
        "this stick has installed the disk with serial number S-sda already"
    );

    assert_eq!(
        refuse(&Machine::new(), Path::new("/none")),
        (Ok(()), vec![])
    );
    fs::write(&list, "S-sdc\t2026\tx\n").expect("can be written");
    assert_eq!(refuse(&machine, &list), (Ok(()), vec![]));
}

#[test]
fn a_disk_that_is_marked_is_refused_as_a_node_by_another_medium() {
    let mut machine = Machine::new();
    noted(&mut machine, true);
    let error = machine
        .choose(r#"{"serial": "S-sda"}"#)
        .expect_err("it is a node");
    assert!(
        error
            .reason
            .contains("holds a node that was installed from the bundle 0123abcd"),
        "{error}"
    );
    machine
        .choose(r#"{"serial": "S-sda", "wipe": true}"#)
        .expect("it is allowed");
}

#[test]
fn a_node_without_a_serial_number_is_known_by_its_table() {
    let mut machine = Machine::new();
    machine.placeholder();
    let (list, said) = noted(&mut machine, true);
    assert_eq!(said, [""; 0]);
    let error = refuse(&machine, &list).0.expect_err("it was installed");
    let path = machine.fake.host().dev.join("sda");
    let expected = format!(
        "this stick has installed already the disk {}: its partition table has the GUID that was noted",
        path.display()
    );
    assert_eq!(error.reason, expected);
}

#[test]
fn what_cannot_be_told_apart_is_said() {
    let mut machine = Machine::new();
    machine.placeholder();
    let (list, said) = noted(&mut machine, false);
    assert!(
        said[0].contains("it has no partition table: another stick will overwrite it"),
        "{said:?}"
    );
    assert!(
        said[1].contains("the disk has no serial number"),
        "{said:?}"
    );
    let (result, said) = refuse(&machine, &list);
    assert_eq!(result, Ok(()));
    let path = machine.fake.host().dev.join("sda");
    assert_eq!(said.len(), 1, "the others have numbers: {said:?}");
    assert!(
        said[0].ends_with(&format!("whether it was {}", path.display())),
        "{said:?}"
    );
}

#[test]
fn a_list_that_cannot_be_written_is_an_error_of_the_medium() {
    let mut machine = Machine::new();
    noted(&mut machine, true);
    let error = note_installed(&machine.state, Path::new("/dev/full"), "now", &mut |_| ());
    assert_eq!(error.expect_err("it is full").kind, Kind::Medium);
}

#[test]
fn all_disks_are_listed_for_people() {
    let machine = Machine::new();
    let mut said = Vec::new();
    list_disks(&machine.fake.host(), &mut |line| said.push(line.to_owned()))
        .expect("can be listed");
    assert_eq!(said.len(), 3);
    assert!(
        said[0].ends_with("serial S-sda: can be used, empty"),
        "{said:?}"
    );
    assert!(said[2].ends_with("the installer stick"), "{said:?}");
}
