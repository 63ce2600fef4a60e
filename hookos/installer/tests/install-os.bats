#!/usr/bin/env bats
# install-os.sh without disks: markers, media, the choice of the disk, boot entries, checks of the bundle.

bats_require_minimum_version 1.5.0

setup() {
  PATH="$PATH:/usr/sbin:/sbin"
  export EMTS_RUN="$BATS_TEST_TMPDIR/run" EMTS_LOG="$BATS_TEST_TMPDIR/log"
  export EMTS_TARGET="$BATS_TEST_TMPDIR/target"
  export EMTS_BOOTSTRAPPER="$BATS_TEST_TMPDIR/run/media/cluster-bootstrapper"
  # `cargo xtask test` tells it; by hand it is what `cargo build` makes.
  export EMTS_INSTALLER="${EMTS_INSTALLER:-$BATS_TEST_DIRNAME/../../../target/debug/installer}"
  mkdir -p "$EMTS_RUN/media" "$EMTS_RUN/conf"
  source "$BATS_TEST_DIRNAME/bundle.bash"
  source "$BATS_TEST_DIRNAME/../install-os.sh"
  set +u # bats' own functions read unset variables
}

GB=1000000000

# One disk of lsblk's JSON; more is merged into it.
disk() { # name, gigabytes, transport, [JSON]
  jq -n --arg name "$1" --argjson size "$(($2 * GB))" --arg tran "$3" --argjson more "${4:-null}" \
    '{name: $name, path: "/dev/\($name)", type: "disk", size: $size, ro: false, rm: false,
      tran: (if $tran == "" then null else $tran end), model: "Model \($name) ", serial: "S-\($name)", wwn: null,
      signatures: [], mountpoints: [null], partlabel: null} + ($more // {})'
}

disks() { jq -s '{blockdevices: .}'; }

stick() { # name
  disk "$1" 8 usb '{"rm": true, "children": [{"path": "/dev/'"$1"'1", "partlabel": "EMTS-BOOT"},
    {"path": "/dev/'"$1"'2", "partlabel": "EMTS-OS"}, {"path": "/dev/'"$1"'3", "partlabel": "EMTS-CONF"}]}'
}

# The disk chosen among those on stdin, for an image of 4 GB and the stick sdz.
choose() { # [selector]
  local ranked
  ranked=$(disks | rank_disks $((4 * GB)) /dev/sdz "${1:-null}")
  pick_disk "$ranked"
}

reason_for() { # path, [selector]
  disks | rank_disks $((4 * GB)) /dev/sdz "${2:-null}" | jq -r --arg path "$1" '.[] | select(.path == $path) | .reason'
}

@test "a marker has step, state and seconds" {
  [ "$(marker_line find-media begin 0.03)" = "EMTS step=find-media state=begin t=0.03" ]
}

@test "a marker's reason is one line" {
  [ "$(marker_line write-image failed 12.50 $'disk\nis\tgone')" = "EMTS step=write-image state=failed t=12.50 reason=disk is gone" ]
}

@test "every step is a function" {
  for step in "${STEPS[@]}"; do [ "$(type -t "${step//-/_}")" = function ]; done
}

@test "completes what lsblk does not know without udev" {
  tree='{"blockdevices": [{"name": "sda", "path": "/dev/sda", "children": [{"name": "sda1", "path": "/dev/sda1"}]}, {"name": "sdb", "path": "/dev/sdb"}]}'
  tables='[{"partitiontable": {"partitions": [{"node": "/dev/sda1", "name": "EMTS-OS", "uuid": "U"}]}}]'
  signatures='{"signatures": [{"device": "sda1", "type": "ext4"}, {"device": "sdb", "type": "LVM2_member"}]}'
  run -0 complete_disks "$tree" "$tables" "$signatures" /dev/sda S1 W1 "pci-a ata-1" /dev/sdb S2 "" ""
  jq -e '.blockdevices[0].children[0] | .partlabel == "EMTS-OS" and .partuuid == "U" and .signatures == ["ext4"]' <<<"$output"
  jq -e '.blockdevices | .[0].serial == "S1" and .[0].wwn == "W1" and .[1].serial == "S2" and .[1].signatures == ["LVM2_member"]
    and .[0].bypath == ["pci-a", "ata-1"]' <<<"$output"
}

@test "lists the disks of this machine as JSON" {
  run -0 --separate-stderr list_disks
  jq -e '.blockdevices | type == "array"' <<<"$output"
}

@test "finds the stick by its partition labels, on any bus" {
  result=$({ disk nvme0n1 20 nvme; stick vdb | jq '.tran = "virtio" | .rm = false'; } | disks | sticks_in)
  jq -e 'length == 1 and .[0].complete and .[0].parts["EMTS-OS"] == "/dev/vdb2"' <<<"$result"
}

@test "a stick without its configuration partition is incomplete" {
  result=$(stick sdb | jq 'del(.children[2])' | disks | sticks_in)
  jq -e '.[0].complete | not' <<<"$result"
}

@test "sees two sticks" {
  [ "$({ stick sda; stick sdb; } | disks | sticks_in | jq length)" = 2 ]
}

@test "names both serial numbers when two sticks are attached" {
  STICKS=$({ stick sda; stick sdb; } | disks | sticks_in)
  mkdir -p "$RUN"
  run ! bash -c "$(declare -p STICKS RUN); $(declare -f fail require_one_stick); (require_one_stick); cat \"\$RUN/reason\"; false"
  [[ $output == *"serial S-sda"*"serial S-sdb"* ]]
}

@test "chooses NVMe before SATA before others" {
  [ "$({ disk vda 5 virtio; disk sda 5 sata; disk nvme0n1 500 nvme; } | choose)" = /dev/nvme0n1 ]
  [ "$({ disk vda 5 virtio; disk sda 500 sata; } | choose)" = /dev/sda ]
}

@test "chooses the smallest disk that is large enough" {
  [ "$({ disk nvme0n1 500 nvme; disk nvme1n1 100 nvme; disk nvme2n1 3 nvme; } | choose)" = /dev/nvme1n1 ]
}

@test "refuses two equal disks and names both" {
  run ! choose < <(disk nvme0n1 100 nvme; disk nvme1n1 100 nvme)
  [[ $output == *"/dev/nvme0n1, /dev/nvme1n1"* ]]
}

@test "refuses when there is no disk" {
  run ! choose < <(stick sdz)
  [[ $output == *"no disk can be used"* ]]
}

@test "never takes the stick, even when it looks internal" {
  [ "$(stick sdz | jq '.rm = false | .tran = "sata"' | reason_for /dev/sdz)" = "the installer stick" ]
}

@test "never takes a USB disk that does not say that it is removable" {
  [[ $(disk sdb 500 usb | reason_for /dev/sdb) == *usb* ]]
}

@test "says why a disk is not taken" {
  [ "$(disk sdb 500 sata '{"ro": true}' | reason_for /dev/sdb)" = read-only ]
  [ "$(disk sdb 500 sata '{"rm": true}' | reason_for /dev/sdb)" = removable ]
  [[ $(disk sdb 3 sata | reason_for /dev/sdb) == "too small: 3000000000 bytes, 4000000000 needed" ]]
  [ "$(disk sr0 5 sata '{"type": "rom"}' | reason_for /dev/sr0)" = "not a disk (rom)" ]
  [ "$(disk mmcblk0boot0 5 mmc | reason_for /dev/mmcblk0boot0)" = "not an internal disk" ]
}

MOUNTED='{"children": [{"path": "/dev/sdb1", "signatures": ["ext4"], "mountpoints": ["/data", "/data/more"]}]}'

@test "takes a disk with a mounted file system only with wipe" {
  [[ $(disk sdb 500 sata "$MOUNTED" | reason_for /dev/sdb) == *"mounted at /data, /data/more; installDisk.wipe"* ]]
  [ "$(disk sdb 500 sata "$MOUNTED" | choose '{"wipe": true}')" = /dev/sdb ]
}

@test "unmounts the chosen disk, the innermost first" {
  DISK=/dev/sdb
  umount() { echo "umount $1"; }
  say() { :; }
  run -0 release_disk "$(disk sdb 500 sata "$MOUNTED" | disks | rank_disks 1 /dev/sdz '{"wipe": true}')"
  [ "$output" = $'umount /data/more\numount /data' ]
}

@test "never takes a disk that a RAID or a volume in use is made of, even with wipe" {
  held='{"children": [{"path": "/dev/sdb1", "type": "part", "children": [{"path": "/dev/md0", "type": "raid1"}]}]}'
  [ "$(disk sdb 500 sata "$held" | reason_for /dev/sdb '{"wipe": true}')" = "in use by /dev/md0 (raid1)" ]
}

@test "takes a RAID or LVM member only with wipe" {
  member='{"children": [{"path": "/dev/sdb1", "signatures": ["LVM2_member"], "mountpoints": [null]}]}'
  [[ $(disk sdb 500 sata "$member" | reason_for /dev/sdb) == *LVM2_member* ]]
  [ "$(disk sdb 500 sata "$member" | choose '{"wipe": true}')" = /dev/sdb ]
}

@test "takes a disk with the file systems of another operating system" {
  [ "$(disk sdb 500 sata '{"children": [{"path": "/dev/sdb1", "signatures": ["ntfs"], "mountpoints": [null]}]}' | choose)" = /dev/sdb ]
}

@test "a selector overrides the order of disks" {
  two() { disk nvme0n1 100 nvme; disk sda 200 sata; disk sdb 200 sata; }
  [ "$(two | choose '{"serial": "S-sdb"}')" = /dev/sdb ]
  [ "$(two | choose '{"model": "Model s?a"}')" = /dev/sda ]
  [ "$(two | choose '{"transport": "nvme"}')" = /dev/nvme0n1 ]
  [ "$(two | choose '{"maxSize": 150000000000}')" = /dev/nvme0n1 ]
  [ "$(two | jq 'select(.name == "sdb").bypath = ["pci-b-ata-2.0", "pci-b-ata-2"]' | choose '{"byPath": "pci-b-ata-2"}')" = /dev/sdb ]
}

@test "a selector's keys that are null select nothing" {
  nulls='{"serial": null, "wwn": null, "model": null, "transport": null, "minSize": null, "maxSize": null, "byPath": null, "wipe": false}'
  [ "$(disk sda 200 sata | choose "$nulls")" = /dev/sda ]
}

@test "all of a selector's keys must hold" {
  [ "$(disk sda 200 sata | reason_for /dev/sda '{"serial": "S-sda", "transport": "nvme"}')" = "transport is not nvme" ]
  [ "$(disk sda 200 sata | reason_for /dev/sda '{"minSize": 300000000000}')" = "smaller than minSize 300000000000" ]
  [ "$(disk sda 200 sata '{"bypath": ["pci-a"]}' | reason_for /dev/sda '{"byPath": "pci-b"}')" = "not at pci-b, but at pci-a" ]
  [ "$(disk sda 200 sata | reason_for /dev/sda '{"byPath": "pci-b"}')" = "not at pci-b, but at an unknown place" ]
}

@test "a serial number is compared as a whole" {
  [ "$(disk sda 200 sata | reason_for /dev/sda '{"serial": "S-sd"}')" = "serial is not S-sd" ]
}

@test "a world-wide name is the same in lsblk's form and in the kernel's" {
  kernel() { disk sda 200 sata "{\"wwn\": \"$1\"}"; }
  [ "$(kernel naa.5000c500a1b2c3d4 | choose '{"wwn": "0x5000c500A1B2C3D4"}')" = /dev/sda ]
  [ "$(kernel eui.0025388b71b2c3d4 | choose '{"wwn": "eui.0025388b71b2c3d4"}')" = /dev/sda ]
  [[ $(kernel naa.5000c500a1b2c3d4 | reason_for /dev/sda '{"wwn": "0x5000c500a1b2c3d5"}') == "WWN is not"* ]]
}

@test "a selector that two equal disks fit is refused and names both" {
  run ! choose '{"transport": "sata"}' < <(disk nvme0n1 100 nvme; disk sda 200 sata; disk sdb 200 sata)
  [[ $output == *"/dev/sda, /dev/sdb"* ]]
}

@test "a selector that no disk fits is refused" {
  run ! choose '{"serial": "none"}' < <(disk nvme0n1 100 nvme; disk sda 200 sata)
  [[ $output == *"no disk can be used"* ]]
}

# A device folder of a sysfs made for the test: its path and the name of its subsystem.
device() {
  mkdir -p "$FAKE/devices/$1" "$FAKE/bus/$2"
  ln -sfn "$FAKE/bus/$2" "$FAKE/devices/$1/subsystem"
}

block() { # kernel name, device folder
  mkdir -p "$FAKE/class/block/$1"
  ln -sfn "$FAKE/devices/$2" "$FAKE/class/block/$1/device"
}

# disk_paths in another shell: SYSFS is fixed once the scripts are read.
paths_of() {
  EMTS_SYSFS=$FAKE bash -c 'source "$1"; disk_paths "$2"' - "$BATS_TEST_DIRNAME/../install-os.sh" "$1"
}

@test "names disks by path as udev does" {
  local FAKE
  FAKE=$(readlink -f "$BATS_TEST_TMPDIR")/sys
  mkdir -p "$FAKE"
  pci=pci0000:00/0000:00
  device "$pci:02.0" pci; device "$pci:02.0/virtio1" virtio; block vda "$pci:02.0/virtio1"
  [ "$(paths_of vda)" = "pci-0000:00:02.0 virtio-pci-0000:00:02.0" ]

  device "$pci:1c.0" pci; device "$pci:1c.0/0000:01:00.0" pci; device "$pci:1c.0/0000:01:00.0/nvme/nvme0" nvme
  block nvme0n1 "$pci:1c.0/0000:01:00.0/nvme/nvme0"; echo 1 >"$FAKE/class/block/nvme0n1/nsid"
  [ "$(paths_of nvme0n1)" = "pci-0000:01:00.0-nvme-1" ]

  mkdir -p "$FAKE/devices/virtual/nvme-subsystem/nvme-subsys0"
  ln -s "$FAKE/devices/$pci:1c.0/0000:01:00.0/nvme/nvme0" "$FAKE/devices/virtual/nvme-subsystem/nvme-subsys0/nvme0"
  block nvme0n2 virtual/nvme-subsystem/nvme-subsys0; echo 2 >"$FAKE/class/block/nvme0n2/nsid"
  [ "$(paths_of nvme0n2)" = "pci-0000:01:00.0-nvme-2" ]

  ata="$pci:1f.2/ata3"
  device "$pci:1f.2" pci; device "$ata/host2" scsi; device "$ata/host2/target2:0:0/2:0:0:0" scsi
  mkdir -p "$FAKE/devices/$ata/ata_port/ata3"; echo 1 >"$FAKE/devices/$ata/ata_port/ata3/port_no"
  block sda "$ata/host2/target2:0:0/2:0:0:0"
  [ "$(paths_of sda)" = "pci-0000:00:1f.2-ata-1.0 pci-0000:00:1f.2-ata-1" ]

  device "$pci:05.0" pci; device "$pci:05.0/virtio2" virtio; device "$pci:05.0/virtio2/host6/target6:0:1/6:0:1:0" scsi
  block sdb "$pci:05.0/virtio2/host6/target6:0:1/6:0:1:0"
  [ "$(paths_of sdb)" = "pci-0000:00:05.0-scsi-0:0:1:0" ]
}

@test "names no disk by path on a bus that it does not know" {
  local FAKE
  FAKE=$(readlink -f "$BATS_TEST_TMPDIR")/sys
  mkdir -p "$FAKE"
  usb=pci0000:00/0000:00:14.0/usb1/1-2/1-2:1.0
  device pci0000:00/0000:00:14.0 pci; device "$usb" usb; device "$usb/host7/target7:0:0/7:0:0:0" scsi
  block sdc "$usb/host7/target7:0:0/7:0:0:0"
  [ -z "$(paths_of sdc)" ]
  block zram0 virtual
  [ -z "$(paths_of zram0)" ]
}

@test "reads the serial number of a disk from vital product data that the kernel shows with size 0" {
  local FAKE dir
  FAKE=$(readlink -f "$BATS_TEST_TMPDIR")/sys
  dir=pci0000:00/0000:00:1f.2/ata3/host2/target2:0:0/2:0:0:0
  mkdir -p "$FAKE"
  device "$dir" scsi; block sda "$dir"
  # A FIFO has, like a file of sysfs, another size than content. Page 80h: four bytes, then the number.
  mkfifo "$FAKE/devices/$dir/vpd_pg80"
  printf '\0\x80\0\x0e  EMTS-SATA-0 \0' >"$FAKE/devices/$dir/vpd_pg80" 3>&- &
  EMTS_SYSFS=$FAKE run -0 bash -c 'source "$1"; disk_serial sda' - "$BATS_TEST_DIRNAME/../install-os.sh"
  kill $! 2>/dev/null || true # it waits for ever when nobody reads
  [ "$output" = EMTS-SATA-0 ]
}

# choose_disk with a configuration tool that shows the selector, or fails.
choose_with() { # selector
  media
  BOOTSTRAPPER_SAYS=$1
  disk_selector() { [[ -n $BOOTSTRAPPER_SAYS ]] && echo "$BOOTSTRAPPER_SAYS"; }
  list_disks() { { stick sdz; disk sda 200 sata; disk sdb 200 sata; } | disks; }
  say() { :; }
}

@test "choose-disk takes the disk that the config-file selects" {
  choose_with '{"serial": "S-sdb", "wipe": false}'
  choose_disk
  [ "$DISK" = /dev/sdb ]
}

@test "choose-disk fails with every disk and its reason" {
  choose_with '{"serial": "S-none", "wipe": false}'
  run -1 step choose_disk
  [[ $output == *"no disk can be used"*"/dev/sda"*"serial is not S-none"*"/dev/sdb"*"serial is not S-none"*"/dev/sdz"*"the installer stick"* ]]
}

@test "choose-disk fails when the selector cannot be shown" {
  choose_with ''
  run -1 step choose_disk
  [[ $output == *"does not show the config-file's installDisk"* ]]
}

@test "a model glob is no regular expression" {
  [[ $(disk sda 200 sata | reason_for /dev/sda '{"model": "Model.*"}') == "model does not match"* ]]
}

@test "describes every disk with its reason" {
  ranked=$({ disk sda 200 sata; disk sdb 1 sata; } | disks | rank_disks $((4 * GB)) /dev/sdz null)
  run -0 describe_disks "$ranked"
  [ "${#lines[@]}" = 2 ]
  [[ ${lines[0]} == *"/dev/sda  200 GB  sata  Model sda  serial S-sda: can be used" ]]
  [[ ${lines[1]} == *"too small"* ]]
}

@test "names partitions after the kernel's rule" {
  DISK=/dev/nvme0n1
  [ "$(partition_path 2)" = /dev/nvme0n1p2 ]
  DISK=/dev/sda
  [ "$(partition_path 2)" = /dev/sda2 ]
}

@test "finds the root partition by its type, else by its name" {
  DISK="$BATS_TEST_TMPDIR/disk"
  truncate -s 64M "$DISK"
  sgdisk --clear --new=1:1M:+8M --typecode=1:EF00 --new=2:0:+8M --typecode=2:8300 --change-name=2:rootfs \
    --new=3:0:+8M --typecode=3:8304 "$DISK"
  [ "$(partition_number "$TYPE_ROOT_X86_64" rootfs)" = 3 ]
  sgdisk --delete=3 "$DISK"
  [ "$(partition_number "$TYPE_ROOT_X86_64" rootfs)" = 2 ]
  [ "$(partition_number "$TYPE_ESP" esp)" = 1 ]
}

@test "mounts the persistent partition of an image that has one, and only then" {
  mount() { echo "mount $*"; }
  mkdir() { :; }
  DISK="$BATS_TEST_TMPDIR/disk"
  truncate -s 64M "$DISK"
  sgdisk --clear --new=1:1M:+8M --typecode=1:EF00 --new=2:0:+8M --typecode=2:8300 --change-name=2:rootfs "$DISK"
  [ -z "$(mount_persistent)" ]
  sgdisk --new=3:0:+8M --typecode=3:8300 --change-name=3:edge_persistent "$DISK"
  [ "$(mount_persistent)" = "mount ${DISK}3 $TARGET/opt" ]
}

@test "puts the entry first and keeps the order of the others" {
  [ "$(order_with_first 0003 0001,0003,0002)" = 0003,0001,0002 ]
  [ "$(order_with_first 0003 "")" = 0003 ]
}

EFIBOOTMGR=$'BootCurrent: 0001\nBootOrder: 0001,0000\nBoot0000* UiApp\tFvVol(7cb8bdc9)\nBoot0001* UEFI QEMU USB\tPciRoot(0x0)/USB(0,0)\nBoot0004* EMTS\tHD(1,GPT,11111111-2222-3333-4444-555555555555,0x800,0x100000)/File(\\EFI\\BOOT\\BOOTX64.EFI)\nBoot0005* EMTS\tHD(1,GPT,99999999-2222-3333-4444-555555555555,0x800,0x100000)/File(\\EFI\\BOOT\\BOOTX64.EFI)'

@test "recognises its own boot entry by label and partition" {
  [ "$(entries_for 11111111-2222-3333-4444-555555555555 <<<"$EFIBOOTMGR")" = 0004 ]
  [ -z "$(entries_for 00000000-2222-3333-4444-555555555555 <<<"$EFIBOOTMGR")" ]
}

# The stick with its partitions mounted.
media() {
  make_bundle "$BATS_TEST_TMPDIR"
  cp "$BATS_TEST_TMPDIR"/files/* "$EMTS_RUN/media"
  cp "$BATS_TEST_TMPDIR/files/manifest.json" "$EMTS_RUN"
  mkdir -p "$EMTS_RUN/esp/EFI/BOOT"
  cp "$BATS_TEST_TMPDIR/files/hookos.efi" "$EMTS_RUN/esp/EFI/BOOT/BOOTX64.EFI"
  STICKS=$(stick sdz | disks | sticks_in)
  mount() { :; }
  umount() { :; }
}

# Runs a step as the installer does, and prints the reason of its failure.
step() { # function
  (set -E; trap 'on_error $? $LINENO "$BASH_COMMAND"' ERR; "$1") && return
  cat "$EMTS_RUN/reason"
  return 1
}

@test "accepts an undamaged bundle" {
  media
  run -0 step check_manifest
  run -0 step verify_image
}

@test "refuses a flipped byte in the manifest" {
  media
  sed -i 's/v1.33.13/v1.33.14/' "$EMTS_RUN/media/manifest.json"
  run -1 step check_manifest
  [[ $output == *"manifest.json on EMTS-OS does not match SHA256SUMS"* ]]
}

@test "refuses a changed line of SHA256SUMS" {
  media
  sed -i '/os-image.raw.zst/s/ .*$/ x/' "$EMTS_RUN/media/SHA256SUMS"
  run -1 step check_manifest
  [[ $output == *"does not match the id"* ]]
}

@test "refuses a flipped byte in the OS image" {
  media
  printf '\xff\x00' | dd of="$EMTS_RUN/media/os-image.raw.zst" bs=1 seek=1000000 conv=notrunc status=none
  run -1 step verify_image
  [[ $output == *"sha256 of the OS image is"* ]]
}

@test "refuses a truncated OS image" {
  media
  truncate -s 1000000 "$EMTS_RUN/media/os-image.raw.zst"
  run -1 step verify_image
  [[ $output == *"size of the OS image is 1000000"* ]]
}

@test "refuses a flipped byte in HookOS" {
  media
  printf '\xff\x00' | dd of="$EMTS_RUN/esp/EFI/BOOT/BOOTX64.EFI" bs=1 seek=80 conv=notrunc status=none
  run -1 step verify_image
  [[ $output == *"sha256 of EFI/BOOT/BOOTX64.EFI on EMTS-BOOT is"* ]]
}

@test "refuses to install a disk again that the stick has noted, and takes any other" {
  media
  DISK=/dev/sda
  disk_serial() { echo S-sda; }
  touch "$CONFIG_FILE"
  run -0 step note_installed
  DISKS=$(disk sdb 200 sata | disks)
  run -0 step refuse_second_installation
  DISKS=$({ disk sda 200 sata; disk sdb 200 sata; } | disks)
  run -1 step refuse_second_installation
  [[ $output == *"this stick has installed the disk with serial number S-sda already"* ]]
}

@test "an end that nothing explains is a failure of its step" {
  run -1 bash -c 'source "$1"; unmount_all() { :; }; write_logs() { :; }
    trap "on_exit \$?" EXIT; STEP=grow-root; exit 3' _ "$BATS_TEST_DIRNAME/../install-os.sh"
  [[ $output == *"EMTS step=grow-root state=failed"*"ended with exit code 3"* ]]
  [[ $output == *"INSTALLATION FAILED"* ]]
}

@test "the summary tells result, step, reason, disk and warnings" {
  media
  STEP=grow-root DISK=/dev/sda WARNINGS=("one thing")
  run -0 summary failed "no room"
  jq -e '.result == "failed" and .step == "grow-root" and .reason == "no room" and .disk == "/dev/sda"
    and .warnings == ["one thing"] and .osImage.name == "test" and (.seconds | type) == "number"' <<<"$output"
}

# media() of a bundle with a test double.
media_with_double() {
  media
  jq '.testDouble = "refk3s v1"' "$EMTS_RUN/manifest.json" >"$EMTS_RUN/manifest.new"
  mv "$EMTS_RUN/manifest.new" "$EMTS_RUN/manifest.json"
}

DOUBLE_WARNING="this stick installs a test double instead of K3s: refk3s v1. The machine is for tests alone."

@test "find-media warns of a test double before it does anything else with the stick" {
  media_with_double
  cp "$EMTS_RUN/manifest.json" "$EMTS_RUN/media/manifest.json"
  check_manifest() { echo checked; }
  refuse_second_installation() { echo next; }
  list_disks() { stick sdz | disks; }
  echo "version: 1.0" >"$CONFIG_FILE"
  run -0 step find_media
  [ "$output" = $'checked\nEMTS warning: '"$DOUBLE_WARNING"$'\nnext' ]
}

@test "the last screen of an installation repeats the warning of a test double" {
  media_with_double
  warn_of_test_double
  run -0 final_screen_done
  [[ $output == *"INSTALLATION COMPLETE"*$'\n'"Warning: $DOUBLE_WARNING"$'\n'* ]]
}

@test "the summary names a test double, and warns of it" {
  media_with_double
  warn_of_test_double
  run -0 summary installed
  jq -e --arg warning "$DOUBLE_WARNING" '.testDouble == "refk3s v1" and .warnings == [$warning]' <<<"$output"
}

@test "a release is not warned of" {
  media
  run -0 step warn_of_test_double
  [ -z "$output" ]
  run -0 summary installed
  jq -e '.testDouble == null and .warnings == []' <<<"$output"
}

@test "a test double with an odd name is warned of, without what would control a console" {
  media
  for pair in '"":without a name' 'false:false' '"a\u001b[2J\u009bb\n":a?[2J?b?'; do
    jq ".testDouble = ${pair%%:*}" "$EMTS_RUN/media/manifest.json" >"$EMTS_RUN/manifest.json"
    run -0 step warn_of_test_double
    [[ $output == "EMTS warning: this stick installs a test double instead of K3s: ${pair#*:}. "* ]]
  done
}

@test "reads values of the OS image from the manifest, and tells which it lacks" {
  media
  [ "$(image_field compression)" = zstd ]
  [ "$(image_field rawSize compression)" = $'3000000\tzstd' ]
  lacking() { image_field compression k3sFlavour; }
  run -1 step lacking
  [[ $output == *"manifest.json on EMTS-OS has no osImage with compression k3sFlavour"* ]]
}

@test "copies the image to the target and reads it back" {
  media
  DISK="$BATS_TEST_TMPDIR/disk"
  truncate -s 4M "$DISK"
  run -0 copy_image yes
  cmp -n 3000000 "$DISK" "$BATS_TEST_TMPDIR/os.raw"
  run -0 verify_written 3000000
}

@test "reads back by XXH128 where the manifest has it" {
  media
  local manifest="$EMTS_RUN/manifest.json"
  jq --arg sum "$(xxhsum -H2 <"$BATS_TEST_TMPDIR/os.raw" | cut -d' ' -f1)" '.osImage.rawXxh128 = $sum' \
    "$manifest" >"$manifest.new"
  mv "$manifest.new" "$manifest"
  DISK="$BATS_TEST_TMPDIR/os.raw"
  run -0 verify_written 3000000
  printf 'xy' | dd of="$DISK" bs=1 seek=1234567 conv=notrunc status=none
  read_back() { verify_written 3000000; }
  run -1 step read_back
  [[ $output == *"Xxh128 of $DISK, read back, is"* ]]
}

@test "notices a disk that does not read back what was written" {
  media
  DISK="$BATS_TEST_TMPDIR/os.raw"
  printf 'xy' | dd of="$DISK" bs=1 seek=1234567 conv=notrunc status=none
  read_back() { verify_written 3000000; }
  run -1 step read_back
  [[ $output == *"Sha256 of $DISK, read back, is"* ]]
}

# Puts another image on the stick: the same content, compressed by the command from stdin to stdout.
image_by() { # compression, file, command...
  local compression=$1 file=$2
  shift 2
  "$@" <"$BATS_TEST_TMPDIR/os.raw" >"$EMTS_RUN/media/$file"
  jq --arg compression "$compression" --arg file "$file" --argjson size "$(stat -c %s "$EMTS_RUN/media/$file")" \
    '.osImage += {file: $file, compression: $compression, size: $size}' "$EMTS_RUN/media/manifest.json" >"$EMTS_RUN/manifest.json"
}

@test "copies images of all compressions" {
  media
  DISK="$BATS_TEST_TMPDIR/disk"
  for image in "gzip gz gzip -1" "xz xz xz -0" "none raw cat" "zstd zst zstd -q"; do
    read -r compression suffix command <<<"$image"
    # shellcheck disable=SC2086 # a command with its options
    image_by "$compression" "os-image.$suffix" $command
    for sparse in "" yes; do
      truncate -s 0 "$DISK"
      truncate -s 4M "$DISK"
      run -0 copy_image "$sparse"
      cmp -n 3000000 "$DISK" "$BATS_TEST_TMPDIR/os.raw"
    done
  done
}

@test "an image that does not open any more is told by the step, not by the shell's end" {
  media
  rm "$(image_file)"
  DISK="$BATS_TEST_TMPDIR/disk"
  truncate -s 4M "$DISK"
  zero_target() { return 1; }
  strictly() { set -u && write_image; }
  run -1 step strictly
  [[ $output == *"the OS image could not be written to $DISK: "*"os-image.raw.zst: No such file or directory"* ]]
}

@test "the reason of a write that failed is the last that its program said" {
  media
  truncate -s 1000000 "$(image_file)"
  DISK="$BATS_TEST_TMPDIR/disk"
  truncate -s 4M "$DISK"
  zero_target() { return 1; }
  run -1 step write_image
  [[ $output == *"the OS image could not be written to $DISK: installer: reading the image at byte"* ]]
}

@test "notices that an image ends too early, whatever its compression" {
  media
  DISK="$BATS_TEST_TMPDIR/disk"
  truncate -s 4M "$DISK"
  for image in "gzip gz gzip -1" "xz xz xz -0" "zstd zst zstd -q"; do
    read -r compression suffix command <<<"$image"
    # shellcheck disable=SC2086 # a command with its options
    image_by "$compression" "os-image.$suffix" $command
    truncate -s 1000000 "$EMTS_RUN/media/os-image.$suffix"
    run ! copy_image ""
  done
}

@test "knows how far an image has been read, whatever its compression" {
  media
  for image in "gzip gz gzip -1" "xz xz xz -0" "none raw cat" "zstd zst zstd -q"; do
    read -r compression suffix command <<<"$image"
    # shellcheck disable=SC2086 # a command with its options
    image_by "$compression" "os-image.$suffix" $command
    exec {fd}<"$EMTS_RUN/media/os-image.$suffix"
    [ "$(position_in "$fd")" = 0 ]
    if [ "$compression" = zstd ]; then
      truncate -s 4M "$BATS_TEST_TMPDIR/disk"
      "$INSTALLER" write-image "$BATS_TEST_TMPDIR/disk" <&"$fd"
    else
      $(decompressor "$compression") <&"$fd" | cmp - "$BATS_TEST_TMPDIR/os.raw"
    fi
    [ "$(position_in "$fd")" = "$(stat -c %s "$EMTS_RUN/media/os-image.$suffix")" ]
    exec {fd}<&-
  done
}

@test "shows progress in percent and MB/s while the image is written" {
  media
  uptime_cs() { echo 1099; }
  mkfifo "$BATS_TEST_TMPDIR/fifo"
  exec {pipe}< <(exec cat "$BATS_TEST_TMPDIR/fifo" 3>&-)
  writer=$!
  # The first line ends the writer, which is all that the progress is shown for.
  say() {
    echo "$1"
    kill "$writer"
  }
  exec {fd}<"$BATS_TEST_TMPDIR/os.raw"
  dd bs=1 count=47 <&"$fd" of=/dev/null status=none
  began=1000
  run -0 show_progress "$pipe" "$fd" 100 500000000
  [ "$output" = "EMTS progress: writing 47 % (235 MB/s)" ]
}

@test "refuses an image of an unknown compression before a disk is chosen" {
  media
  image_by bzip2 os-image.raw.bz2 cat
  run -1 step verify_image
  [[ $output == *"cannot decompress 'bzip2'"* ]]
}

# validate_config with this text as config-file.
validate() { # text
  media
  echo "$1" >"$CONFIG_FILE"
  say() { printf '%s\n' "$@"; }
}

@test "validate-config keeps the configuration without its secrets for the logs" {
  validate "secret: hunter2"
  run -0 step validate_config
  [ "$(jq -r .secret "$REDACTED")" = "(hidden)" ]
}

@test "validate-config names no version where nobody knows the K3s of the OS image" {
  validate "secret: hunter2"
  jq 'del(.osImage.k3sVersion)' "$MANIFEST" >"$MANIFEST.new" && mv "$MANIFEST.new" "$MANIFEST"
  run -0 step validate_config
  [ -z "$(k3s_version)" ]
}

@test "validate-config keeps nothing of a config-file that is refused, and shows why" {
  validate "INVALID hunter2"
  run -1 step validate_config
  [[ $output == *"refused the config-file with exit code 1: error[E001]"* ]]
  [ ! -s "$REDACTED" ]
}

@test "the reason of a refused config-file is its first error, not a warning before it" {
  validate "INVALID"
  sed -i 's/^  echo "error/  echo "warning[W]: first" >\&2\n&/' "$EMTS_BOOTSTRAPPER"
  run -1 step validate_config
  [[ $output == *"warning[W]: first"*"refused the config-file with exit code 1: error[E001]"* ]]
}

@test "a configuration that cannot be shown is a warning" {
  validate "secret: hunter2"
  sed -i "s/then echo '{.*exit; fi/then exit 3; fi/" "$EMTS_BOOTSTRAPPER"
  run -0 step validate_config
  [[ $output == *"EMTS warning: the configuration cannot be saved among the logs"* ]]
}

# configure_os on a folder in place of the root partition.
configured() {
  media
  mkdir -p "$TARGET"
  DISK="$BATS_TEST_TMPDIR/disk"
  root_partition() { echo 2; }
  # What it is called with, instead of the real tool.
  printf '#!/bin/sh\necho "$@" >"%s/call"\n' "$BATS_TEST_TMPDIR" >"$EMTS_BOOTSTRAPPER"
}

@test "configure-os makes the whole system by one command" {
  configured
  run -0 step configure_os
  [ "$(<"$BATS_TEST_TMPDIR/call")" = \
    "install --config-file $CONFIG_FILE --root $TARGET --k3s-version $(jq -r .osImage.k3sVersion "$MANIFEST")" ]
}

@test "configure-os fails when the operating system cannot be configured" {
  configured
  printf '#!/bin/sh\necho "error: no room" >&2\nexit 3\n' >"$EMTS_BOOTSTRAPPER"
  run -1 step configure_os
  [[ $output == *"could not configure the operating system (exit code 3): error: no room"* ]]
}

@test "configure-os shows what a program of the OS image warns of" {
  configured
  printf '#!/bin/sh\necho "warning: files[0]: Unknown key" >&2\n' >"$EMTS_BOOTSTRAPPER"
  run -0 step configure_os
  [[ $output == *"EMTS warning: files[0]: Unknown key"* ]]
}

@test "configure-kubernetes fails without a k8s.cfg" {
  configured
  run -1 step configure_kubernetes
  [[ $output == *"wrote no k8s.cfg"* ]]
}

@test "configure-kubernetes ends all writing to the target" {
  configured
  mkdir -p "$TARGET/etc/cloud/cloud.cfg.d"
  echo "#cloud-config" >"$TARGET/etc/cloud/cloud.cfg.d/k8s.cfg"
  umount() { echo "umount $*"; }
  run -0 step configure_kubernetes
  [[ $output == *"umount --recursive $TARGET"* ]]
}

# write_logs to a folder in place of the stick's partition.
logs() {
  media
  mountpoint() { :; }
  flush_conf() { :; }
  echo "a line" >"$LOG"
  STEP=grow-root
}

@test "logs, summary and configuration are saved, also after a failure" {
  logs
  echo '{"version": "1.0"}' >"$REDACTED"
  run -0 write_logs failed "no room"
  local folder
  folder=$(compgen -G "$CONF/logs/*")
  [ "$(jq -r .reason "$folder/summary.json")" = "no room" ]
  [ "$(jq -r .version "$folder/config-file.json")" = 1.0 ]
  [ "$(<"$folder/install.log")" = "a line" ]
}

@test "the logs of a failure before the config-file was validated have no configuration" {
  logs
  run -0 write_logs failed "not valid"
  [ -e "$(compgen -G "$CONF/logs/*")/install.log" ]
  ! compgen -G "$CONF/logs/*/config-file.json"
}

@test "a full stick is told and does not end the installation" {
  logs
  note_installed() { :; }
  cp() { return 1; }
  run -0 step save_logs
  [[ $output == *"EMTS warning: the logs could not be saved"* ]]
}
