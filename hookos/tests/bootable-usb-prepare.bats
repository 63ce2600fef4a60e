#!/usr/bin/env bats
# bootable-usb-prepare.sh: arguments, refusals, and an image file read back with other tools.

bats_require_minimum_version 1.5.0

SCRIPT="$BATS_TEST_DIRNAME/../usb/bootable-usb-prepare.sh"

setup_file() {
  source "$BATS_TEST_DIRNAME/bundle.bash"
  make_bundle "$BATS_FILE_TMPDIR"
}

setup() {
  source "$BATS_TEST_DIRNAME/bundle.bash"
  PATH="$PATH:/usr/sbin:/sbin"
  export TMPDIR=$BATS_TEST_TMPDIR MTOOLS_SKIP_CHECK=1
  ARCHIVE="$BATS_FILE_TMPDIR/usb-bootable-files.tar.gz"
  CONFIG="$BATS_FILE_TMPDIR/config-file"
  IMAGE="$BATS_TEST_TMPDIR/usb.img"
}

# Makes an archive of the bundle's files after a command has changed them in the current folder.
altered_archive() { # command...
  cp -r "$BATS_FILE_TMPDIR/files" "$BATS_TEST_TMPDIR/files"
  (cd "$BATS_TEST_TMPDIR/files" && "$@" && tar -czf ../altered.tar.gz .)
  ARCHIVE="$BATS_TEST_TMPDIR/altered.tar.gz"
}

# The first sector and the number of sectors of a partition of the image.
partition() { # number
  sfdisk --json "$IMAGE" | jq -r --argjson n "$1" '.partitiontable.partitions[$n - 1] | "\(.start) \(.size)"'
}

partition_to_file() { # number, file
  local start size
  read -r start size < <(partition "$1")
  dd if="$IMAGE" of="$2" bs=512 skip="$start" count="$size" status=none
}

refusal() { # lsblk's JSON, disks of the running system, force
  source "$SCRIPT"
  device_refusal "${2:-}" "${3:-}" <<<"$1"
}

disk() { # jq expression that changes an ordinary stick
  jq -n '{blockdevices: [{name: "sdb", path: "/dev/sdb", type: "disk", size: 8000000000, ro: false, rm: true, hotplug: true,
    tran: "usb", model: "Flash Disk", serial: "123", mountpoints: [null],
    children: [{name: "sdb1", path: "/dev/sdb1", type: "part", mountpoints: [null]}]}]} | .blockdevices[0] |= ('"$1"')'
}

@test "help lists every exit code" {
  run -0 "$SCRIPT" --help
  for code in 0 1 2 3 4 5 6 7 8 9; do [[ $output == *"  $code  "* ]]; done
}

@test "refuses a wrong number of arguments with exit code 2" {
  run -2 "$SCRIPT" "$IMAGE" "$ARCHIVE"
  [[ $output == *"three arguments"* ]]
}

@test "refuses an unknown option with exit code 2" {
  run -2 "$SCRIPT" --nope "$IMAGE" "$ARCHIVE" "$CONFIG"
  [[ $output == *"--nope"* ]]
}

@test "refuses a size that is none with exit code 2" {
  run -2 "$SCRIPT" --size big "$IMAGE" "$ARCHIVE" "$CONFIG"
}

@test "refuses an archive that does not exist" {
  run -2 "$SCRIPT" "$IMAGE" /nonexistent.tar.gz "$CONFIG"
  [ ! -e "$IMAGE" ]
}

@test "refuses a device that does not exist" {
  run -6 "$SCRIPT" --yes /dev/nonexistent "$ARCHIVE" "$CONFIG"
  [[ $output == *"no device /dev/nonexistent"* ]]
}

@test "refuses a folder as target" {
  run -6 "$SCRIPT" --yes "$BATS_TEST_TMPDIR" "$ARCHIVE" "$CONFIG"
}

@test "refuses one of the inputs as target" {
  run -6 "$SCRIPT" --yes "$CONFIG" "$ARCHIVE" "$CONFIG"
  grep -q version "$CONFIG"
}

@test "refuses a damaged file in the archive with exit code 4 and writes nothing" {
  altered_archive truncate -s 1000 hookos.efi
  run -4 "$SCRIPT" --yes "$IMAGE" "$ARCHIVE" "$CONFIG"
  [[ $output == *checksum* ]]
  [ ! -e "$IMAGE" ]
}

@test "refuses an archive without a manifest" {
  altered_archive rm manifest.json
  run -4 "$SCRIPT" --yes "$IMAGE" "$ARCHIVE" "$CONFIG"
  [[ $output == *manifest.json* ]]
}

@test "refuses a file that is no archive" {
  echo text >"$BATS_TEST_TMPDIR/text.tar.gz"
  run -4 "$SCRIPT" --yes "$IMAGE" "$BATS_TEST_TMPDIR/text.tar.gz" "$CONFIG"
}

@test "shows the diagnostics of an invalid config-file and exits with 5 before anything is written" {
  echo "INVALID" >"$BATS_TEST_TMPDIR/config-file"
  run -5 "$SCRIPT" --yes "$IMAGE" "$ARCHIVE" "$BATS_TEST_TMPDIR/config-file"
  [[ $output == *"error[E001]"*":1:1:"* ]]
  [ ! -e "$IMAGE" ]
}

@test "refuses a size that is too small for the content" {
  run -6 "$SCRIPT" --size 40M "$IMAGE" "$ARCHIVE" "$CONFIG"
  [[ $output == *"too small"* ]]
}

@test "dry run makes all checks and writes nothing" {
  run -0 "$SCRIPT" --dry-run "$IMAGE" "$ARCHIVE" "$CONFIG"
  [ ! -e "$IMAGE" ]
}

@test "does not overwrite an existing file that the user has not confirmed" {
  echo precious >"$IMAGE"
  run -7 "$SCRIPT" "$IMAGE" "$ARCHIVE" "$CONFIG" <<<"no"
  [ "$(cat "$IMAGE")" = precious ]
}

@test "overwrites an existing file after its name has been typed" {
  echo old >"$IMAGE"
  run -0 "$SCRIPT" "$IMAGE" "$ARCHIVE" "$CONFIG" <<<"$IMAGE"
  [ "$(stat -c %s "$IMAGE")" -gt 1000000 ]
}

@test "makes a GPT with the three partitions in order" {
  run -0 "$SCRIPT" "$IMAGE" "$ARCHIVE" "$CONFIG"
  run -0 bash -c "sfdisk --json '$IMAGE' | jq -r '.partitiontable | .label, (.partitions[] | .name)'"
  [ "$output" = $'gpt\nEMTS-BOOT\nEMTS-OS\nEMTS-CONF' ]
  run -0 sgdisk --verify "$IMAGE"
  [[ $output == *"No problems found"* ]]
  sfdisk --json "$IMAGE" | jq -e '.partitiontable.partitions[0].type == "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"'
}

@test "boot partition is FAT32 with nothing but the HookOS loader" {
  "$SCRIPT" "$IMAGE" "$ARCHIVE" "$CONFIG"
  partition_to_file 1 "$BATS_TEST_TMPDIR/esp"
  [ "$(blkid -p -o value -s VERSION "$BATS_TEST_TMPDIR/esp")" = FAT32 ]
  [ "$(blkid -p -o value -s LABEL "$BATS_TEST_TMPDIR/esp")" = EMTS-BOOT ]
  mcopy -i "$BATS_TEST_TMPDIR/esp" ::/EFI/BOOT/BOOTX64.EFI "$BATS_TEST_TMPDIR/loader"
  cmp "$BATS_TEST_TMPDIR/loader" "$BATS_FILE_TMPDIR/files/hookos.efi"
  [ "$(mdir -b -/ -i "$BATS_TEST_TMPDIR/esp" :: | grep -vc '/$')" = 1 ]
  fsck.vfat -n "$BATS_TEST_TMPDIR/esp"
}

@test "OS partition is a clean ext4 with the image, the manifest, the sums and the tool" {
  "$SCRIPT" "$IMAGE" "$ARCHIVE" "$CONFIG"
  partition_to_file 2 "$BATS_TEST_TMPDIR/os"
  e2fsck -fn "$BATS_TEST_TMPDIR/os"
  [ "$(blkid -p -o value -s LABEL "$BATS_TEST_TMPDIR/os")" = EMTS-OS ]
  for file in manifest.json SHA256SUMS os-image.raw.zst cluster-bootstrapper; do
    debugfs -R "dump /$file $BATS_TEST_TMPDIR/$file" "$BATS_TEST_TMPDIR/os"
    cmp "$BATS_TEST_TMPDIR/$file" "$BATS_FILE_TMPDIR/files/$file"
  done
}

@test "configuration partition has the config-file under its exact name and a folder for logs" {
  "$SCRIPT" "$IMAGE" "$ARCHIVE" "$CONFIG"
  partition_to_file 3 "$BATS_TEST_TMPDIR/conf"
  [ "$(blkid -p -o value -s LABEL "$BATS_TEST_TMPDIR/conf")" = EMTS-CONF ]
  [ "$(mdir -b -i "$BATS_TEST_TMPDIR/conf" :: | sort)" = $'::/config-file\n::/logs/' ]
  mcopy -i "$BATS_TEST_TMPDIR/conf" ::/config-file "$BATS_TEST_TMPDIR/copy"
  cmp "$BATS_TEST_TMPDIR/copy" "$CONFIG"
}

@test "image file is sparse and of the size asked for" {
  "$SCRIPT" --size 2G "$IMAGE" "$ARCHIVE" "$CONFIG"
  [ "$(stat -c %s "$IMAGE")" = 2147483648 ]
  [ "$(du -k "$IMAGE" | cut -f1)" -lt 40000 ]
  sgdisk --verify "$IMAGE" | grep -q "No problems found"
}

@test "an ordinary user can make an image file" {
  if [ "$(id -u)" != 0 ]; then skip "the other tests run as an ordinary user already"; fi
  dir=$(mktemp -d /var/tmp/emts-bats.XXXXXX)
  cp "$SCRIPT" "$ARCHIVE" "$CONFIG" "$dir"
  chown -R nobody "$dir"
  run setpriv --reuid=nobody --regid=nogroup --clear-groups env TMPDIR="$dir" \
    "$dir/bootable-usb-prepare.sh" "$dir/usb.img" "$dir/usb-bootable-files.tar.gz" "$dir/config-file"
  size=$(stat -c %s "$dir/usb.img")
  rm -rf "$dir"
  [ "$status" = 0 ]
  [ "$size" -gt 1000000 ]
}

@test "leaves neither temporary folder nor half-made image after a failure" {
  run -6 "$SCRIPT" --size 40M "$IMAGE" "$ARCHIVE" "$CONFIG"
  [ -z "$(ls -A "$BATS_TEST_TMPDIR")" ]
}

@test "prints the result as JSON, on success and on refusal" {
  run -0 --separate-stderr "$SCRIPT" --json "$IMAGE" "$ARCHIVE" "$CONFIG"
  jq -e '.result == "ok" and .verified and (.partitions | length) == 3' <<<"$output"
  run -6 --separate-stderr "$SCRIPT" --json --yes "$BATS_TEST_TMPDIR" "$ARCHIVE" "$CONFIG"
  jq -e '.result == "failed" and .exitCode == 6 and (.targetChanged | not)' <<<"$output"
}

@test "nothing of the config-file appears in the output" {
  run -0 bash -x "$SCRIPT" --json "$IMAGE" "$ARCHIVE" "$CONFIG"
  [[ $output != *hunter2* ]]
}

@test "a stick is not refused" {
  [ -z "$(refusal "$(disk .)")" ]
}

@test "refuses a partition" {
  [[ $(refusal "$(disk '.type = "part"')") == *"a partition"* ]]
}

@test "refuses a read-only device" {
  [[ $(refusal "$(disk '.ro = true')") == read-only ]]
}

@test "refuses the disk of the running system, even with --force" {
  [[ $(refusal "$(disk .)" $'/dev/sdb1\n/dev/sdb' yes) == *"running system"* ]]
}

@test "refuses a device with a mounted partition, even with --force" {
  [[ $(refusal "$(disk '.children[0].mountpoints = ["/media/x"]')" "" yes) == *"/media/x"* ]]
}

@test "refuses a device in use by swap" {
  [[ $(refusal "$(disk '.children[0].mountpoints = ["[SWAP]"]')") == *SWAP* ]]
}

@test "refuses a device in use by LVM" {
  [[ $(refusal "$(disk '.children[0].children = [{path: "/dev/mapper/vg-lv", type: "lvm", mountpoints: [null]}]')") == *"vg-lv (lvm)"* ]]
}

@test "refuses a disk that is not removable unless forced" {
  internal=$(disk '.rm = false | .hotplug = false | .tran = "sata"')
  [[ $(refusal "$internal") == *"--force"* ]]
  [ -z "$(refusal "$internal" "" yes)" ]
}
