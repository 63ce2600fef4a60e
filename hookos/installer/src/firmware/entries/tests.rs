use std::collections::BTreeMap;

use efi::uuid;
use rustix::io::Errno;

use super::store::{ESP, OLD, Store, option, ours, usb};
use super::*;

#[test]
fn the_first_entry_of_a_machine_is_made_and_all_others_keep_their_order() -> Result<()> {
    let store = Store::new(&[1, 0], &[(0, usb("UiApp")), (1, usb("USB"))]);
    let before = store.content();
    assert_eq!(store.put_first()?, 2);
    assert_eq!(store.order(), [2, 1, 0]);
    let mut after = store.content();
    assert_eq!(after.remove("Boot0002"), Some(ours()));
    after.insert(BOOT_ORDER.into(), before[BOOT_ORDER].clone());
    assert_eq!(after, before);
    Ok(())
}

#[test]
fn without_a_boot_order_there_is_one_afterwards() -> Result<()> {
    let store = Store::default();
    assert_eq!(store.put_first()?, 0);
    assert_eq!(store.order(), [0]);
    Ok(())
}

#[test]
fn what_is_right_is_not_written() -> Result<()> {
    let store = Store::new(&[4, 1], &[(1, usb("USB")), (4, ours())]);
    let plan = Boot::read(&store)?.plan(&ESP, &[])?;
    assert_eq!(
        plan,
        Plan {
            number: 4,
            name: "Boot0004".into(),
            content: None,
            is_new: false,
            order: None,
            remove: Vec::new(),
        }
    );
    Ok(())
}

/// Entries that are damaged, or of kinds that nothing here knows. At those without a path, with one that does not end or
/// with a node of no possible type `efibootmgr -v` 17 ends with status 18 and lists nothing behind them.
fn unparsable() -> Vec<(&'static str, Vec<u8>)> {
    let hard_drive = ours()[16..16 + 42].to_vec();
    let end = [0x7f, 0xff, 4, 0];
    let file_without_end = [hard_drive.as_slice(), &[4, 4, 8, 0, b'a', 0, 0, 0]].concat();
    vec![
        ("no content", Vec::new()),
        ("less than a header", vec![1, 0, 0]),
        ("no description", vec![1, 0, 0, 0, 4, 0]),
        (
            "a description without an end",
            vec![1, 0, 0, 0, 4, 0, b'b', 0],
        ),
        (
            "a path longer than the variable",
            [1, 0, 0, 0, 0xf4, 1, b'A', 0, 0, 0].to_vec(),
        ),
        ("no path", option("A", &[])),
        ("a path without an end", option("A", &file_without_end)),
        (
            "a partition of four bytes",
            option("A", &[&[4, 1, 8, 0, 1, 0, 0, 0][..], &end].concat()),
        ),
        (
            "a node shorter than its header",
            option("A", &[&[4, 1, 0, 0][..], &end].concat()),
        ),
        (
            "a node longer than the path",
            option("A", &[&[4, 4, 200, 0][..], &end].concat()),
        ),
        (
            "a message of an unknown kind",
            option("A", &[&[3, 99, 6, 0, 0, 0][..], &end].concat()),
        ),
        (
            "a medium of an unknown kind",
            option("A", &[&[4, 99, 6, 0, 0, 0][..], &end].concat()),
        ),
        (
            "hardware of an unknown kind",
            option("A", &[&[1, 9, 6, 0, 0, 0][..], &end].concat()),
        ),
        (
            "a node of an unknown type",
            option("A", &[&[9, 9, 6, 0, 0, 0][..], &end].concat()),
        ),
        (
            "a BIOS device",
            option(
                "Hard Drive",
                &[&[5, 1, 10, 0, 2, 0, 0, 0, b'H', b'D'][..], &end].concat(),
            ),
        ),
        (
            "a vendor's message",
            option(
                "Größe",
                &[&[&[3, 10, 23, 0][..], &[7; 19]].concat()[..], &end].concat(),
            ),
        ),
    ]
}

#[test]
fn an_entry_that_cannot_be_parsed_stays_and_does_not_hide_ours() -> Result<()> {
    for (what, content) in unparsable() {
        let store = Store::new(&[1, 4], &[(1, content.clone()), (4, ours())]);
        assert_eq!(store.put_first()?, 4, "{what}");
        assert_eq!(store.order(), [4, 1], "{what}");
        let expected = BTreeMap::from([
            ("Boot0001".to_owned(), content),
            ("Boot0004".to_owned(), ours()),
            (BOOT_ORDER.to_owned(), vec![4, 0, 1, 0]),
        ]);
        assert_eq!(store.content(), expected, "{what}");
    }
    Ok(())
}

#[test]
fn an_entry_that_cannot_be_read_keeps_its_number() -> Result<()> {
    let store = Store::new(&[0], &[(0, usb("USB"))]).refusing("read Boot0000", Errno::IO);
    assert_eq!(store.put_first()?, 1);
    assert_eq!(store.order(), [1, 0]);
    Ok(())
}

#[test]
fn an_order_that_cannot_be_read_is_not_replaced() {
    let store = Store::new(&[0], &[(0, usb("USB"))]).refusing("read BootOrder", Errno::IO);
    let error = store.put_first().expect_err("the order is not known");
    assert!(error.reason.starts_with("reading BootOrder: "), "{error}");
    assert_eq!(store.content().len(), 2);
}

#[test]
fn our_entry_by_another_name_is_taken_over_and_doubles_go() -> Result<()> {
    let renamed = || ESP.load_option("Edge node", &loader());
    let store = Store::new(
        &[1, 7, 5],
        &[(1, usb("USB")), (5, renamed()), (7, renamed())],
    );
    assert_eq!(store.put_first()?, 7, "the one that comes first");
    assert_eq!(store.order(), [7, 1]);
    let content = store.content();
    assert_eq!(content.get("Boot0007"), Some(&ours()));
    assert_eq!(content.get("Boot0005"), None);
    Ok(())
}

#[test]
fn of_two_the_one_with_our_name_stays() -> Result<()> {
    let store = Store::new(
        &[2, 3],
        &[(2, ESP.load_option("Edge", &loader())), (3, ours())],
    );
    assert_eq!(store.put_first()?, 3);
    assert_eq!((store.order(), store.content().len()), (vec![3], 2));
    Ok(())
}

#[test]
fn an_entry_that_is_in_no_order_is_found() -> Result<()> {
    let store = Store::new(&[1], &[(1, usb("USB")), (9, ours())]);
    assert_eq!(store.put_first()?, 9);
    assert_eq!(store.order(), [9, 1]);
    Ok(())
}

#[test]
fn an_entry_that_is_switched_off_is_switched_on() -> Result<()> {
    let mut inactive = ours();
    inactive[0] = 0;
    let store = Store::new(&[4], &[(4, inactive)]);
    assert_eq!(store.put_first()?, 4);
    assert_eq!(store.content()["Boot0004"], ours());
    Ok(())
}

#[test]
fn what_only_resembles_ours_is_of_somebody_else() -> Result<()> {
    let other_disk = HardDrive {
        guid: uuid!("52d7e60c-d263-4bab-9d3c-8dd83aba16b3"),
        ..ESP
    };
    let mut of_firmware = ours();
    of_firmware.extend(b"\0\0BO");
    let foreign = [
        (1, other_disk.load_option(DESCRIPTION, &loader())),
        (2, ESP.load_option(DESCRIPTION, r"\EFI\other\grubx64.efi")),
        (3, of_firmware),
        (4, OLD.load_option("Windows", &loader())),
    ];
    let store = Store::new(&[1, 2, 3, 4], &foreign);
    assert_eq!(store.put_first_after(&[OLD.guid])?, 0);
    assert_eq!(store.order(), [0, 1, 2, 3, 4]);
    for (number, content) in foreign {
        assert_eq!(store.content()[&variable(number)], content);
    }
    Ok(())
}

#[test]
fn the_entry_of_an_installation_that_is_overwritten_is_used_again() -> Result<()> {
    let store = Store::new(
        &[1, 4],
        &[
            (1, usb("USB")),
            (4, OLD.load_option(DESCRIPTION, &loader())),
        ],
    );
    assert_eq!(store.put_first_after(&[OLD.guid])?, 4);
    assert_eq!(store.order(), [4, 1]);
    assert_eq!(store.content()["Boot0004"], ours());
    Ok(())
}

#[test]
fn the_entry_of_an_overwritten_installation_goes_where_there_is_one_already() -> Result<()> {
    let old = OLD.load_option(DESCRIPTION, &loader());
    let store = Store::new(
        &[4, 6],
        &[(4, old), (6, ESP.load_option("Edge", &loader()))],
    );
    assert_eq!(store.put_first_after(&[OLD.guid])?, 6);
    assert_eq!((store.order(), store.content().len()), (vec![6], 2));
    Ok(())
}

#[test]
fn a_number_that_anything_names_is_not_free() -> Result<()> {
    let store = Store::new(&[0, 9], &[(2, usb("USB"))])
        .with("Boot000a", &usb("lower case"))
        .with(BOOT_NEXT, &[1, 0])
        .with("BootCurrent", &[3, 0]);
    assert_eq!(store.put_first()?, 4);
    assert_eq!(
        store.order(),
        [4, 0, 9],
        "what has no entry stays in the order"
    );
    let names = ["Boot0", "Boot00001", "Boot+001", "BootXXXX", "Driver0001"];
    assert_eq!(names.map(entry_number), [None; 5]);
    assert_eq!(entry_number("Boot00fF"), Some(0xff));
    Ok(())
}

#[test]
fn an_entry_of_a_name_in_lower_case_is_ours_under_this_name() -> Result<()> {
    let store = Store::new(&[1], &[(1, usb("USB"))]).with("Boot000a", &ours());
    assert_eq!(store.put_first()?, 10);
    assert_eq!((store.order(), store.content().len()), (vec![10, 1], 3));
    Ok(())
}

#[test]
fn with_an_entry_of_each_number_nothing_is_written() {
    let mut boot = Boot {
        order: (0..u16::MAX).collect(),
        ..Boot::default()
    };
    assert_eq!(boot.free(), Ok(u16::MAX));
    boot.order.push(u16::MAX);
    let error = boot.plan(&ESP, &[]).expect_err("no number is free");
    assert_eq!(error.reason, "the firmware has an entry of each number");
}

#[test]
fn the_next_start_is_of_one_entry() {
    let store = Store::default();
    assert_eq!(start_next(&store, 0x0104), Ok(()));
    assert_eq!(
        store.content(),
        BTreeMap::from([(BOOT_NEXT.to_owned(), vec![4, 1])])
    );
    let store = Store::default().making(BOOT_NEXT, vec![1, 0]);
    let error = start_next(&store, 4).expect_err("another is kept");
    assert_eq!(
        error.reason,
        "writing BootNext: the firmware has made it 0001"
    );
    let error = start_next(&Store::default().refusing(BOOT_NEXT, Errno::NOSPC), 4);
    assert!(
        error
            .expect_err("it is refused")
            .reason
            .contains("variable store is full")
    );
}

#[test]
fn an_entry_is_shown_with_its_name() -> Result<()> {
    let boot = Boot::read(&Store::new(&[], &[(0x1f, usb("USB")), (2, vec![])]))?;
    assert_eq!(
        [0x1f, 2, 3].map(|number| boot.shown(number)),
        ["Boot001F (USB)", "Boot0002", "Boot0003"]
    );
    Ok(())
}
