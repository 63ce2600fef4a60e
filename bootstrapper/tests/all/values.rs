//! Each text value: what it takes, how it carries it on, and what it refuses with which code; the limits at their edges.

mod kubernetes;
mod network;

use cluster_bootstrapper::k3s::InstallScriptPath;
use cluster_bootstrapper::rke2::Sha256Sum;
use cluster_bootstrapper::schema::{check_value, schema};
use cluster_bootstrapper::values::{
    Command, DiskByPath, DiskGlob, DiskId, DiskSize, FileMode, FileOwner, FilePath, GuestPath,
    TextValue, UnitName,
};
use serde_json::Value;

/// These texts are taken and carried on as they are.
#[track_caller]
fn takes<T: TextValue>(texts: &[&str]) {
    carries::<T>(&texts.iter().map(|text| (*text, *text)).collect::<Vec<_>>());
}

/// These texts are taken, and carried on as the second of each pair.
#[track_caller]
fn carries<T: TextValue>(cases: &[(&str, &str)]) {
    for (text, carried) in cases {
        match T::parse(text) {
            Ok(value) => assert_eq!(value.as_str(), *carried, "{text:?} is carried on otherwise"),
            Err(complaint) => panic!("{text:?} is refused: {complaint:?}"),
        }
    }
}

/// These texts are refused with that code.
#[track_caller]
fn refuses<T: TextValue>(code: &str, texts: &[&str]) {
    for text in texts {
        match T::parse(text) {
            Ok(value) => panic!("{text:?} is taken as {:?}", value.as_str()),
            Err(complaint) => assert_eq!(complaint.code.as_str(), code, "{text:?}: {complaint:?}"),
        }
    }
}

/// A DNS name of so many characters, in short labels.
fn name_of(length: usize) -> String {
    let mut name = "a".repeat(length);
    for at in (31..length - 1).step_by(32) {
        name.replace_range(at..=at, ".");
    }
    name
}

#[test]
fn every_format_is_checked_by_its_name() {
    let mut formats = vec![];
    collect_formats(&schema(), &mut formats);
    assert!(formats.len() > 40, "{formats:?}");
    // Of these alone any text is one.
    formats.retain(|format| format != "uint32");
    for format in formats {
        assert!(check_value(&format, "\0(").is_err(), "{format} takes it");
    }
    assert!(check_value("no-such-format", "\0(").is_ok());
}

fn collect_formats(schema: &Value, found: &mut Vec<String>) {
    match schema {
        Value::Object(map) => {
            let format = map.get("format").and_then(Value::as_str);
            found.extend(format.map(str::to_owned));
            map.values().for_each(|value| collect_formats(value, found));
        }
        Value::Array(list) => list.iter().for_each(|value| collect_formats(value, found)),
        _ => {}
    }
}

#[test]
fn a_path_is_a_file_below_etc_or_var() {
    takes::<GuestPath>(&["/etc/a", "/var/a/b.c", "/etc/.hidden", "/etc/a b"]);
    refuses::<GuestPath>("path-not-absolute", &["", "etc/a", "./etc/a"]);
    refuses::<GuestPath>(
        "path-not-normal",
        &[
            "/",
            "/etc/",
            "/etc//a",
            "/etc/./a",
            "/etc/../a",
            "/etc/a\tb",
        ],
    );
    refuses::<GuestPath>("path-outside", &["/etc", "/var", "/usr/a", "/etca/b"]);
}

#[test]
fn a_path_is_as_long_as_linux_takes_it() {
    let step = |length| format!("/etc/{}", "a".repeat(length));
    takes::<GuestPath>(&[&step(255)]);
    refuses::<GuestPath>("path-not-normal", &[&step(256)]);
    let whole = |length: usize| {
        let mut path = format!("/var/{}", "a".repeat(length - 5));
        for at in (100..length - 1).step_by(100) {
            path.replace_range(at..=at, "/");
        }
        path
    };
    takes::<GuestPath>(&[&whole(4095)]);
    refuses::<GuestPath>("path-not-normal", &[&whole(4096)]);
}

#[test]
fn a_path_has_a_folder_and_a_name() {
    let path: GuestPath = "/etc/a/b.yaml".parse().expect("a path");
    assert_eq!((path.parent(), path.file_name()), ("/etc/a", "b.yaml"));
    assert_eq!(path.with_file_name("c").as_str(), "/etc/a/c");
}

#[test]
fn a_mode_is_three_to_five_octal_digits() {
    carries::<FileMode>(&[
        ("644", "0644"),
        ("0644", "0644"),
        ("0o644", "0644"),
        ("0o0644", "0644"),
        ("00644", "0644"),
        ("000", "0000"),
        ("7777", "7777"),
        ("07777", "7777"),
    ]);
    refuses::<FileMode>(
        "file-mode",
        &["", "44", "17777", "000644", "0888", "0x644", "rw-r--r--"],
    );
    let mode: FileMode = "4755".parse().expect("a mode");
    assert_eq!(mode.bits(), 0o4755);
}

#[test]
fn an_owner_is_a_user_and_perhaps_a_group() {
    takes::<FileOwner>(&["root", "root:root", "a.b-c_d:E_9", "1000:1000", "_apt"]);
    refuses::<FileOwner>(
        "file-owner",
        &[
            "", ":", "a:", ":a", "-a", ".a", "a:-b", "a b", "a:b c", "a:b:c", "\u{e4}",
        ],
    );
}

#[test]
fn a_command_is_any_text_with_something_in_it() {
    takes::<Command>(&["true", " echo a\n\techo b\n"]);
    refuses::<Command>("empty-command", &["", " \n\t"]);
    refuses::<Command>("nul-character", &["a\0b"]);
}

#[test]
fn the_install_script_is_where_the_image_has_it() {
    takes::<InstallScriptPath>(&["/opt/install.sh"]);
    refuses::<InstallScriptPath>("install-script-path", &["", "/opt/k3s.sh"]);
}

#[test]
fn a_path_of_rke2_may_be_in_any_folder() {
    takes::<FilePath>(&["/opt/kubelet", "/a", "/var/lib/a b"]);
    refuses::<FilePath>("path-not-absolute", &["", "kubelet"]);
    refuses::<FilePath>(
        "path-not-normal",
        &[
            "/",
            "/opt/",
            "/opt//a",
            "/opt/./a",
            "/opt/../a",
            "/opt/a\nb",
        ],
    );
}

#[test]
fn a_checksum_is_64_hexadecimal_digits_in_lower_case() {
    let digits = "0123456789abcdef".repeat(4);
    takes::<Sha256Sum>(&[&digits]);
    let wrong = [
        &digits[1..],
        &format!("{digits}0"),
        &digits.replace('f', "g"),
        &digits.to_uppercase(),
    ];
    refuses::<Sha256Sum>("sha256", &wrong);
}

#[test]
fn a_disk_calls_itself_by_printable_ascii() {
    let long = "x".repeat(128);
    let longer = "x".repeat(129);
    carries::<DiskId>(&[("S4EVNX0M", "S4EVNX0M"), (" a b ", "a b"), (&long, &long)]);
    refuses::<DiskId>(
        "disk-id",
        &["", " ", "\u{e9}", "a\tb", "S4*", "S?", &longer],
    );
    carries::<DiskGlob>(&[("SSD 9?0*", "SSD 9?0*"), (" ~ ", "~"), (&long, &long)]);
    refuses::<DiskGlob>("disk-glob", &["", " ", "\u{e9}", "a\tb", &longer]);
}

#[test]
fn a_size_is_a_number_and_a_unit() {
    for (text, bytes) in [
        ("1000000", 1_000_000),
        ("7B", 7),
        ("7 B", 7),
        ("7KB", 7_000),
        ("7MB", 7_000_000),
        ("7GB", 7_000_000_000),
        ("7TB", 7_000_000_000_000),
        ("7KiB", 7_168),
        ("7MiB", 7_340_032),
        ("7GiB", 7_516_192_768),
        ("7TiB", 7_696_581_394_432),
        ("9007199254740992", 9_007_199_254_740_992),
    ] {
        let size: DiskSize = text.parse().unwrap_or_else(|e| panic!("{text}: {e:?}"));
        assert_eq!(size.bytes(), bytes, "{text}");
        assert_eq!(size.as_str(), text);
    }
    refuses::<DiskSize>(
        "disk-size",
        &[
            "",
            "GB",
            "-1GB",
            "64",
            "999999",
            "1.5GB",
            "1gb",
            "1PB",
            "1 000",
            "9007199254740993",
            "9100TB",
        ],
    );
}

#[test]
fn a_place_of_a_disk_is_its_name_in_by_path() {
    let pci = "pci-0000:00:1f.2-ata-1";
    carries::<DiskByPath>(&[
        (pci, pci),
        ("/dev/disk/by-path/pci-0000:00:1f.2-ata-1", pci),
        ("virtio-pci-0000:04:00.0", "virtio-pci-0000:04:00.0"),
        ("platform-a@b+c=d_e", "platform-a@b+c=d_e"),
        ("a-partner", "a-partner"),
    ]);
    refuses::<DiskByPath>(
        "disk-by-path",
        &[
            "",
            "/dev/disk/by-path/",
            "/dev/sda",
            "../sda",
            ".a",
            "a b",
            "a/b",
            "a-part1",
            "a-part12",
        ],
    );
}

#[test]
fn a_unit_without_a_kind_is_a_service() {
    carries::<UnitName>(&[
        ("sshd", "sshd.service"),
        ("sshd.service", "sshd.service"),
        ("fstrim.timer", "fstrim.timer"),
        ("a.b", "a.b.service"),
        ("getty@tty1", "getty@tty1.service"),
        ("dev-disk\\x2da:b_c.mount", "dev-disk\\x2da:b_c.mount"),
    ]);
    refuses::<UnitName>(
        "unit-name",
        &[
            "",
            ".service",
            "a b",
            "a/b",
            "a.device",
            "a.scope",
            "a.snapshot",
            "getty@",
            "a@.timer",
            "@a",
        ],
    );
    let (most, more) = ("a".repeat(247), "a".repeat(248));
    carries::<UnitName>(&[(&most, &format!("{most}.service"))]);
    refuses::<UnitName>("unit-name", &[&more]);
}
