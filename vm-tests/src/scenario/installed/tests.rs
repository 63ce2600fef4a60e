//! Tests on made-up disks.

use super::*;

fn tree_of(files: &[(&str, &str)]) -> Tree {
    files
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect()
}

#[test]
fn what_is_unique_to_a_machine_may_differ_and_nothing_else() {
    let a = tree_of(&[("etc/machine-id", "1"), ("etc/passwd", "1"), ("only", "1")]);
    let b = tree_of(&[("etc/machine-id", "2"), ("etc/passwd", "2")]);
    assert_eq!(
        differing_files(&a, &b),
        ["/etc/passwd (1 and 2)", "/only (1 and absent)"]
    );
    assert!(differing_files(&a, &a).is_empty());
}

/// A disk of 64 MiB with an ESP and a root file system, each of these names.
fn disk(folder: &Path, name: &str, names: [&str; 4]) -> Result<std::path::PathBuf> {
    let [guid, esp, serial, uuid] = names;
    let path = folder.join(name);
    let make = |size: u64, tool_name: &str, arguments: &[&str]| -> Result<Vec<u8>> {
        let part = folder.join("part");
        fs_err::File::create(&part)?.set_len(size << 20)?;
        let mut command = tool(tool_name);
        command
            .env("E2FSPROGS_FAKE_TIME", "1500000000")
            .args(arguments)
            .arg(&part);
        run(command)?;
        Ok(fs_err::read(part)?)
    };
    let hash = "hash_seed=1f6e2c4a-5b0d-4e7a-9c38-e0575f6d7402";
    let fat = make(
        34,
        "mkfs.vfat",
        &["--invariant", "-F32", "-s1", "-i", serial],
    )?;
    let options = ["-q", "-O", "metadata_csum_seed", "-E", hash, "-U", uuid];
    let ext = make(8, "mkfs.ext4", &options)?;
    fs_err::File::create(&path)?.set_len(64 << 20)?;
    let mut table = tool("sgdisk");
    table.args([
        "-n1:1M:+34M",
        "-t1:ef00",
        "-c1:esp",
        "-n2:40M:+8M",
        "-t2:8304",
        "-c2:rootfs",
    ]);
    table
        .arg(format!("-U{guid}"))
        .arg(format!("-u1:{esp}"))
        .arg(format!("-u2:{uuid}"));
    table.arg(&path);
    run(table)?;
    let mut file = fs_err::OpenOptions::new().write(true).open(&path)?;
    for (part, at) in [(fat, 1), (ext, 40)] {
        file.seek(SeekFrom::Start(at << 20))?;
        std::io::Write::write_all(&mut file, &part)?;
    }
    Ok(path)
}

const FIRST: [&str; 4] = [
    "8d3c2f0e-6a51-4b7f-8e19-e0575f6d7400",
    "5a9b7e31-0c4d-4f26-b8d2-e0575f6d7401",
    "e0575f01",
    "c2e84d17-93fa-4a60-a1b5-e0575f6d7402",
];
const SECOND: [&str; 4] = [
    "8d3c2f0e-6a51-4b7f-8e19-e0575f6d7410",
    "5a9b7e31-0c4d-4f26-b8d2-e0575f6d7411",
    "e0575f11",
    "c2e84d17-93fa-4a60-a1b5-e0575f6d7412",
];

#[test]
fn disks_of_two_installations_differ_in_their_names_alone() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let first = disk(folder.path(), "first", FIRST)?;
    let second = disk(folder.path(), "second", SECOND)?;
    assert_eq!(differences(&first, &second)?, Vec::<String>::new());
    assert!(nothing_shared_check("", &first, &second)?.passed);
    Ok(())
}

#[test]
fn a_name_that_two_disks_share_is_told() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let first = disk(folder.path(), "first", FIRST)?;
    for shared in 0..4 {
        let mut names = SECOND;
        names[shared] = FIRST[shared];
        let check = nothing_shared_check("", &first, &disk(folder.path(), "second", names)?)?;
        assert!(!check.passed, "{names:?}");
        let name = FIRST[shared].replace("e0575f01", "E057-5F01");
        assert_eq!(check.actual, format!("shared: {name}"));
    }
    Ok(())
}

#[test]
fn all_else_of_tables_and_boot_sectors_counts() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let first = disk(folder.path(), "first", FIRST)?;
    // The name of the first partition in both tables, and the label of the FAT.
    let end = 64 << 20;
    for (at, what) in [
        (1024 + 56, "the first partition table"),
        (end - 33 * 512 + 56, "the second partition table"),
        ((1 << 20) + 71, "the begin of the ESP"),
        ((1 << 20) + 8192, "the ESP"),
    ] {
        let second = disk(folder.path(), "second", SECOND)?;
        let mut bytes = fs_err::read(&second)?;
        bytes[at] ^= 1;
        fs_err::write(&second, bytes)?;
        let found = differences(&first, &second);
        // Without the name of the ESP the disk is no image's.
        match at {
            1080 => assert!(found.is_err()),
            _ => assert_eq!(found?, [what]),
        }
    }
    Ok(())
}
