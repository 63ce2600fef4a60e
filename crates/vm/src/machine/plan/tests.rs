use super::*;
use crate::firmware::{Firmware, Kernel, Kind};
use crate::machine::{Bus, ClockTime, Disk, DiskFormat, Mebibytes};

fn config(folder: &Path) -> VmConfig {
    let code = folder.join("code.fd");
    let vars = folder.join("vars.fd");
    fs_err::write(&code, "").unwrap();
    fs_err::write(&vars, "").unwrap();
    VmConfig::new(
        "test",
        Firmware {
            code,
            vars,
            kind: Kind::Plain,
        },
        folder,
        folder,
    )
}

fn disk(folder: &Path, name: &str, bus: Bus) -> Disk {
    let file = folder.join(format!("{name},1.img"));
    fs_err::write(&file, "").unwrap();
    Disk::new(name, &file, DiskFormat::Raw, bus, "S1")
}

#[test]
fn no_device_has_a_bootindex() {
    let folder = tempfile::tempdir().unwrap();
    let plan = config(folder.path())
        .disk(disk(folder.path(), "usb", Bus::Usb))
        .disk(disk(folder.path(), "target", Bus::Nvme))
        .plan()
        .unwrap();
    assert!(
        !plan.args.iter().any(|arg| arg.contains("bootindex")),
        "{:?}",
        plan.args
    );
}

#[test]
fn the_stick_is_removable_and_the_target_has_its_serial_number() {
    let folder = tempfile::tempdir().unwrap();
    let plan = config(folder.path())
        .disk(disk(folder.path(), "usb", Bus::Usb))
        .disk(disk(folder.path(), "target", Bus::Nvme))
        .plan()
        .unwrap();
    let has = |text: &str| plan.args.iter().any(|arg| arg == text);
    assert!(
        has("usb-storage,id=usb-device,drive=usb,serial=S1,bus=xhci.0,removable=on"),
        "{:?}",
        plan.args
    );
    assert!(
        has("nvme,id=target-device,drive=target,serial=S1"),
        "{:?}",
        plan.args
    );
}

#[test]
fn commas_in_paths_are_written_twice() {
    let folder = tempfile::tempdir().unwrap();
    let plan = config(folder.path())
        .disk(disk(folder.path(), "target", Bus::Nvme))
        .plan()
        .unwrap();
    assert!(
        plan.args.iter().any(|arg| arg.ends_with("target,,1.img")),
        "{:?}",
        plan.args
    );
}

#[test]
fn a_disk_has_the_sectors_that_it_is_given() {
    let folder = tempfile::tempdir().unwrap();
    for bus in [Bus::Nvme, Bus::Virtio, Bus::Scsi, Bus::Usb] {
        let line = |sector_size| {
            let disk = Disk {
                sector_size,
                ..disk(folder.path(), "target", bus)
            };
            config(folder.path())
                .disk(disk)
                .plan()
                .unwrap()
                .args
                .join(" ")
        };
        assert!(!line(512).contains("block_size"));
        let line = line(4096);
        assert!(
            line.contains(",logical_block_size=4096,physical_block_size=4096"),
            "{line}"
        );
    }
}

#[test]
fn the_restricted_network_cuts_the_guest_off_and_leaves_the_port_to_qemu() {
    let folder = tempfile::tempdir().unwrap();
    let plan = config(folder.path()).plan().unwrap();
    assert!(
        plan.args
            .contains(&"user,id=net0,restrict=on,hostfwd=tcp:127.0.0.1:0-:22".to_owned())
    );
    let plan = config(folder.path()).network(Network::None).plan().unwrap();
    assert!(!plan.args.contains(&"-netdev".to_owned()) && !plan.network.reaches_ssh());
}

#[test]
fn with_secure_boot_only_system_management_mode_writes_the_variable_store() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    let line = config.plan().unwrap().args.join(" ");
    assert!(!line.contains("smm") && !line.contains("-global"), "{line}");
    let Start::Firmware(firmware) = &mut config.start else {
        panic!("it has a firmware");
    };
    firmware.kind = Kind::SecureBoot;
    let line = config.plan().unwrap().args.join(" ");
    assert!(
        line.contains("-machine q35,smm=on")
            && line.contains("-global driver=cfi.pflash01,property=secure,value=on"),
        "{line}"
    );
}

#[test]
fn kvm_takes_the_hosts_cpu() {
    let folder = tempfile::tempdir().unwrap();
    let plan = config(folder.path())
        .accelerator(Accelerator::Kvm)
        .memory(Mebibytes(512))
        .cpus(1)
        .plan()
        .unwrap();
    let line = plan.args.join(" ");
    assert!(
        line.contains("-accel kvm -cpu host -smp 1 -m 512"),
        "{line}"
    );
}

#[test]
fn refuses_two_disks_of_one_name() {
    let folder = tempfile::tempdir().unwrap();
    let twice = disk(folder.path(), "target", Bus::Nvme);
    let error = config(folder.path())
        .disk(twice.clone())
        .disk(twice)
        .plan()
        .unwrap_err();
    assert_eq!(error, PlanError::DuplicateDisk("target".into()));
}

#[test]
fn a_credential_is_an_smbios_string_in_base64() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path()).credential("tmpfiles.extra", "d /a, b\n");
    let line = config.plan().unwrap().args.join(" ");
    let wanted = "-smbios type=11,value=io.systemd.credential.binary:tmpfiles.extra=ZCAvYSwgYgo=";
    assert!(line.contains(wanted), "{line}");
}

#[test]
fn a_kernel_is_loaded_without_a_firmware_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let [image, initrd] = ["kernel", "initrd"].map(|name| folder.path().join(name));
    fs_err::write(&image, "").unwrap();
    let kernel = Kernel {
        image,
        initrd: initrd.clone(),
        arguments: "console=ttyS0 panic=-1".into(),
    };
    let config = VmConfig::new("test", kernel, folder.path(), folder.path())
        .at_reset(AtReset::Ends)
        .domain("boot.test");
    let error = config.plan().unwrap_err().to_string();
    assert!(error.contains("the initial file system"), "{error}");
    fs_err::write(&initrd, "").unwrap();
    let line = config.plan().unwrap().args.join(" ");
    assert!(
        line.contains("-append console=ttyS0 panic=-1")
            && line.contains("-no-reboot")
            && line.contains(",domainname=boot.test")
            && !line.contains("pflash"),
        "{line}"
    );
}

#[test]
fn names_missing_firmware_and_the_package_that_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let firmware = Firmware {
        code: "/nowhere/code.fd".into(),
        vars: "/nowhere/vars.fd".into(),
        kind: Kind::Plain,
    };
    let error = VmConfig::new("test", firmware, folder.path(), folder.path())
        .plan()
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("/nowhere/code.fd") && error.contains(ARCH.firmware_package.debian),
        "{error}"
    );
}

#[test]
fn the_script_quotes_what_a_shell_would_take_apart() {
    let folder = tempfile::tempdir().unwrap();
    let mut plan = config(folder.path()).plan().unwrap();
    plan.args = vec!["-name".into(), "it's one".into()];
    assert!(
        plan.to_script().contains(r"-name 'it'\''s one'"),
        "{}",
        plan.to_script()
    );
}

#[test]
fn a_machine_that_stops_at_a_reset_leaves_qemu_there() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let line = config.plan().unwrap().args.join(" ");
    assert!(
        !line.contains("-action") && !line.contains("-no-reboot"),
        "{line}"
    );
    let plan = config.at_reset(AtReset::Stops).plan().unwrap();
    let line = plan.args.join(" ");
    assert!(
        line.contains("-action reboot=shutdown,shutdown=pause"),
        "{line}"
    );
    assert_eq!(plan.at_reset, AtReset::Stops);
}

#[test]
fn the_clock_begins_where_it_is_set() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    assert!(!config.plan().unwrap().args.contains(&"-rtc".to_owned()));
    let time: ClockTime = serde_json::from_str("\"1970-01-01T00:00:00\"").unwrap();
    let line = config.clock(Some(time)).plan().unwrap().args.join(" ");
    assert!(line.contains("-rtc base=1970-01-01T00:00:00 "), "{line}");
    let error = serde_json::from_str::<ClockTime>("\"yesterday\"").unwrap_err();
    assert!(
        error.to_string().contains("`yesterday` is no time"),
        "{error}"
    );
}

#[test]
fn a_tpm_is_reached_by_a_socket_that_its_own_process_opens() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("tpm");
    let plan = config(folder.path()).tpm(&state).plan().unwrap();
    let line = plan.args.join(" ");
    let socket = folder.path().join("tpm.sock");
    let wanted = format!(
        "-chardev socket,id=tpm-control,path={} -tpmdev emulator,id=tpm0,chardev=tpm-control -device tpm-tis,tpmdev=tpm0",
        socket.display()
    );
    assert!(line.contains(&wanted), "{line}");
    let words = plan.tpm.as_ref().unwrap().command().join(" ");
    assert!(
        words.ends_with(&format!("--ctrl type=unixio,path={}", socket.display())),
        "{words}"
    );
    assert!(plan.to_script().contains(&format!("{words} --daemon\n")));
}

#[test]
fn refuses_a_disk_that_qemu_does_not_have() {
    let folder = tempfile::tempdir().unwrap();
    let mut large = disk(folder.path(), "target", Bus::Sata);
    large.sector_size = 4096;
    let mut late = disk(folder.path(), "target", Bus::Sata);
    late.late = true;
    for disk in [large, late] {
        let error = config(folder.path()).disk(disk).plan().unwrap_err();
        assert_eq!(error, PlanError::Disk("target".into(), Bus::Sata));
    }
}
