//! Whether a disk is one that `operatingSystem.installDisk` means. The harness judges the installed node by the same rules.

use cluster_bootstrapper::model::InstallDisk;

use super::disk::Disk;

/// Transports that lsblk leaves out, by the begin of the disk's name.
const BY_NAME: &[(&str, &str)] = &[
    ("nvme", "nvme"),
    ("vd", "virtio"),
    ("mmcblk", "mmc"),
    ("sd", "scsi"),
    ("pmem", "pmem"),
];

/// What a disk does not have that the selector asks for; `None` for one that fits.
pub fn mismatch(want: &InstallDisk, disk: &Disk) -> Option<String> {
    let identity = &disk.identity;
    let checks = [
        want.serial.as_ref().and_then(|serial| {
            let fits = identity.serial.as_bytes() == serial.as_str().as_bytes();
            (!fits).then(|| format!("serial is not {serial}"))
        }),
        want.wwn.as_ref().and_then(|wwn| {
            (!same_wwn(&identity.wwn, wwn.as_str())).then(|| format!("WWN is not {wwn}"))
        }),
        want.model.as_ref().and_then(|model| {
            let fits = matches_glob(model.as_str(), &identity.model);
            (!fits).then(|| format!("model does not match {model}"))
        }),
        want.by_path.as_ref().and_then(|place| {
            let known = match &identity.places[..] {
                [] => "an unknown place".to_owned(),
                places => places.join(", "),
            };
            let fits = identity.places.iter().any(|seen| seen == place.as_str());
            (!fits).then(|| format!("not at {place}, but at {known}"))
        }),
        want.transport
            .map(|transport| transport.as_str())
            .and_then(|transport| {
                (disk.transport != transport).then(|| format!("transport is not {transport}"))
            }),
        want.min_size
            .as_ref()
            .map(|size| size.bytes())
            .and_then(|size| (disk.size < size).then(|| format!("smaller than minSize {size}"))),
        want.max_size
            .as_ref()
            .map(|size| size.bytes())
            .and_then(|size| (disk.size > size).then(|| format!("larger than maxSize {size}"))),
    ];
    checks.into_iter().flatten().next()
}

/// Whether the selector says more than that a disk may be overwritten.
pub fn selects(want: &InstallDisk) -> bool {
    let any = InstallDisk {
        wipe: want.wipe,
        ..InstallDisk::default()
    };
    *want != any
}

/// Whether the selector names one disk, and not just a kind of disks.
pub fn names_one(want: &InstallDisk) -> bool {
    want.serial.is_some() || want.wwn.is_some() || want.model.is_some() || want.by_path.is_some()
}

/// Whether two world-wide names are the same in the forms of udev and of the kernel.
pub fn same_wwn(a: &str, b: &str) -> bool {
    let bare = |text: &str| {
        let text = text.trim().to_ascii_lowercase();
        let prefixes = ["0x", "naa.", "eui.", "uuid.", "nvme."];
        let rest = prefixes.iter().find_map(|prefix| text.strip_prefix(prefix));
        rest.unwrap_or(&text).replace('-', "")
    };
    bare(a) == bare(b)
}

/// The transport of a disk of which only the name is known; empty for an unknown name.
pub fn transport_by_name(name: &str) -> &'static str {
    let known = BY_NAME.iter().find(|(prefix, _)| name.starts_with(prefix));
    known.map_or("", |(_, transport)| transport)
}

/// lsblk's transport, with what it leaves out told by the disk's name.
pub fn transport_of<'a>(name: &str, transport: &'a str) -> &'a str {
    match transport {
        "ata" => "sata",
        "spi" => "scsi",
        "" => transport_by_name(name),
        told => told,
    }
}

/// Whether a text fits a pattern in which `*` is any text and `?` any character.
pub fn matches_glob(pattern: &str, text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    // One row a pattern character: which beginnings of the text fit so far.
    let mut fits = vec![false; text.len() + 1];
    fits[0] = true;
    for wanted in pattern.chars() {
        let mut next = vec![false; text.len() + 1];
        next[0] = wanted == '*' && fits[0];
        for (at, seen) in text.iter().enumerate() {
            next[at + 1] = match wanted {
                '*' => fits[at + 1] || next[at],
                '?' => fits[at],
                plain => fits[at] && plain == *seen,
            };
        }
        fits = next;
    }
    fits.last().copied().unwrap_or_default()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::disks::rank::tests::disk;

    /// A selector as `cluster-bootstrapper show install-disk` prints it.
    pub(crate) fn want(json: &str) -> InstallDisk {
        serde_json::from_str(json).expect("a selector")
    }

    fn sda() -> Disk {
        let mut sda = disk("sda", 200, "sata");
        sda.identity.wwn = "naa.5000c500a1b2c3d4".into();
        sda.identity.places = vec!["pci-a-ata-1.0".into(), "pci-a-ata-1".into()];
        sda
    }

    #[test]
    fn reads_the_selector_that_cluster_bootstrapper_shows() {
        let json = r#"{"serial": null, "wwn": null, "model": "Model s?a", "transport": "sata", "minSize": "1000000",
            "maxSize": "9007199254740992", "byPath": null, "wipe": true}"#;
        let selector = want(json);
        assert!(selects(&selector) && selector.wipe);
        assert_eq!(selector.to_json()["maxSize"], 9_007_199_254_740_992_u64);
        assert!(!selects(&want(r#"{"wipe": true}"#)) && !selects(&want("{}")));
    }

    #[test]
    fn every_key_is_a_reason_of_its_own() {
        let rows = [
            (r#"{"serial": "S-sd"}"#, "serial is not S-sd"),
            (
                r#"{"wwn": "0x5000c500a1b2c3d5"}"#,
                "WWN is not 0x5000c500a1b2c3d5",
            ),
            (r#"{"model": "Model.*"}"#, "model does not match Model.*"),
            (
                r#"{"byPath": "pci-b"}"#,
                "not at pci-b, but at pci-a-ata-1.0, pci-a-ata-1",
            ),
            (r#"{"transport": "nvme"}"#, "transport is not nvme"),
            (
                r#"{"minSize": "200000000001"}"#,
                "smaller than minSize 200000000001",
            ),
            (
                r#"{"maxSize": "199999999999"}"#,
                "larger than maxSize 199999999999",
            ),
            (
                r#"{"serial": "S-sda", "transport": "mmc"}"#,
                "transport is not mmc",
            ),
        ];
        for (json, reason) in rows {
            assert_eq!(mismatch(&want(json), &sda()).as_deref(), Some(reason));
        }
        let nowhere = mismatch(&want(r#"{"byPath": "pci-b"}"#), &disk("sda", 200, "sata"));
        assert_eq!(
            nowhere.as_deref(),
            Some("not at pci-b, but at an unknown place")
        );
    }

    #[test]
    fn a_disk_fits_by_each_of_its_names_and_at_the_bounds_of_sizes() {
        for json in [
            "{}",
            r#"{"serial": "S-sda"}"#,
            r#"{"wwn": "0x5000C500A1B2C3D4"}"#,
            r#"{"model": "Model s?a"}"#,
            r#"{"byPath": "pci-a-ata-1"}"#,
            r#"{"byPath": "pci-a-ata-1.0"}"#,
            r#"{"transport": "sata"}"#,
            r#"{"minSize": "200000000000", "maxSize": "200000000000"}"#,
        ] {
            assert_eq!(mismatch(&want(json), &sda()), None, "{json}");
        }
    }

    #[test]
    fn serial_numbers_are_compared_byte_by_byte() {
        let rows = [
            ("12345678901234567", "12345678901234568"),
            ("0012345", "12345"),
            (r"A\tB", "A\tB"),
            ("s-sda", "S-sda"),
            ("1e3", "1000"),
        ];
        for (a, b) in rows {
            let mut disk = sda();
            disk.identity.serial = b.into();
            let json = serde_json::json!({ "serial": a }).to_string();
            assert!(mismatch(&want(&json), &disk).is_some(), "{a}");
            disk.identity.serial = a.into();
            assert_eq!(mismatch(&want(&json), &disk), None, "{a}");
        }
    }

    #[test]
    fn a_serial_number_that_looks_like_an_option_is_one_like_any_other() {
        for serial in ["-S123", "-h", "--arg"] {
            let mut disk = sda();
            disk.identity.serial = serial.into();
            let json = serde_json::json!({ "serial": serial }).to_string();
            assert_eq!(mismatch(&want(&json), &disk), None);
        }
    }

    #[test]
    fn a_kind_of_disks_names_none() {
        for json in [
            r#"{"serial": "a"}"#,
            r#"{"wwn": "a"}"#,
            r#"{"model": "a"}"#,
            r#"{"byPath": "a"}"#,
        ] {
            assert!(names_one(&want(json)), "{json}");
        }
        for json in [
            "{}",
            r#"{"transport": "mmc", "maxSize": "64GB", "minSize": "1GB", "wipe": true}"#,
        ] {
            assert!(!names_one(&want(json)), "{json}");
        }
    }

    #[test]
    fn a_pattern_fits_the_whole_text() {
        assert!(
            matches_glob("QEMU*DISK", "QEMU HARDDISK")
                && matches_glob("*", "")
                && matches_glob("a?c", "abc")
        );
        assert!(
            !matches_glob("QEMU", "QEMU HARDDISK")
                && !matches_glob("a?c", "ac")
                && !matches_glob(".*", "x")
        );
    }

    #[test]
    fn a_world_wide_name_has_several_forms() {
        assert!(same_wwn("0x5000C500a1b2c3d4", "naa.5000c500a1b2c3d4"));
        assert!(same_wwn("eui.0025388b71b2c3d4", "eui.0025388b71b2c3d4"));
        assert!(!same_wwn("0x5000c500a1b2c3d4", "0x5000c500a1b2c3d5"));
    }

    #[test]
    fn a_disk_without_a_transport_is_told_by_its_name() {
        assert_eq!(transport_of("vda", ""), "virtio");
        assert_eq!(transport_of("sda", "ata"), "sata");
        assert_eq!(transport_of("sda", "spi"), "scsi");
        assert_eq!(transport_of("sda", "sas"), "sas");
        assert_eq!(transport_of("xvda", ""), "");
    }
}
