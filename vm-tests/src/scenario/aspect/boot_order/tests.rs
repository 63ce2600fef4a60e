//! Boot variables as installers and firmwares leave them.

use super::*;
use vm::nvram::{BootEntry, Uuid};

use crate::scenario::aspect::made::{Made, results};
use crate::scenario::machine_definition::ForeignEntry;
use vm::nvram::{add_variable, load_option};

/// Puts the installer's entry into the machine's variable store and BootOrder, as `numbers` has it.
fn install(made: &Made, numbers: &[u16]) {
    let vars = &made.hardware.firmware.vars;
    let mut bytes = fs_err::read(vars).unwrap();
    for number in numbers {
        let option = load_option(BOOT_LABEL, *b"0123456789abcdef");
        add_variable(&mut bytes, &format!("Boot{number:04X}"), &option).unwrap();
    }
    let order: Vec<u8> = numbers.iter().flat_map(|it| it.to_le_bytes()).collect();
    add_variable(&mut bytes, "BootOrder", &order).unwrap();
    fs_err::write(vars, bytes).unwrap();
}

fn made(alter: impl FnOnce(&mut crate::scenario::one_machine::Scenario)) -> Made {
    let made = Made::new(alter);
    BootOrder.installer_begins(&made.subject());
    made
}

fn installed_by(made: &Made) {
    fs_err::copy(
        &made.hardware.firmware.vars,
        made.evidence.path(INSTALLED_VARS),
    )
    .unwrap();
}

#[tokio::test]
async fn the_variables_are_kept_at_the_first_begin_and_at_each_end() {
    let made = made(|_| {});
    let first = fs_err::read(made.evidence.path(FIRST_VARS)).unwrap();
    install(&made, &[5]);
    BootOrder.installer_begins(&made.subject());
    assert_eq!(fs_err::read(made.evidence.path(FIRST_VARS)).unwrap(), first);
    let console = Console::follow(&[]);
    let checks = BootOrder.installed(&made.subject(), &console).unwrap();
    assert!(checks.is_empty());
    let now = fs_err::read(&made.hardware.firmware.vars).unwrap();
    assert_eq!(
        fs_err::read(made.evidence.path(INSTALLED_VARS)).unwrap(),
        now
    );
    assert_ne!(now, first);
}

#[test]
fn after_an_installation_the_new_entry_is_looked_for() {
    let made = made(|_| {});
    installed_by(&made);
    install(&made, &[5]);
    let checks = made.off(&BootOrder, true);
    assert_eq!(results(&checks).len(), 5);
    assert_eq!(checks[1].actual, "1");
    assert!(made.evidence.path("firmware-boot.json").is_file());
    assert!(made.evidence.path(LAST_VARS).is_file());
    // Also where the run has ended early after it.
    assert_eq!(made.off(&BootOrder, false), checks);
}

#[test]
fn a_refusal_must_leave_every_variable() {
    let made = made(|_| {});
    assert_eq!(
        results(&made.off(&BootOrder, true)),
        [("machine/bootOrder", true)]
    );
    assert!(made.off(&BootOrder, false).is_empty());
    install(&made, &[5]);
    assert_eq!(
        results(&made.off(&BootOrder, true)),
        [("machine/bootOrder", false)]
    );
}

#[test]
fn a_full_firmware_must_be_left_as_it_is() {
    let made = made(|scenario| scenario.machine.firmware = vec![Quirk::NoRoom]);
    installed_by(&made);
    assert_eq!(
        results(&made.off(&BootOrder, true)),
        [("machine/bootOrder", true)]
    );
    install(&made, &[5]);
    installed_by(&made);
    assert_eq!(
        results(&made.off(&BootOrder, true)),
        [("machine/bootOrder", false)]
    );
}

#[test]
fn where_the_stick_is_started_first_the_order_at_the_end_of_the_installation_counts() {
    let made = made(|scenario| scenario.machine.firmware = vec![Quirk::StartsStickFirst]);
    install(&made, &[5]);
    installed_by(&made);
    install(&made, &[5, 6]);
    assert_eq!(made.off(&BootOrder, true)[1].actual, "1");
    assert!(!made.evidence.path(LAST_VARS).exists());
}

#[test]
fn where_hookos_did_not_run_nothing_is_compared() {
    let made = made(|scenario| scenario.steps = vec![Step::FirmwareRefuses]);
    assert!(made.off(&BootOrder, true).is_empty());
}

#[test]
fn variables_that_cannot_be_read_are_a_check_that_fails() {
    let made = Made::new(|_| {});
    let checks = made.off(&BootOrder, true);
    assert_eq!(results(&checks), [("machine/bootOrder", false)]);
    assert_eq!(checks[0].expected, "readable");
}

#[test]
fn foreign_entries_have_to_be_there_before_the_installation() {
    let made = made(|scenario| {
        scenario.machine.boot_entries = vec![ForeignEntry::OtherSystem, ForeignEntry::Broken];
    });
    let foreign = |finished| {
        let checks = made.off(&BootOrder, finished);
        let foreign = checks
            .into_iter()
            .filter(|check| check.key == "machine/foreignEntries");
        foreign
            .map(|check| (check.expected, check.passed))
            .collect::<Vec<_>>()
    };
    let both = |a, b| vec![("OtherSystem".to_owned(), a), ("Broken".to_owned(), b)];
    assert_eq!(foreign(true), both(false, false));
    assert!(foreign(false).is_empty());
    install(&made, &[FIRST_FOREIGN]);
    save_vars(&made.hardware, &made.evidence, FIRST_VARS);
    assert_eq!(foreign(true), both(true, false));
}

#[test]
fn the_firmware_has_to_start_the_first_entry() {
    let made = made(|_| {});
    let current = |when, text| {
        let answers = [(Probe::shell(BOOT_CURRENT), text)];
        let checks = made.answered(&BootOrder, when, &answers);
        checks
            .into_iter()
            .map(|check| (check.check.ends_with("reboot"), check.passed))
            .collect::<Vec<_>>()
    };
    assert_eq!(current(When::Verify, "0005\n"), [(false, false)]);
    install(&made, &[5]);
    assert_eq!(current(When::Verify, "0005\n"), [(false, true)]);
    assert_eq!(current(When::AfterReboot, "0001\n"), [(true, false)]);
    assert_eq!(current(When::AfterReboot, ""), [(true, false)]);
    assert!(current(When::LoggedIn, "").is_empty() && current(When::BeforeReboot, "").is_empty());
    assert_eq!(
        BootOrder.questions(When::Verify),
        [Probe::shell(BOOT_CURRENT)]
    );
    assert_eq!(
        BootOrder.questions(When::AfterReboot),
        [Probe::shell(BOOT_CURRENT)]
    );
}

#[test]
fn an_entry_that_is_not_active_or_starts_no_partition_is_wrong() {
    let mut after = installed();
    after.entries[2].active = false;
    assert_eq!(failed(&after), ["machine/bootOrder"]);
    let mut after = installed();
    after.entries[2].path.remove(0);
    assert_eq!(failed(&after), ["machine/bootOrder"]);
}

#[test]
fn an_entry_of_ours_from_before_is_none_that_was_made() {
    let checks = boot_checks(&installed(), &installed());
    let failed = checks.iter().filter(|check| !check.passed);
    assert_eq!(
        failed.map(|check| &*check.key).collect::<Vec<_>>(),
        ["machine/bootEntries"]
    );
}

#[test]
fn a_later_store_is_compared_with_the_first() {
    let made = made(|_| {});
    let vars = &made.hardware.firmware.vars;
    install(&made, &[5]);
    assert_eq!(
        boot_checks_since_first(&made.evidence, vars).unwrap().len(),
        5
    );
    assert!(boot_checks_since_first(&made.evidence, &made.path("absent")).is_err());
}

fn entry(number: u16, description: &str, path: Vec<DevicePathNode>) -> BootEntry {
    BootEntry {
        number,
        description: description.into(),
        active: true,
        path,
        decoded: true,
    }
}

fn before() -> BootVariables {
    BootVariables {
        order: vec![1, 2],
        entries: vec![
            entry(1, "UEFI QEMU USB", vec![DevicePathNode::Usb]),
            entry(2, "Foreign", vec![DevicePathNode::Firmware]),
        ],
    }
}

fn installed() -> BootVariables {
    let mut after = before();
    after.order.insert(0, 5);
    after.entries.push(entry(
        5,
        "EMTS",
        vec![
            DevicePathNode::Partition(Uuid::nil()),
            DevicePathNode::File("\\EFI\\BOOT\\BOOTX64.EFI".into()),
        ],
    ));
    after
}

fn failed(after: &BootVariables) -> Vec<String> {
    boot_checks(&before(), after)
        .into_iter()
        .filter(|check| !check.passed)
        .map(|check| check.key)
        .collect()
}

#[test]
fn a_new_first_entry_and_the_old_ones_is_right() {
    assert_eq!(failed(&installed()), Vec::<String>::new());
}

#[test]
fn an_unchanged_order_is_wrong() {
    assert_eq!(
        failed(&before()),
        ["machine/bootOrder", "machine/bootEntries"]
    );
}

#[test]
fn a_lost_foreign_entry_and_a_lost_stick_are_seen() {
    let mut after = installed();
    after.entries.retain(|entry| entry.number != 2);
    assert_eq!(failed(&after), ["machine/foreignEntries"]);
    let mut after = installed();
    after.order = vec![5, 2];
    assert_eq!(
        failed(&after),
        ["machine/foreignEntries", "machine/usbEntry"]
    );
}

#[test]
fn a_second_entry_of_ours_is_wrong() {
    let mut after = installed();
    after.entries.push(entry(6, "EMTS", vec![]));
    assert_eq!(failed(&after), ["machine/bootEntries"]);
}
