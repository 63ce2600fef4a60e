//! The choice among disks, as a table.

use std::path::PathBuf;

use super::*;
use crate::disks::content::NodeContent;
use crate::disks::disk::{Driver, Identity};
use crate::disks::mark::Mark;
use crate::disks::selector::tests::want;
use crate::disks::signature::Signature;

const GB: u64 = 1_000_000_000;

/// An internal disk of so many gigabytes.
pub(crate) fn disk(name: &str, gigabytes: u64, transport: &str) -> Disk {
    Disk {
        name: name.into(),
        path: format!("/dev/{name}").into(),
        number: String::new(),
        size: gigabytes * GB,
        sector_size: 512,
        read_only: false,
        removable: false,
        class: Class::Disk,
        transport: transport.into(),
        outside: false,
        identity: Identity {
            serial: format!("S-{name}"),
            model: format!("Model {name}"),
            ..Identity::default()
        },
        drivers: Vec::new(),
        partitions: Vec::new(),
    }
}

fn with(name: &str, change: impl FnOnce(&mut Disk)) -> Disk {
    let mut disk = disk(name, 500, "sata");
    change(&mut disk);
    disk
}

/// A disk that has what libblkid calls so.
fn content(kind: &str, usage: &str) -> Content {
    let signature = Signature {
        kind: kind.into(),
        usage: usage.into(),
        label: "label".into(),
    };
    let node = NodeContent {
        path: "/dev/x1".into(),
        size: 7,
        name: String::new(),
        whole: false,
        signatures: vec![signature],
        devices: 1,
    };
    Content {
        nodes: vec![node],
        ..Content::default()
    }
}

struct Case {
    selector: InstallDisk,
    drivers: Option<Vec<String>>,
    judged: Vec<Judged>,
}

/// For an image of 4 GB and the stick sdz.
fn case(selector: &str) -> Case {
    Case {
        selector: want(selector),
        drivers: None,
        judged: Vec::new(),
    }
}

impl Case {
    fn wanted(&self) -> Wanted<'_> {
        Wanted {
            bytes: 4 * GB,
            sector_size: 512,
            drivers: self.drivers.as_deref(),
            stick: Path::new("/dev/sdz"),
            selector: &self.selector,
        }
    }

    fn with(self, disk: Disk) -> Self {
        self.holding(disk, Content::default())
    }

    fn holding(self, disk: Disk, content: Content) -> Self {
        self.used(disk, content, Usage::default())
    }

    fn used(mut self, disk: Disk, content: Content, usage: Usage) -> Self {
        let refusal = refused_by_itself(&disk, &self.wanted());
        let wipe = self.selector.wipe;
        self.judged
            .push(judged(disk, content, usage, refusal, wipe));
        sort(&mut self.judged);
        self
    }

    fn chosen(&self) -> Result<PathBuf> {
        pick(&self.judged, &self.wanted()).map(|one| one.disk.path.clone())
    }

    fn takes(&self, path: &str) {
        assert_eq!(self.chosen(), Ok(path.into()));
    }

    fn refusal(&self) -> &str {
        let [one] = &self.judged[..] else {
            panic!("one disk")
        };
        one.refusal.as_deref().unwrap_or("none")
    }

    fn fails(&self) -> Error {
        self.chosen().expect_err("no disk is taken")
    }
}

#[test]
fn nvme_goes_before_sata_before_others() {
    let case_ = case("{}")
        .with(disk("vda", 5, "virtio"))
        .with(disk("sda", 500, "sata"));
    case_.takes("/dev/sda");
    case_
        .with(disk("nvme0n1", 900, "nvme"))
        .takes("/dev/nvme0n1");
}

#[test]
fn the_smallest_that_is_large_enough_is_taken() {
    case("{}")
        .with(disk("nvme0n1", 500, "nvme"))
        .with(disk("nvme1n1", 100, "nvme"))
        .with(disk("nvme2n1", 3, "nvme"))
        .takes("/dev/nvme1n1");
    case("{}").with(disk("sda", 4, "sata")).takes("/dev/sda");
}

#[test]
fn an_empty_disk_goes_before_one_with_content_whatever_bus_and_size() {
    case("{}")
        .holding(disk("nvme0n1", 100, "nvme"), content("ntfs", "filesystem"))
        .with(disk("nvme1n1", 200, "nvme"))
        .takes("/dev/nvme1n1");
    case("{}")
        .holding(disk("nvme0n1", 100, "nvme"), content("ntfs", "filesystem"))
        .with(disk("vda", 900, "virtio"))
        .takes("/dev/vda");
    case("{}")
        .holding(disk("nvme0n1", 100, "nvme"), content("ntfs", "filesystem"))
        .holding(disk("sda", 50, "sata"), content("ext4", "filesystem"))
        .takes("/dev/nvme0n1");
}

#[test]
fn equal_disks_are_an_error_that_names_them_and_what_to_do() {
    let error = case("{}")
        .with(disk("nvme0n1", 100, "nvme"))
        .with(disk("nvme1n1", 100, "nvme"))
        .with(disk("sda", 100, "sata"))
        .fails();
    assert_eq!(error.kind, Kind::User);
    let start =
        "several disks are equally good: /dev/nvme0n1, /dev/nvme1n1:   /dev/nvme0n1  100 GB  nvme";
    assert!(error.reason.starts_with(start), "{error}");
    assert!(
        error
            .advice
            .is_some_and(|advice| advice.contains("operatingSystem.installDisk"))
    );
}

#[test]
fn equal_disks_with_one_world_wide_name_may_be_one_disk() {
    let pair = |a: &str, b: &str| {
        let named = |name: &str, wwn: &str| with(name, |disk| disk.identity.wwn = wwn.into());
        let case = case("{}").with(named("sda", a)).with(named("sdb", b));
        case.fails().reason.contains("the same WWN")
    };
    assert!(pair("naa.5", "naa.5"));
    assert!(!pair("naa.5", "naa.6") && !pair("", ""));
}

#[test]
fn a_disk_by_itself_is_refused_with_its_reason() {
    let rows = [
        (with("sdz", |_| ()), "the installer stick"),
        (
            with("sr0", |disk| disk.class = Class::Other("an optical drive")),
            "not an internal disk (an optical drive)",
        ),
        (with("sdb", |disk| disk.size = 0), "no medium"),
        (with("sdb", |disk| disk.read_only = true), "read-only"),
        (
            with("sdb", |disk| disk.transport = "usb".into()),
            "attached by usb, not internal",
        ),
        (
            with("sdb", |disk| disk.transport = "ieee1394".into()),
            "attached by ieee1394, not internal",
        ),
        (
            with("nvme0n1", |disk| disk.transport = "nvme-tcp".into()),
            "attached by nvme-tcp, not internal",
        ),
        (
            with("nvme0n1", |disk| disk.outside = true),
            "behind Thunderbolt or another port at the outside, not internal",
        ),
        (
            with("sdb", |disk| {
                (disk.removable, disk.transport) = (true, "scsi".into())
            }),
            "removable",
        ),
        (
            disk("sdb", 3, "sata"),
            "too small: 3000000000 bytes, 4000000000 needed",
        ),
        (
            with("nvme0n1", |disk| disk.sector_size = 4096),
            "has sectors of 4096 bytes, the OS image is laid out for 512",
        ),
        (
            with("mmcblk0", |disk| disk.class = Class::Card),
            "an SD card; installDisk has to name it by serial, wwn, model or byPath",
        ),
        (with("sdb", |_| ()), "none"),
    ];
    for (disk, reason) in rows {
        assert_eq!(case("{}").with(disk).refusal(), reason);
    }
}

#[test]
fn a_sata_disk_on_a_port_that_the_firmware_calls_removable_can_be_used() {
    case("{}")
        .with(with("sda", |disk| disk.removable = true))
        .takes("/dev/sda");
}

#[test]
fn an_emmc_is_taken_and_a_smaller_sd_card_only_when_it_is_named() {
    let both = |selector: &str| {
        let mut card = disk("mmcblk1", 32, "mmc");
        card.class = Class::Card;
        case(selector).with(card).with(disk("mmcblk0", 64, "mmc"))
    };
    both("{}").takes("/dev/mmcblk0");
    both(r#"{"transport": "mmc", "wipe": true}"#).takes("/dev/mmcblk0");
    both(r#"{"serial": "S-mmcblk1"}"#).takes("/dev/mmcblk1");
}

fn drivers(names: &[(&str, Option<&str>)]) -> Vec<Driver> {
    let driver = |(name, module): &(&str, Option<&str>)| Driver {
        name: (*name).into(),
        module: module.map(Into::into),
    };
    names.iter().map(driver).collect()
}

#[test]
fn a_disk_behind_a_driver_that_the_image_lacks_is_refused_by_the_drivers_name() {
    let mut case_ = case("{}");
    let chain = drivers(&[("sd", Some("sd_mod")), ("smartpqi", Some("smartpqi"))]);
    let disk = with("sda", |disk| disk.drivers = chain);
    assert_eq!(
        refused_by_itself(&disk, &case_.wanted()),
        None,
        "nobody knows"
    );
    case_.drivers = Some(vec!["sd_mod".into(), "ahci".into()]);
    assert_eq!(
        case_.with(disk).refusal(),
        "behind the driver smartpqi, which the OS image does not have: it would not start"
    );
}

#[test]
fn a_driver_is_known_by_its_name_or_by_its_modules() {
    let chain = drivers(&[
        ("sd", Some("sd_mod")),
        ("virtio-pci", None),
        ("nvme", Some("nvme")),
    ]);
    let disk = with("sda", |disk| disk.drivers = chain);
    let missing = |known: &[&str]| {
        let known: Vec<_> = known.iter().map(|name| (*name).to_owned()).collect();
        missing_driver(&disk, &known).map(ToOwned::to_owned)
    };
    assert_eq!(missing(&["sd", "virtio_pci", "nvme"]), None);
    assert_eq!(missing(&["sd-mod", "virtio-pci", "nvme"]), None);
    assert_eq!(missing(&["sd_mod", "nvme"]).as_deref(), Some("virtio-pci"));
    assert_eq!(missing(&[]).as_deref(), Some("sd"));
}

const MOUNTED: &str = "in use: mounted at /data/more, /data, [SWAP]; installDisk.wipe allows to unmount and overwrite it";

#[test]
fn a_disk_that_is_mounted_or_swapped_to_is_taken_only_with_wipe() {
    let usage = || Usage {
        mounts: vec!["/data/more".into(), "/data".into()],
        swaps: vec!["/dev/sdb2".into()],
        ..Usage::default()
    };
    let sdb =
        |selector: &str| case(selector).used(disk("sdb", 500, "sata"), Content::default(), usage());
    assert_eq!(sdb("{}").refusal(), MOUNTED);
    sdb(r#"{"wipe": true}"#).takes("/dev/sdb");
}

#[test]
fn a_disk_that_something_is_made_of_is_never_taken() {
    for selector in ["{}", r#"{"wipe": true}"#] {
        let used = |usage| case(selector).used(disk("sdb", 500, "sata"), Content::default(), usage);
        let holders = vec!["/dev/md0 (raid1)".to_owned(), "/dev/dm-0 (lvm)".into()];
        let held = used(Usage {
            holders,
            ..Usage::default()
        });
        assert_eq!(
            held.refusal(),
            "in use by /dev/md0 (raid1), /dev/dm-0 (lvm)"
        );
        let busy = used(Usage {
            busy: true,
            ..Usage::default()
        });
        assert_eq!(busy.refusal(), "in use, the kernel does not say by what");
    }
}

#[test]
fn a_disk_that_cannot_be_read_is_never_taken_and_hides_no_other() {
    for selector in ["{}", r#"{"wipe": true}"#] {
        let unreadable = Content {
            unreadable: vec!["/dev/sdb2: Input/output error".into()],
            ..content("ntfs", "filesystem")
        };
        let case_ = case(selector).holding(disk("sdb", 500, "sata"), unreadable);
        assert_eq!(
            case_.refusal(),
            "cannot be read: /dev/sdb2: Input/output error"
        );
        case_.with(disk("sdc", 900, "sata")).takes("/dev/sdc");
    }
}

#[test]
fn what_belongs_to_another_system_is_taken_only_with_wipe() {
    let rows = [
        ("BitLocker", "crypto"),
        ("DM_verity_hash", "crypto"),
        ("promise_fasttrack_raid_member", "raid"),
        ("LVM2_member", "raid"),
        ("zfs_member", "filesystem"),
    ];
    for (kind, usage) in rows {
        let sdb = |selector| case(selector).holding(disk("sdb", 500, "sata"), content(kind, usage));
        let expected =
            format!("belongs to another system ({kind}); installDisk.wipe allows to overwrite it");
        assert_eq!(sdb("{}").refusal(), expected);
        sdb(r#"{"wipe": true}"#).takes("/dev/sdb");
    }
}

#[test]
fn a_node_that_was_installed_is_overwritten_only_with_wipe() {
    let node = || Content {
        mark: Some(Mark {
            disk: "guid".into(),
            bundle: "0123abcd".into(),
        }),
        ..content("ext4", "filesystem")
    };
    let sdb = |selector| case(selector).holding(disk("sdb", 500, "sata"), node());
    assert_eq!(
        sdb("{}").refusal(),
        "holds a node that was installed from the bundle 0123abcd; installDisk.wipe allows to overwrite it"
    );
    sdb(r#"{"serial": "S-sdb", "wipe": true}"#).takes("/dev/sdb");
    assert_ne!(sdb(r#"{"serial": "S-sdb"}"#).refusal(), "none");
}

#[test]
fn the_file_systems_of_another_system_can_be_overwritten() {
    case("{}")
        .holding(disk("sdb", 500, "sata"), content("ntfs", "filesystem"))
        .takes("/dev/sdb");
}

#[test]
fn a_selector_overrides_the_order() {
    let three = |selector: &str| {
        case(selector)
            .with(disk("nvme0n1", 100, "nvme"))
            .with(disk("sda", 200, "sata"))
            .with(disk("sdb", 200, "sata"))
    };
    three(r#"{"serial": "S-sdb"}"#).takes("/dev/sdb");
    three(r#"{"model": "Model s?a"}"#).takes("/dev/sda");
    let error = three(r#"{"transport": "sata"}"#).fails();
    assert!(
        error
            .reason
            .starts_with("several disks are equally good: /dev/sda, /dev/sdb")
    );
    let error = three(r#"{"serial": "none"}"#).fails();
    assert!(error.reason.starts_with("no disk can be used"), "{error}");
    assert_eq!(
        error.advice, None,
        "the step's own advice says to look at the list"
    );
}

#[test]
fn where_only_the_stick_is_visible_the_advice_names_raid_and_vmd() {
    let usb = with("sdb", |disk| disk.transport = "usb".into());
    let optical = with("sr0", |disk| disk.class = Class::Other("an optical drive"));
    let error = case("{}")
        .with(disk("sdz", 8, "usb"))
        .with(usb)
        .with(optical)
        .fails();
    let advice = error.advice.expect("there is advice");
    assert!(
        advice.contains("RAID") && advice.contains("VMD") && advice.contains("AHCI"),
        "{advice}"
    );
    let small = case("{}")
        .with(disk("sdz", 8, "usb"))
        .with(disk("sda", 1, "sata"))
        .fails();
    assert_eq!(small.advice, None);
}

#[test]
fn every_disk_is_described_on_one_line() {
    let mut odd = disk("sda", 200, "sata");
    odd.size = 500_107_862_016;
    odd.identity.model = "a\n\u{1b}[2J".into();
    odd.identity.serial = String::new();
    let case_ = case("{}")
        .with(odd)
        .with(disk("sdb", 1, "sata"))
        .holding(disk("sdc", 900, "sata"), content("ntfs", "filesystem"));
    assert_eq!(
        case_.judged.iter().map(describe).collect::<Vec<_>>(),
        [
            r"/dev/sda  500.1 GB  sata  a\x0a\x1b[2J  serial unknown: can be used, empty",
            "/dev/sdc  900 GB  sata  Model sdc  serial S-sdc: can be used, has /dev/x1 (label): ntfs",
            "/dev/sdb  1 GB  sata  Model sdb  serial S-sdb: too small: 1000000000 bytes, 4000000000 needed",
        ]
    );
}

#[test]
fn sizes_are_rounded_as_disks_are_sold() {
    let sizes = [
        0,
        49_999_999,
        50_000_000,
        949_999_999,
        950_000_000,
        u64::MAX,
    ];
    let shown = [
        "0 GB",
        "0 GB",
        "0.1 GB",
        "0.9 GB",
        "1 GB",
        "18446744073.7 GB",
    ];
    assert_eq!(sizes.map(gigabytes), shown);
}
