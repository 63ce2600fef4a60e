//! Tests of a firmware that refuses variables or keeps something else.

use rustix::io::Errno;

use super::store::{ESP, Store, ours, usb};
use super::*;

#[test]
fn a_refused_entry_changes_nothing() {
    for (errno, meaning) in [
        (Errno::NOSPC, "its variable store is full"),
        (Errno::PERM, "it is read-only"),
        (Errno::IO, "its variable store failed"),
    ] {
        let store = Store::new(&[0], &[(0, usb("USB"))]).refusing("Boot0001", errno);
        let before = store.content();
        let error = store.put_first().expect_err("it is refused");
        assert!(
            error
                .reason
                .starts_with(&format!("writing Boot0001: {meaning}")),
            "{error}"
        );
        assert_eq!(store.content(), before);
    }
}

#[test]
fn a_refused_order_takes_the_entry_back() {
    let store = Store::new(&[0], &[(0, usb("USB"))]).refusing(BOOT_ORDER, Errno::NOSPC);
    let before = store.content();
    let error = store.put_first().expect_err("it is refused");
    assert!(
        error
            .reason
            .starts_with("writing BootOrder: its variable store is full"),
        "{error}"
    );
    assert_eq!(store.content(), before);
}

#[test]
fn a_refused_order_gives_an_entry_its_old_content_back() {
    let renamed = ESP.load_option("Edge", &loader());
    let store = Store::new(&[0, 5], &[(0, usb("USB")), (5, renamed), (6, usb("other"))]);
    let store = store.refusing(BOOT_ORDER, Errno::ROFS);
    let before = store.content();
    store.put_first().expect_err("it is refused");
    assert_eq!(store.content(), before);
}

#[test]
fn an_entry_that_was_right_stays_when_the_order_is_refused() {
    let store =
        Store::new(&[0, 5], &[(0, usb("USB")), (5, ours())]).refusing(BOOT_ORDER, Errno::ROFS);
    let before = store.content();
    store.put_first().expect_err("it is refused");
    assert_eq!(store.content(), before);
}

#[test]
fn what_cannot_be_taken_back_is_said() {
    let store = Store::new(&[0], &[(0, usb("USB"))]);
    let boot = Boot::read(&store).expect("all can be read");
    let plan = boot.plan(&ESP, &[]).expect("numbers are free");
    let store = store.refusing("remove Boot0001", Errno::IO);
    let error = plan.undone(&store, None, Error::new(Kind::Environment, "full"));
    assert!(
        error
            .reason
            .starts_with("full; Boot0001 cannot be taken back: Input/output error"),
        "{error}"
    );
}

#[test]
fn a_double_that_cannot_be_removed_is_said_once_ours_is_first() {
    let store = Store::new(&[0, 4, 5], &[(0, usb("USB")), (4, ours()), (5, ours())]);
    let store = store.refusing("remove Boot0005", Errno::PERM);
    let error = store.put_first().expect_err("it cannot be removed");
    assert!(
        error
            .reason
            .starts_with("removing Boot0005: it is read-only"),
        "{error}"
    );
    assert_eq!(store.order(), [4, 0]);
}

#[test]
fn firmware_that_puts_another_first_at_once_is_found_out() {
    let store = Store::new(&[1], &[(1, usb("USB"))]).making(BOOT_ORDER, vec![1, 0, 0, 0]);
    let error = store.put_first().expect_err("another is first");
    assert_eq!(
        error.reason,
        "writing BootOrder: the firmware has made it 0001,0000"
    );
    assert_eq!(
        store.content().get("Boot0000"),
        Some(&ours()),
        "its menu can start it"
    );
}

#[test]
fn firmware_may_order_what_follows_and_complete_the_entry() -> Result<()> {
    let store = Store::new(&[1, 2], &[(1, usb("USB")), (2, usb("other"))])
        .making(BOOT_ORDER, vec![0, 0, 2, 0]);
    assert_eq!(store.put_first()?, 0);
    let store = Store::new(&[1], &[(1, usb("USB"))])
        .making("Boot0000", [ours(), b"mark".to_vec()].concat());
    assert_eq!(store.put_first()?, 0);
    Ok(())
}

#[test]
fn firmware_that_makes_something_else_of_the_entry_keeps_nothing_of_it() {
    let mut inactive = ours();
    inactive[0] = 0;
    for content in [usb("USB"), vec![1, 0], inactive] {
        let store = Store::new(&[1], &[(1, usb("USB"))]).making("Boot0000", content);
        let before = store.content();
        let error = store.put_first().expect_err("it starts nothing");
        assert!(
            error
                .reason
                .starts_with("writing Boot0000: the firmware has made it "),
            "{error}"
        );
        assert_eq!(store.content(), before);
    }
}
