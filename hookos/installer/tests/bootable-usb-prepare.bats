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

# Makes an archive with another manifest, and the sum of that.
archive_with_manifest() { # jq filter
  rm -rf "$BATS_TEST_TMPDIR/files"
  altered_archive bash -c '
    jq "$1" manifest.json >m && mv m manifest.json &&
      sed -i "/manifest.json/d" SHA256SUMS && sha256sum manifest.json >>SHA256SUMS' bash "$1"
}

archive_with_double() { archive_with_manifest ".testDouble = $1"; } # JSON

# The first sector and the number of sectors of a partition of the image.
partition() { # number
  sfdisk --json "$IMAGE" | jq -r --argjson n "$1" '.partitiontable.partitions[$n - 1] | "\(.start) \(.size)"'
}

partition_to_file() { # number, file
  local start size
  read -r start size < <(partition "$1")
  dd if="$IMAGE" of="$2" bs=512 skip="$start" count="$size" status=none
}

refusal() { # lsblk's JSON, disks of the running system, force, files behind loop devices, card type
  source "$SCRIPT"
  device_refusal "${2:-}" "${3:-}" "${4:-}" "${5:-}" <<<"$1"
}

# Runs the script as for a device, on the file $IMAGE: what only a device can answer is answered here, and a
# command can be given that changes the script's functions first.
as_device() { # command, arguments of the script
  SCRIPT=$SCRIPT bash -c '
    source "$SCRIPT"
    check_device() { :; }
    check_use() { :; }
    file_systems() { echo "a file"; }
    blockdev() { if [[ $1 == --getsize64 ]]; then stat -c %s "$2"; fi; }
    dd() {
      local argument arguments=()
      for argument; do [[ $argument == ?flag=direct ]] || arguments+=("$argument"); done
      command dd "${arguments[@]}"
    }
    check_target() { IS_DEVICE=yes; }
    lsblk() { echo "a file"; }
    eval "$1"
    shift
    main "$@"' bash "$@"
}

# A file as large as a stick with something on it, and not a whole number of MiB.
old_stick() {
  truncate -s $((220 * 1024 * 1024 + 512 * 7)) "$IMAGE"
  sgdisk --new=1:1M:+40M --typecode=1:EF00 --change-name=1:OLD "$IMAGE"
  mkfs.vfat -F 32 -n OLD --offset 2048 "$IMAGE" 40960
}

# Nothing that a firmware could start: no partition table at either end, no boot sector where the ESP begins.
does_not_boot() {
  [ -z "$(blkid -p -o value -s PTTYPE "$IMAGE")" ] || cmp --bytes=1M --ignore-initial=1M:0 "$IMAGE" /dev/zero
  ! tail -c 512 "$IMAGE" | grep -q 'EFI PART' || cmp --bytes=1M --ignore-initial=1M:0 "$IMAGE" /dev/zero
}

# Runs a command in a process group of its own, so that a tool in it can interrupt all as Ctrl-C does.
interruptible() { env --default-signal=INT setsid --wait "$@"; }

# Puts a program before the real one in PATH.
replace_tool() { # name, shell script
  mkdir -p "$BATS_TEST_TMPDIR/bin"
  printf '#!/bin/sh\n%s\n' "$2" >"$BATS_TEST_TMPDIR/bin/$1"
  chmod +x "$BATS_TEST_TMPDIR/bin/$1"
  PATH="$BATS_TEST_TMPDIR/bin:$PATH"
}

disk() { # jq expression that changes an ordinary stick
  jq -n '{blockdevices: [{name: "sdb", path: "/dev/sdb", type: "disk", size: 8000000000, ro: false, rm: true, hotplug: true,
    tran: "usb", model: "Flash Disk", serial: "123", mountpoints: [null],
    children: [{name: "sdb1", path: "/dev/sdb1", type: "part", mountpoints: [null]}]}]} | .blockdevices[0] |= ('"$1"')'
}

@test "a folder for temporary files that is not there is named" {
  TMPDIR="$BATS_TEST_TMPDIR/no such folder" run "$SCRIPT" "$IMAGE" "$ARCHIVE" "$CONFIG"
  [ "$status" -eq 3 ]
  [[ $output == *"no such folder is no folder that can be written to; TMPDIR names another one"* ]]
  [ ! -e "$IMAGE" ]
}

@test "help lists every exit code" {
  run -0 "$SCRIPT" --help
  for code in 0 1 2 3 4 5 6 7 8 9 130; do [[ $output == *"  $code  "* ]]; done
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

@test "checks the config-file without a version where nobody knows the K3s of the OS image" {
  archive_with_manifest 'del(.osImage.k3sVersion)'
  run -0 "$SCRIPT" --yes --dry-run "$IMAGE" "$ARCHIVE" "$CONFIG"
  [[ $output == *"Kubernetes not known"* ]]
}

@test "refuses an archive with a test double, names it and writes nothing" {
  archive_with_double '"refk3s v1.33.13+refk3s1"'
  run -4 "$SCRIPT" --yes --force "$IMAGE" "$ARCHIVE" "$CONFIG"
  [[ $output == *"is refused: it holds a test double instead of K3s: refk3s v1.33.13+refk3s1. "*"--allow-reference allows that"* ]]
  [ "$(ls "$BATS_TEST_TMPDIR")" = $'altered.tar.gz\nfiles' ]
}

@test "a dry run refuses an archive with a test double, too" {
  archive_with_double '"refk3s"'
  run -4 "$SCRIPT" --dry-run "$IMAGE" "$ARCHIVE" "$CONFIG"
  [[ $output == *"it holds a test double instead of K3s: refk3s. "* ]]
}

@test "an archive with a test double is refused before a device is asked for or changed" {
  archive_with_double '"refk3s"'
  old_stick
  before=$(sha256sum <"$IMAGE")
  run -4 as_device : "$IMAGE" "$ARCHIVE" "$CONFIG" <<<"$IMAGE"
  [[ $output != *"will be lost"* ]]
  [ "$(sha256sum <"$IMAGE")" = "$before" ]
}

@test "the refusal of a test double is in the JSON result" {
  archive_with_double '"refk3s"'
  run -4 --separate-stderr "$SCRIPT" --json "$IMAGE" "$ARCHIVE" "$CONFIG"
  jq -e '.exitCode == 4 and (.targetChanged | not) and (.reason | contains("test double instead of K3s: refk3s."))' <<<"$output"
}

DOUBLE_WARNING="WARNING: this stick installs a test double instead of K3s: refk3s v1. The machine is for tests alone."

@test "writes an archive with a test double when that is allowed, and warns in the plan and at the end" {
  archive_with_double '"refk3s v1"'
  run -0 "$SCRIPT" --allow-reference "$IMAGE" "$ARCHIVE" "$CONFIG"
  [[ $output == *"Partitions: "*$'\n'"$DOUBLE_WARNING"$'\n'"Making the file systems"*"is ready."$'\n'"$DOUBLE_WARNING" ]]
  partition_to_file 2 "$BATS_TEST_TMPDIR/os"
  debugfs -R "cat /manifest.json" "$BATS_TEST_TMPDIR/os" | jq -e '.testDouble == "refk3s v1"'
}

@test "warns of a test double before the target's name has to be typed" {
  archive_with_double '"refk3s v1"'
  old_stick
  run -7 as_device : --allow-reference "$IMAGE" "$ARCHIVE" "$CONFIG" <<<no
  [[ $output == *"$DOUBLE_WARNING"*"will be lost"* ]]
}

@test "a dry run with a test double that is allowed warns of it and writes nothing" {
  archive_with_double '"refk3s v1"'
  run -0 "$SCRIPT" --allow-reference --dry-run "$IMAGE" "$ARCHIVE" "$CONFIG"
  [[ $output == *"$DOUBLE_WARNING"*"nothing was written (--dry-run)."$'\n'"$DOUBLE_WARNING" ]]
  [ ! -e "$IMAGE" ]
}

@test "the JSON result names the test double" {
  archive_with_double '"refk3s v1"'
  run -0 --separate-stderr "$SCRIPT" --allow-reference --json --dry-run "$IMAGE" "$ARCHIVE" "$CONFIG"
  jq -e '.result == "ok" and .testDouble == "refk3s v1"' <<<"$output"
}

@test "an archive without a test double says nothing of one, with and without --allow-reference" {
  for option in --verify --allow-reference; do
    run -0 --separate-stderr "$SCRIPT" "$option" --json --dry-run "$IMAGE" "$ARCHIVE" "$CONFIG"
    [[ $stderr != *double* ]]
    jq -e '.testDouble == null' <<<"$output"
  done
}

@test "a test double that is null is none" {
  archive_with_double null
  run -0 "$SCRIPT" --dry-run "$IMAGE" "$ARCHIVE" "$CONFIG"
}

@test "a test double without a name is refused all the same" {
  archive_with_double '""'
  run -4 "$SCRIPT" --dry-run "$IMAGE" "$ARCHIVE" "$CONFIG"
  [[ $output == *"it holds a test double instead of K3s: without a name. "* ]]
}

@test "a test double that is no string is refused and shown as JSON" {
  for value in false 0 '[]' '{"name":"x\u001by"}'; do
    archive_with_double "$value"
    run -4 "$SCRIPT" --dry-run "$IMAGE" "$ARCHIVE" "$CONFIG"
    [[ $output == *"it holds a test double instead of K3s: $value. "* ]]
  done
}

# Escape, a C1 control sequence introducer, a line end, a backspace, right-to-left override, line separator.
CONTROLS='\u001b[2J\u009b1A\n\b\u202e\u2028'

@test "what controls a terminal or the order of the text is not shown of a test double's name" {
  archive_with_double "\"ref${CONTROLS}k3s ä\""
  run -4 "$SCRIPT" --dry-run "$IMAGE" "$ARCHIVE" "$CONFIG"
  [[ $output == *"instead of K3s: ref?[2J?1A????k3s ä. "* ]]
}

@test "the name of a test double is not shown beyond 200 characters" {
  archive_with_double "\"$(printf 'x%.0s' {1..100000})\""
  run -4 "$SCRIPT" --dry-run "$IMAGE" "$ARCHIVE" "$CONFIG"
  [[ $output == *"instead of K3s: $(printf 'x%.0s' {1..200}). "* ]]
}

@test "the plan shows nothing of the manifest that controls a terminal" {
  archive_with_manifest ".profile = \"pro${CONTROLS}\" | .osImage.name = \"na${CONTROLS}\""
  run -0 "$SCRIPT" --dry-run "$IMAGE" "$ARCHIVE" "$CONFIG"
  [[ $output == *"profile pro?[2J?1A????, OS image na?[2J?1A????, Kubernetes v1.33.13+test"* ]]
}

@test "refuses an OS image's name that is more than a plain file name" {
  for name in '..' 'a b' 'x\u001b' '.*'; do
    archive_with_manifest ".osImage.file = \"$name\""
    run -4 "$SCRIPT" --dry-run "$IMAGE" "$ARCHIVE" "$CONFIG"
    [[ $output == *"names no OS image"* ]]
  done
}

# Archive, config-file and directory for temporary files by names that some tool takes for something else.
odd_name() { # archive, config-file, directory, target
  cd "$BATS_TEST_TMPDIR"
  mkdir -- "$3"
  cp -- "$ARCHIVE" "./$1"
  cp -- "$CONFIG" "./$2"
  TMPDIR=$3 run -0 "$SCRIPT" -- "$4" "$1" "$2"
  IMAGE="./$4"
  partition_to_file 2 os
  [ "$(debugfs -R "cat /manifest.json" os | jq -r .id)" = "$(jq -r .id "$BATS_FILE_TMPDIR/files/manifest.json")" ]
  partition_to_file 3 conf
  mcopy -i conf ::/config-file read-back
  cmp read-back "$CONFIG"
  [ -z "$(ls -A -- "./$3")" ]
}

@test "takes names with a colon, which are no other machine's and no drive's" {
  odd_name x:y.tar.gz c:conf c:tmp h:out.img
}

@test "takes names that begin with a dash, which are no options" {
  odd_name -arch.tar.gz -conf -tmp -out.img
}

@test "takes names with what marks an offset for mtools and for mke2fs" {
  odd_name a@@1.tar.gz 'conf@@512' 'tmp@@1M' 'out@@1M?offset=512.img'
}

@test "says how a file is given whose name looks like an option" {
  run -2 "$SCRIPT" "$IMAGE" "$ARCHIVE" -conf
  [[ $output == *"unknown option -conf (a file of this name is given as ./-conf)"* ]]
}

@test "makes no file in /dev, however its name is written" {
  ln -s /dev/emts-not-there "$BATS_TEST_TMPDIR/link"
  cd /dev
  for target in emts-not-there ./emts-not-there ../dev/emts-not-there "$BATS_TEST_TMPDIR/link"; do
    run -6 "$SCRIPT" --yes "$target" "$ARCHIVE" "$CONFIG"
    [[ $output == *"there is no device $target"* ]]
  done
  [ ! -e /dev/emts-not-there ]
}

@test "shows nothing of the names in SHA256SUMS that controls a terminal" {
  altered_archive bash -c 'printf "%064d  a\e[2Jb\n" 0 >>SHA256SUMS'
  run -4 "$SCRIPT" --dry-run "$IMAGE" "$ARCHIVE" "$CONFIG"
  [[ $output == *'a^[[2Jb'* && $output != *$'\e'* ]]
}

@test "refuses an archive that has a link in a file's place" {
  altered_archive bash -c 'mv manifest.json other && ln -s other manifest.json'
  run -4 "$SCRIPT" --dry-run "$IMAGE" "$ARCHIVE" "$CONFIG"
  [[ $output == *"has no manifest.json"* ]]
}

@test "runs no cluster-bootstrapper of the archive where another one is beside the script" {
  mkdir "$BATS_TEST_TMPDIR/release"
  cp "$SCRIPT" "$BATS_FILE_TMPDIR/files/cluster-bootstrapper" "$BATS_TEST_TMPDIR/release/"
  altered_archive bash -c '
    printf "#!/bin/sh\ntouch %s\n" "$BATS_TEST_TMPDIR/ran" >cluster-bootstrapper
    sed -i "/cluster-bootstrapper/d" SHA256SUMS && sha256sum cluster-bootstrapper >>SHA256SUMS'
  run -4 "$BATS_TEST_TMPDIR/release/bootable-usb-prepare.sh" --dry-run "$IMAGE" "$ARCHIVE" "$CONFIG"
  [[ $output == *"is not the one beside this script, and is not run"* ]]
  [ ! -e "$BATS_TEST_TMPDIR/ran" ]
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

@test "a BIOS finds a program in the first sector that says that the stick needs UEFI" {
  cat >"$BATS_TEST_TMPDIR/bios.s" <<'ASSEMBLY'
.code16
xor %ax,%ax
mov %ax,%ds
cld
mov $0x7c00+text,%si
next: lodsb
test %al,%al
jz halt
mov $0x0e,%ah
mov $7,%bx
int $0x10
jmp next
halt: hlt
jmp halt
.set text, .
ASSEMBLY
  as --32 -o "$BATS_TEST_TMPDIR/bios.o" "$BATS_TEST_TMPDIR/bios.s"
  objcopy -O binary -j .text "$BATS_TEST_TMPDIR/bios.o" "$BATS_TEST_TMPDIR/bios.bin"
  run -0 "$SCRIPT" "$IMAGE" "$ARCHIVE" "$CONFIG"
  size=$(stat -c %s "$BATS_TEST_TMPDIR/bios.bin")
  cmp --bytes="$size" "$BATS_TEST_TMPDIR/bios.bin" "$IMAGE"
  run -0 bash -c "tail -c +$((size + 1)) '$IMAGE' | head -c $((440 - size)) | tr -d '\r\0'"
  [ "${lines[0]}" = "This USB drive starts by UEFI only." ]
  for line in "${lines[@]}"; do [ "${#line}" -le 80 ]; done
  run -0 sgdisk --verify "$IMAGE"
  [[ $output == *"No problems found"* ]]
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

@test "no shell reads the name of the temporary folder or of the config-file" {
  TMPDIR="$BATS_TEST_TMPDIR/a 'b' \$(touch made)"
  CONFIG="$BATS_TEST_TMPDIR/c 'd' \$(touch made)"
  mkdir "$TMPDIR" && cp "$BATS_FILE_TMPDIR/config-file" "$CONFIG"
  cd "$BATS_TEST_TMPDIR"
  "$SCRIPT" "$IMAGE" "$ARCHIVE" "$CONFIG"
  [ -z "$(find "$BATS_TEST_TMPDIR" -name made)" ]
  [ -z "$(ls -A "$TMPDIR")" ]
  partition_to_file 3 "$BATS_TEST_TMPDIR/conf"
  mcopy -i "$BATS_TEST_TMPDIR/conf" ::/config-file "$BATS_TEST_TMPDIR/copy"
  cmp "$BATS_TEST_TMPDIR/copy" "$CONFIG"
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

@test "refuses a disk whose partition a loop device uses, and only that" {
  [[ $(refusal "$(disk .)" "" yes $'/var/x.img\n/dev/sdb1') == *"loop device uses /dev/sdb1"* ]]
  [ -z "$(refusal "$(disk .)" "" "" $'/dev/sdb11\n/dev/sdba')" ]
}

@test "takes a card in a slot, and a chip on the board only when forced" {
  card=$(disk '.rm = false | .tran = "mmc"')
  [ -z "$(refusal "$card" "" "" "" SD)" ]
  [[ $(refusal "$card" "" "" "" MMC) == *"not a removable disk"* ]]
  [ -z "$(refusal "$card" "" yes "" MMC)" ]
}

@test "names the missing tools and their packages, with exit code 3" {
  mkdir "$BATS_TEST_TMPDIR/bin"
  for tool in bash dirname readlink rm; do ln -s "$(command -v "$tool")" "$BATS_TEST_TMPDIR/bin"; done
  sed 's|^export PATH=.*||' "$SCRIPT" >"$BATS_TEST_TMPDIR/script"
  PATH="$BATS_TEST_TMPDIR/bin" run -3 bash "$BATS_TEST_TMPDIR/script" "$IMAGE" "$ARCHIVE" "$CONFIG"
  [[ $output == *"missing tools: "*"sgdisk"*"mtools"* ]]
}

@test "refuses an archive whose manifest names an image outside of it" {
  archive_with_manifest '.osImage.file = "../x"'
  run -4 "$SCRIPT" --yes "$IMAGE" "$ARCHIVE" "$CONFIG"
  [[ $output == *"names no OS image"* ]]
}

@test "a device is written completely and gets rid of what was on it" {
  old_stick
  run -0 as_device : --yes "$IMAGE" "$ARCHIVE" "$CONFIG"
  run -0 bash -c "sfdisk --json '$IMAGE' | jq -r '.partitiontable.partitions[].name'"
  [ "$output" = $'EMTS-BOOT\nEMTS-OS\nEMTS-CONF' ]
  partition_to_file 1 "$BATS_TEST_TMPDIR/esp"
  fsck.vfat -n "$BATS_TEST_TMPDIR/esp"
  mcopy -i "$BATS_TEST_TMPDIR/esp" ::/EFI/BOOT/BOOTX64.EFI "$BATS_TEST_TMPDIR/loader"
  cmp "$BATS_TEST_TMPDIR/loader" "$BATS_FILE_TMPDIR/files/hookos.efi"
}

@test "a device is not written before its name has been typed" {
  old_stick
  before=$(sha256sum <"$IMAGE")
  run -7 as_device : "$IMAGE" "$ARCHIVE" "$CONFIG" <<<"yes"
  run -7 as_device : "$IMAGE" "$ARCHIVE" "$CONFIG" </dev/null
  run -0 as_device : --dry-run "$IMAGE" "$ARCHIVE" "$CONFIG"
  [ "$(sha256sum <"$IMAGE")" = "$before" ]
  run -0 as_device : "$IMAGE" "$ARCHIVE" "$CONFIG" <<<"$IMAGE"
}

@test "a device that comes into use while the user thinks is refused" {
  old_stick
  before=$(sha256sum <"$IMAGE")
  run -6 as_device 'check_use() { fail "$EXIT_TARGET" "mounted"; }' --yes "$IMAGE" "$ARCHIVE" "$CONFIG"
  [ "$(sha256sum <"$IMAGE")" = "$before" ]
}

@test "a device that fails at any step of writing does not boot, and the message says so" {
  for step in 'copy_blocks() { return 1; }' 'flush() { fail "$EXIT_WRITE" "no flush"; }' \
    'sgdisk() { return 1; }' 'copy_blocks() { [[ $5 == progress ]]; }'; do
    rm -f "$IMAGE"
    old_stick
    run -8 --separate-stderr as_device "$step" --no-verify --json --yes "$IMAGE" "$ARCHIVE" "$CONFIG"
    [[ $stderr == *"is not complete and does not boot. Run this command again."* ]]
    jq -e '.exitCode == 8 and .targetChanged' <<<"$output"
    does_not_boot
  done
}

@test "a device that does not read back what was written does not boot, and the exit code is 9" {
  spoil='write_part() { :; }'
  old_stick
  run -9 as_device "$spoil" --yes "$IMAGE" "$ARCHIVE" "$CONFIG"
  [[ $output == *"EMTS-OS on $IMAGE does not read back"*"does not boot"* ]]
  does_not_boot
  # The very last check
  run -9 as_device 'cmp() { [[ $* != "--quiet - /dev/fd/"* ]] && command cmp "$@"; }' --yes "$IMAGE" "$ARCHIVE" "$CONFIG"
  [[ $output == *"the start of EMTS-BOOT"*"does not boot"* ]]
  does_not_boot
}

@test "without --verify nothing is read back" {
  old_stick
  run -0 --separate-stderr as_device 'read_back() { exit 99; }' --no-verify --json --yes "$IMAGE" "$ARCHIVE" "$CONFIG"
  jq -e '.verified | not' <<<"$output"
}

@test "a device that cannot be made unbootable any more is told as such" {
  old_stick
  run -8 as_device 'copy_blocks() { OUT=/nonexistent; TARGET=/nonexistent; return 1; }' --yes "$IMAGE" "$ARCHIVE" "$CONFIG"
  [[ $output == *"Do not boot from it."* ]]
}

# A tool interrupts the script while it writes to a device.
interrupted_device() { # name of the tool, shell script in its place
  old_stick
  replace_tool "$1" "$2"
  export -f as_device
  export SCRIPT
  run -130 interruptible bash -c 'as_device : --yes "$@"' bash "$IMAGE" "$ARCHIVE" "$CONFIG"
  [[ $output == *"Error: interrupted"*"does not boot"* ]]
  does_not_boot
  [ -z "$(ls -d "$BATS_TEST_TMPDIR"/emts-usb.* 2>/dev/null)" ]
}

@test "Ctrl-C in the middle of writing leaves a device that does not boot, with exit code 130" {
  interrupted_device sgdisk 'kill -INT 0'
}

@test "Ctrl-C while dd shows its progress is told all the same" {
  interrupted_device dd 'case "$*" in *status=progress*) kill -INT 0 ;; esac; exec /bin/dd "$@"'
}

@test "Ctrl-C in the middle of writing leaves an image file as it was, and no temporary files" {
  echo precious >"$IMAGE"
  replace_tool sgdisk 'kill -INT 0'
  run -130 interruptible "$SCRIPT" --yes "$IMAGE" "$ARCHIVE" "$CONFIG"
  [ "$(cat "$IMAGE")" = precious ]
  [ "$(ls "$BATS_TEST_TMPDIR")" = $'bin\nusb.img' ]
}

@test "shows a bar with rate and time left on a terminal" {
  export SCRIPT IMAGE ARCHIVE CONFIG # a shell reads the call
  run -0 script -qec '"$SCRIPT" "$IMAGE" "$ARCHIVE" "$CONFIG"' /dev/null
  [[ $output == *"Writing EMTS-OS "*"[########################################] 100 %"*"MB/s     0 s left"* ]]
  [[ $output == *"Checking EMTS-BOOT "*"100 %"* ]]
}

@test "the bar's rate and time left are those of the bytes and the time that it is given" {
  run -0 bash -c 'source "$1"; draw_bar Writing 250000000 1000000000 5000000' - "$SCRIPT"
  [[ $output == *"[##########                              ]  25 %    50 MB/s    15 s left"* ]]
}

@test "shows what dd says about a write that failed, also behind its progress" {
  replace_tool dd 'printf "\r5 bytes copied, 1 s, 5 B/s\ndd: error writing x: Input/output error\n" >&2; exit 1'
  run -8 "$SCRIPT" "$IMAGE" "$ARCHIVE" "$CONFIG"
  [[ $output == *"dd: error writing x: Input/output error"*"EMTS-OS could not be written"* ]]
  [ ! -e "$IMAGE" ]
}

@test "an image file and a device get the same partitions" {
  "$SCRIPT" --size 221M "$IMAGE" "$ARCHIVE" "$CONFIG"
  sfdisk --dump "$IMAGE" | sed -n 's/, uuid=[^,]*//; s/^[^:]*: start/start/p' >"$BATS_TEST_TMPDIR/file"
  rm "$IMAGE"
  old_stick
  as_device : --yes "$IMAGE" "$ARCHIVE" "$CONFIG"
  sfdisk --dump "$IMAGE" | sed -n 's/, uuid=[^,]*//; s/^[^:]*: start/start/p' | cmp - "$BATS_TEST_TMPDIR/file"
  [ "$(wc -l <"$BATS_TEST_TMPDIR/file")" = 3 ]
}
