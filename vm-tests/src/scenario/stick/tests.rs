//! Damage to sticks, on images that the tools of a user make.

use super::*;

/// A stick with an ext4 partition and a FAT one, each with the file `a`.
fn stick(folder: &Path) -> PathBuf {
    let image = folder.join("stick.img");
    fs_err::File::create(&image)
        .unwrap()
        .set_len(24 << 20)
        .unwrap();
    let mut table = tool("sgdisk");
    table.args([
        "-n1:2048:18431",
        "-c1:EMTS-OS",
        "-n2:18432:34815",
        "-c2:EMTS-CONF",
    ]);
    table.arg(&image);
    run(table).unwrap();
    let (os, conf) = (
        place_of(&image, "EMTS-OS").unwrap(),
        place_of(&image, CONFIG_PARTITION).unwrap(),
    );
    let mut ext4 = tool("mke2fs");
    ext4.args(["-q", "-t", "ext4", "-E", &format!("offset={}", os.start)]);
    ext4.arg(&image).arg(format!("{}k", os.length >> 10));
    run(ext4).unwrap();
    let mut fat = tool("mkfs.vfat");
    fat.args(["--offset", &(conf.start / SECTOR).to_string()]);
    fat.arg(&image).arg((conf.length >> 10).to_string());
    run(fat).unwrap();
    let content = folder.join("a");
    fs_err::write(&content, "0123456789").unwrap();
    debugfs(&image, os, &format!("write {} a", content.display())).unwrap();
    mtool("mcopy", &image, conf, &[content.into(), "::a".into()]).unwrap();
    image
}

/// mtools has a shell expand the name of an image that has such characters.
#[test]
fn no_shell_reads_the_name_of_a_directory() {
    let folder = tempfile::tempdir().unwrap();
    let odd = folder.path().join("a 'b' $(touch made)");
    fs_err::create_dir(&odd).unwrap();
    let image = odd.join("fat.img");
    let size = 8 << 20;
    fs_err::File::create(&image).unwrap().set_len(size).unwrap();
    let mut format = tool("mkfs.vfat");
    format.arg(&image);
    run(format).unwrap();
    let place = Place {
        number: 1,
        start: 0,
        length: size,
    };
    let content = folder.path().join("content");
    fs_err::write(&content, "0123456789").unwrap();
    mtool("mcopy", &image, place, &[content.into(), "::a".into()]).unwrap();
    let listed = mtool("mdir", &image, place, &["-b".into(), "::".into()]).unwrap();
    assert_eq!(listed.trim(), "::/a");
    assert!(!odd.join("made").exists() && !Path::new("made").exists());
}

fn read(image: &Path, partition: &str) -> Option<String> {
    let work = tempfile::tempdir().unwrap();
    let copy = work.path().join("copy");
    let place = place_of(image, partition).unwrap();
    match file_system(image, place).unwrap() {
        FileSystem::Ext4 => debugfs(image, place, &format!("dump a {}", copy.display())).unwrap(),
        FileSystem::Fat => {
            mtool("mcopy", image, place, &["::a".into(), copy.clone().into()]).ok()?;
        }
    }
    fs_err::read_to_string(copy).ok()
}

#[test]
fn damage_changes_the_file_that_it_names_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let image = stick(folder.path());
    for partition in ["EMTS-OS", CONFIG_PARTITION] {
        let on = || OnStick {
            partition: partition.into(),
            file: "a".into(),
            at: None,
        };
        inflict(&image, &Damage::FlipByte(on()), folder.path()).unwrap();
        assert_eq!(read(&image, partition).as_deref(), Some("01234u6789"));
        inflict(&image, &Damage::Truncate(on()), folder.path()).unwrap();
        assert_eq!(read(&image, partition).as_deref(), Some("01234"));
    }
    let on = OnStick {
        partition: CONFIG_PARTITION.into(),
        file: "a".into(),
        at: None,
    };
    inflict(&image, &Damage::Remove(on), folder.path()).unwrap();
    assert_eq!(read(&image, CONFIG_PARTITION), None);
    assert_eq!(read(&image, "EMTS-OS").as_deref(), Some("01234"));
}

#[test]
fn damage_that_cannot_be_done_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let image = stick(folder.path());
    for (file, at) in [("absent", None), ("a", Some(10))] {
        let on = OnStick {
            partition: "EMTS-OS".into(),
            file: file.into(),
            at,
        };
        assert!(inflict(&image, &Damage::FlipByte(on), folder.path()).is_err());
    }
    let on = OnStick {
        partition: "EMTS-OS".into(),
        file: "absent".into(),
        at: None,
    };
    assert!(inflict(&image, &Damage::Remove(on), folder.path()).is_err());
}

#[test]
fn an_enlarged_config_file_ends_with_a_longer_text_and_has_the_size() {
    let head = "a:\n  - content: |\n      first\n";
    for size in [200, 201, 5000, 123_456] {
        let mut bytes = head.as_bytes().to_vec();
        enlarge(&mut bytes, size).unwrap();
        assert_eq!(bytes.len(), size);
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.lines().skip(2).all(|line| line.starts_with("      ")));
    }
    assert!(enlarge(&mut head.as_bytes().to_vec(), 10).is_err());
}

#[test]
fn a_filled_partition_takes_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let image = stick(folder.path());
    inflict(
        &image,
        &Damage::Fill(CONFIG_PARTITION.into()),
        folder.path(),
    )
    .unwrap();
    let more = folder.path().join("more");
    fs_err::write(&more, [1; 5000]).unwrap();
    let place = place_of(&image, CONFIG_PARTITION).unwrap();
    assert!(mtool("mcopy", &image, place, &[more.into(), "::more".into()]).is_err());
}

#[test]
fn a_deleted_partition_is_gone_and_a_wrong_name_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let image = stick(folder.path());
    let delete = Damage::DeletePartition("EMTS-OS".into());
    inflict(&image, &delete, folder.path()).unwrap();
    let error = format!("{:#}", inflict(&image, &delete, folder.path()).unwrap_err());
    assert!(error.contains("no partition EMTS-OS"), "{error}");
    place_of(&image, CONFIG_PARTITION).unwrap();
}
