//! `installed.txt` on the medium: the disks that it has installed.
//!
//! Firmware that starts the medium before the disk, whatever its boot order says, would install the same machine again
//! and again. One line for each disk, fields between tabs: serial number, time, bundle, and in later versions also
//! world-wide name, model, bytes, GUID of the disk's partition table.

use super::disk::Identity;
use crate::error::escaped;

/// A disk that is, or was, installed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// Serial number.
    pub serial: String,
    /// World-wide name.
    pub wwn: String,
    /// Model.
    pub model: String,
    /// Bytes; 0 where a line does not say.
    pub size: u64,
    /// GUID of the partition table, of a disk that is a finished node.
    pub guid: String,
}

/// Whether a disk was installed by this medium.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// It was not.
    No,
    /// It was: this tells.
    Yes(By),
    /// One that was cannot be told from it.
    Perhaps,
}

/// What tells that a disk is one that was installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The serial number.
    Serial,
    /// The world-wide name.
    Wwn,
    /// The GUID of the partition table.
    Guid,
}

/// Serial numbers that makers leave in, in lower case, without blanks, points and dashes.
const PLACEHOLDERS: &[&str] = &[
    "defaultstring",
    "tobefilledbyoem",
    "none",
    "na",
    "n/a",
    "null",
    "unknown",
    "notspecified",
    "notavailable",
    "notapplicable",
    "serial",
    "serialnumber",
    "systemserialnumber",
    "invalid",
    "empty",
    "test",
    "usb",
    "generic",
];
/// What counts up from the first digit is no number of its own, from so many characters on.
const COUNTING: [&str; 3] = ["0123456789abcdef", "1234567890abcdef", "123456789abcdef0"];
const COUNTED: usize = 8;

impl Known {
    /// A disk with these names, and the GUID of the finished node on it, if any.
    pub fn new(identity: &Identity, size: u64, guid: Option<&str>) -> Self {
        Self {
            serial: field(&identity.serial),
            wwn: field(&identity.wwn),
            model: field(&identity.model),
            size,
            guid: guid.map(field).unwrap_or_default(),
        }
    }

    /// Its line.
    pub fn line(&self, time: &str, bundle: &str) -> String {
        let size = self.size.to_string();
        let fields = [
            &self.serial,
            &field(time),
            &field(bundle),
            &self.wwn,
            &self.model,
            &size,
            &self.guid,
        ];
        let fields: Vec<_> = fields.iter().map(|one| one.as_str()).collect();
        format!("{}\n", fields.join("\t"))
    }

    fn parse(line: &str) -> Self {
        let fields: Vec<_> = line.split('\t').collect();
        let field = |at: usize| {
            fields
                .get(at)
                .map(|field| (*field).to_owned())
                .unwrap_or_default()
        };
        Self {
            serial: field(0),
            wwn: field(3),
            model: field(4),
            size: field(5).parse().unwrap_or_default(),
            guid: field(6),
        }
    }

    /// Whether nothing tells it from other disks but what is on it.
    pub fn is_nameless(&self) -> bool {
        is_placeholder(&self.serial) && is_placeholder(bare_wwn(&self.wwn))
    }

    fn is(&self, line: &Self) -> Again {
        let same = |a: &str, b: &str| !a.is_empty() && a == b;
        let differ = |a: &str, b: &str| !a.is_empty() && !b.is_empty() && a != b;
        let node = same(&self.guid, &line.guid);
        // A serial number is unique to its maker; where both say more, that has to be the same.
        let other = differ(&self.wwn, &line.wwn)
            || differ(&self.model, &line.model)
            || (line.size != 0 && line.size != self.size);
        if other {
            return if node {
                Again::Yes(By::Guid)
            } else {
                Again::No
            };
        }
        if self.serial == line.serial && !is_placeholder(&self.serial) {
            return Again::Yes(By::Serial);
        }
        if same(&self.wwn, &line.wwn) && !is_placeholder(bare_wwn(&self.wwn)) {
            return Again::Yes(By::Wwn);
        }
        if node {
            return Again::Yes(By::Guid);
        }
        if self.is_nameless() && line.is_nameless() && self.serial == line.serial {
            return Again::Perhaps;
        }
        Again::No
    }
}

/// Whether a disk is among those of the list.
pub fn again(list: &str, disk: &Known) -> Again {
    let lines = list.lines().map(Known::parse);
    let mut told = Again::No;
    for line in lines {
        match disk.is(&line) {
            Again::No => {}
            Again::Perhaps => told = Again::Perhaps,
            yes => return yes,
        }
    }
    told
}

/// A value in a line: no tab, no end of a line.
fn field(value: &str) -> String {
    escaped(value.trim())
}

fn bare_wwn(wwn: &str) -> &str {
    let prefixes = ["0x", "naa.", "eui.", "uuid.", "nvme."];
    prefixes
        .iter()
        .find_map(|prefix| wwn.strip_prefix(prefix))
        .unwrap_or(wwn)
}

/// Whether a number is none: empty, one character again and again, counting, or a word for "nothing".
pub fn is_placeholder(number: &str) -> bool {
    let mut plain = number.to_lowercase();
    plain.retain(|character| !matches!(character, ' ' | '.' | '-' | '_' | ':'));
    let mut characters = plain.chars();
    let first = characters.next();
    characters.all(|character| Some(character) == first)
        || COUNTING
            .iter()
            .any(|counting| plain.len() >= COUNTED && counting.starts_with(&plain))
        || PLACEHOLDERS.contains(&&*plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(serial: &str) -> Known {
        let identity = Identity {
            serial: serial.into(),
            model: "Model".into(),
            ..Identity::default()
        };
        Known::new(&identity, 500, None)
    }

    fn list(disks: &[&Known]) -> String {
        disks
            .iter()
            .map(|disk| disk.line("2026-11-29T00:00:00Z", "0123abcd"))
            .collect()
    }

    #[test]
    fn a_line_begins_as_it_always_did() {
        let mut disk = disk("S-sda");
        disk.wwn = "naa.5".into();
        disk.guid = "G".into();
        let line = disk.line("2026-11-29T00:00:00Z", "0123abcd");
        assert_eq!(
            line,
            "S-sda\t2026-11-29T00:00:00Z\t0123abcd\tnaa.5\tModel\t500\tG\n"
        );
        assert_eq!(Known::parse(line.trim_end()), disk);
    }

    #[test]
    fn a_disk_is_found_again_in_old_and_in_new_lines_and_others_are_not() {
        let old = "S-sda\t2026-11-22T00:00:00Z\t0123abcd\n";
        for list in [old.to_owned(), list(&[&disk("S-sdb"), &disk("S-sda")])] {
            assert_eq!(again(&list, &disk("S-sda")), Again::Yes(By::Serial));
            for other in ["S-sd", "S-sdaa", "s-sda", ""] {
                assert_eq!(again(&list, &disk(other)), Again::No, "{other}");
            }
        }
        assert_eq!(again("", &disk("S-sda")), Again::No);
    }

    #[test]
    fn serial_numbers_are_compared_byte_by_byte() {
        let rows = [
            ("12345678901234567", "12345678901234568"),
            ("0012345", "12345"),
            (r"A\tB", "A\tB"),
            ("1e3", "1000"),
            ("+7001", "7001"),
        ];
        for (a, b) in rows {
            assert_eq!(again(&list(&[&disk(a)]), &disk(b)), Again::No, "{a}");
            assert_eq!(
                again(&list(&[&disk(a)]), &disk(a)),
                Again::Yes(By::Serial),
                "{a}"
            );
        }
    }

    #[test]
    fn placeholders_and_empty_numbers_make_no_other_machine_installed() {
        let numbers = [
            "",
            "0123456789ABCDEF",
            "Default string",
            "To Be Filled By O.E.M.",
            "0000000000",
            "N/A",
            "None",
            "123456789",
            "12345678",
            "XXXXXXXX",
            "System Serial Number",
            "00-00-00",
            "-",
            "0",
        ];
        for number in numbers {
            assert!(is_placeholder(number), "{number}");
            let old = format!("{number}\t2026-11-22T00:00:00Z\t0123abcd\n");
            let told = again(&old, &disk(number));
            assert!(!matches!(told, Again::Yes(_)), "{number}");
            assert_eq!(
                told,
                Again::Perhaps,
                "{number}: what cannot be told apart is said"
            );
        }
        for number in [
            "S4EVNX0M123456",
            "0x1a2b3c4d",
            "EMTS-TARGET-0",
            "12",
            "1234567",
            "12345678901234567",
            "0012345",
            "-S123",
            "10000000",
        ] {
            assert!(!is_placeholder(number), "{number}");
        }
    }

    #[test]
    fn a_disk_without_a_serial_number_is_known_by_its_world_wide_name() {
        let named = |wwn: &str| Known {
            wwn: wwn.into(),
            ..disk("")
        };
        let list = list(&[&named("naa.5000c500a1b2c3d4")]);
        assert_eq!(
            again(&list, &named("naa.5000c500a1b2c3d4")),
            Again::Yes(By::Wwn)
        );
        assert_eq!(again(&list, &named("naa.5000c500a1b2c3d5")), Again::No);
        let zeros = named("naa.0000000000000000");
        assert!(zeros.is_nameless());
        assert_eq!(again(&self::list(&[&zeros]), &zeros), Again::Perhaps);
    }

    #[test]
    fn the_same_number_of_another_maker_or_size_is_another_disk() {
        let known = disk("S-1");
        let list = list(&[&known]);
        let other = [
            Known {
                model: "Other".into(),
                ..known.clone()
            },
            Known {
                size: 501,
                ..known.clone()
            },
        ];
        for other in other {
            assert_eq!(again(&list, &other), Again::No, "{other:?}");
        }
        let silent = Known {
            model: String::new(),
            ..known
        };
        assert_eq!(again(&list, &silent), Again::Yes(By::Serial));
    }

    #[test]
    fn a_node_is_known_by_the_guid_of_its_table_whatever_its_names_are() {
        let node = Known {
            guid: "G-1".into(),
            ..disk("Default string")
        };
        let list = list(&[&disk("S-1"), &node, &disk("Default string")]);
        let moved = Known {
            guid: "G-1".into(),
            ..disk("S-9")
        };
        assert_eq!(again(&list, &node), Again::Yes(By::Guid));
        assert_eq!(again(&list, &moved), Again::Yes(By::Guid));
        let other = Known {
            guid: "G-2".into(),
            ..disk("Default string")
        };
        assert_eq!(again(&list, &other), Again::Perhaps);
    }
}
