#!/usr/bin/env bash
# Makes a bootable EMTS stick, or an image file of one, from usb-bootable-files.tar.gz and a config-file.
#
# All checks come first; nothing is written before they have passed and the user has agreed. The file
# systems are made in files and then copied to the target, so a device and an image file take the same way,
# without mounts and loop devices. The partition table comes after the partitions, and the first MiB of the
# EFI system partition last of all: a stick that was not finished does not boot.
set -Eeuo pipefail
export LC_ALL=C
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
umask 077

usage() {
  cat <<'USAGE'
Usage: bootable-usb-prepare.sh [options] <device or image file> <usb-bootable-files.tar.gz> <config-file>

Makes a bootable stick that installs the operating system and Kubernetes as the config-file says.
Everything on the device is lost. An image file is made without root rights.

Options:
  --yes         do not ask before the target is overwritten
  --force       also take a disk that is not removable
  --allow-reference
                also take an archive that holds a test double instead of K3s: what is installed from it is for
                tests alone
  --size SIZE   size of an image file, e.g. 8G (default: as large as its content needs)
  --no-verify   do not read back what was written (default: --verify)
  --dry-run     make all checks, write nothing
  --json        print the result as one JSON object on standard output
  --help        this text

Example: sudo ./bootable-usb-prepare.sh /dev/sdb usb-bootable-files.tar.gz config-file

Exit codes:
  0  the stick is ready (or would be, with --dry-run)
  1  an unexpected error
  2  wrong arguments
  3  a tool, the rights or the space needed are missing
  4  usb-bootable-files.tar.gz is damaged or incomplete, or holds a test double (see --allow-reference)
  5  the config-file is not valid
  6  the target is refused
  7  the user did not agree
  8  writing failed
  9  the target does not read back what was written
  130  interrupted, by Ctrl-C or by SIGTERM or SIGHUP
USAGE
}

readonly EXIT_USAGE=2 EXIT_HOST=3 EXIT_ARCHIVE=4 EXIT_CONFIG=5 EXIT_TARGET=6 EXIT_DECLINED=7
readonly EXIT_WRITE=8 EXIT_VERIFY=9 EXIT_INTERRUPTED=130

readonly MIB=$((1024 * 1024))
# FAT32 is a FAT with at least 65525 clusters, and a cluster has at least one sector.
readonly FAT32_CLUSTERS=66000
readonly CONF_MIB=64
export MTOOLS_SKIP_CHECK=1 # mtools would ask for the geometry of a floppy disk
# For jq: `shown` gives what a manifest or a disk says as one line that a terminal only shows, without characters that
# control it or that change the order of others, and not too long.
readonly SHOWN='def shown: if type == "string" then . else tojson end
  | .[:200] | gsub("[\\p{Cc}\\p{Cf}\\p{Zl}\\p{Zp}]"; "?");'

HERE=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
YES="" FORCE="" ALLOW_REFERENCE="" SIZE="" VERIFY=yes DRY_RUN="" JSON=""
TARGET="" ARCHIVE="" CONFIG=""
WORK=""       # the temporary folder
IS_DEVICE=""  # yes for a block device
OUT=""        # what is written to: the device, or the image file's temporary name
SECTOR=512    # bytes in a logical sector of the target
WRITING=""    # yes once the target has been changed
BUNDLE=""     # folder with the unpacked archive
TEST_DOUBLE="" # what stands in for K3s in the archive, where something does

exec {STDERR}>&2

# ---------------------------------------------------------------- messages
say() { printf '%s\n' "$@" >&2; }

fail() { # exit code, reason
  trap - ERR
  trap '' INT TERM HUP
  # An interruption may find stderr to be the pipe to a progress bar.
  exec 2>&"$STDERR"
  say "Error: $2"
  if [[ -n $WRITING && -n $IS_DEVICE ]]; then unmake; fi
  if [[ -n $JSON ]]; then
    jq -n --argjson code "$1" --arg reason "$2" --arg target "$TARGET" --arg changed "$WRITING" \
      '{result: "failed", exitCode: $code, reason: $reason, target: $target, targetChanged: ($changed == "yes")}'
  fi
  exit "$1"
}

# The stick must not boot, whichever step has failed.
unmake() {
  OUT=$TARGET
  if zero_bytes $((ESP_AT * MIB)) "$MIB"; then
    say "$TARGET is not complete and does not boot. Run this command again."
  else
    say "$TARGET is not complete and cannot be written any more. Do not boot from it."
  fi
}

fail_usage() { say "Error: $1" "Try: bootable-usb-prepare.sh --help" && exit "$EXIT_USAGE"; }

cleanup() {
  if [[ -n $WORK ]]; then rm -rf "$WORK"; fi
  if [[ -n $OUT && $OUT != "$TARGET" ]]; then rm -f "$OUT"; fi
}

# ---------------------------------------------------------------- arguments and host
parse_arguments() {
  local positional=()
  while (($# > 0)); do
    case $1 in
      --yes) YES=yes ;;
      --force) FORCE=yes ;;
      --allow-reference) ALLOW_REFERENCE=yes ;;
      --verify) VERIFY=yes ;;
      --no-verify) VERIFY="" ;;
      --dry-run) DRY_RUN=yes ;;
      --json) JSON=yes ;;
      --size)
        (($# > 1)) || fail_usage "--size needs a value"
        parse_size "$2"
        shift
        ;;
      --size=*) parse_size "${1#--size=}" ;;
      --help | -h) usage; exit 0 ;;
      --) shift; positional+=("$@"); break ;;
      -*) fail_usage "unknown option $1 (a file of this name is given as ./$1)" ;;
      *) positional+=("$1") ;;
    esac
    shift
  done
  ((${#positional[@]} == 3)) || fail_usage "three arguments are needed, ${#positional[@]} given"
  # The same files by names that no command takes for an option.
  positional=("${positional[@]/#-/./-}")
  TARGET=${positional[0]} ARCHIVE=${positional[1]} CONFIG=${positional[2]}
}

parse_size() { SIZE=$(numfmt --from=iec "$1" 2>/dev/null) || fail_usage "--size $1 is not a size such as 8G or 7500M"; }

check_host() {
  local tool missing=()
  for tool in tar gzip sha256sum jq sgdisk lsblk findmnt losetup blockdev flock mkfs.vfat mcopy mmd mke2fs dd cmp numfmt; do
    if ! command -v "$tool" >/dev/null; then missing+=("$tool"); fi
  done
  if ((${#missing[@]} > 0)); then
    JSON="" fail "$EXIT_HOST" "missing tools: ${missing[*]} (Debian packages: gdisk util-linux mount dosfstools mtools e2fsprogs jq)"
  fi
}

check_inputs() {
  local file
  for file in "$ARCHIVE" "$CONFIG"; do
    [[ -f $file && -r $file ]] || fail "$EXIT_USAGE" "$file is not a readable file"
    if [[ $TARGET -ef $file ]]; then fail "$EXIT_TARGET" "$TARGET is one of the inputs"; fi
  done
}

# ---------------------------------------------------------------- target
check_target() {
  if [[ -b $TARGET ]]; then
    IS_DEVICE=yes
    check_device
  elif [[ -e $TARGET && ! -f $TARGET ]]; then
    fail "$EXIT_TARGET" "$TARGET is neither a block device nor a regular file"
  elif [[ $(readlink -m "$TARGET") == /dev/* ]]; then
    fail "$EXIT_TARGET" "there is no device $TARGET"
  elif [[ ! -d $(dirname "$TARGET") || ! -w $(dirname "$TARGET") ]]; then
    fail "$EXIT_TARGET" "the folder of $TARGET does not exist or cannot be written"
  fi
}

check_device() {
  [[ -z $SIZE ]] || fail "$EXIT_USAGE" "--size is for image files; $TARGET is a device"
  TARGET=$(readlink -f "$TARGET")
  check_use
  if ((EUID != 0)); then fail "$EXIT_HOST" "root rights are needed to write to $TARGET"; fi
  lock_device
  SECTOR=$(blockdev --getss "$TARGET")
}

# By what lsblk and losetup know; they give the better reasons.
check_use() {
  local tree loops reason
  tree=$(lsblk --json --bytes --output NAME,PATH,TYPE,SIZE,RO,RM,HOTPLUG,TRAN,MODEL,SERIAL,MOUNTPOINTS "$TARGET") ||
    fail "$EXIT_TARGET" "lsblk cannot read $TARGET"
  loops=$(losetup --noheadings --list --output BACK-FILE) || fail "$EXIT_HOST" "losetup cannot list the loop devices"
  reason=$(device_refusal "$(system_disks)" "$FORCE" "$loops" "$(card_type)" <<<"$tree") || reason="lsblk's answer cannot be read"
  [[ -z $reason ]] || fail "$EXIT_TARGET" "$TARGET is refused: $reason"
}

# By what the kernel knows: it reads no partition table of a disk that anything uses, among them file systems
# mounted by others than this process can see. udev heeds the lock: while it is held nothing is mounted by itself.
# As long as the device is open its name is not given to another one.
lock_device() {
  local lock
  exec {lock}<>"$TARGET" || fail "$EXIT_TARGET" "$TARGET cannot be opened"
  flock --timeout 30 "$lock" || fail "$EXIT_TARGET" "$TARGET is refused: another program has locked it"
  blockdev --rereadpt "$TARGET" || fail "$EXIT_TARGET" "$TARGET is refused: the kernel finds it in use"
}

# SD for a card in a slot, MMC for a chip that is soldered to the board, something else for other devices.
card_type() { cat "/sys/class/block/${TARGET##*/}/device/type" 2>/dev/null || true; }

# The disks that carry the running system's root and boot file systems, one path a line.
system_disks() {
  local dir source
  for dir in / /boot /boot/efi /usr; do
    source=$(findmnt --noheadings --nofsroot --output SOURCE "$dir" || true)
    if [[ -b $source ]]; then lsblk --noheadings --inverse --output PATH "$source" | grep -o '/dev/.*' || true; fi
  done
}

# Prints why the device in lsblk's JSON on stdin is refused, or nothing.
device_refusal() { # disks of the running system, "yes" if it need not be removable, files behind loop devices, card type
  jq -r --arg system "$1" --arg force "$2" --arg loops "$3" --arg card "$4" "$SHOWN"'
    def flag: . == true or . == 1 or . == "1";
    .blockdevices[0]
    | [recurse(.children[]?)] as $all
    | ([$all[] | .mountpoints[]? | select(. != null)] | unique) as $mounts
    | ([$all[1:][] | select(.type != "part") | "\(.path) (\(.type))"] | unique) as $users
    | ([$all[].path] - ([$all[].path] - ($loops | split("\n")))) as $behind_loops
    | if .path as $p | $system | split("\n") | index($p) then "the running system is on it"
      elif .type != "disk" then "not a whole disk but \(if .type == "part" then "a partition" else .type end)"
      elif (.ro | flag) then "read-only"
      elif ($mounts | length) > 0 then "in use: \($mounts | join(", "))"
      elif ($users | length) > 0 then "in use by \($users | join(", "))"
      elif ($behind_loops | length) > 0 then "a loop device uses \($behind_loops | join(", "))"
      elif $force == "yes" then empty
      elif $card != "MMC" and (([.rm, .hotplug] | any(flag)) or .tran == "usb") then empty
      else "not a removable disk (\(.model // "unknown model" | gsub("^ +| +$"; "") | shown), \(.tran // "unknown transport")); --force allows it" end'
}

check_size() { # MiB needed
  local bytes=$(($1 * MIB)) have
  if [[ -n $IS_DEVICE ]]; then
    have=$(blockdev --getsize64 "$TARGET")
  else
    have=$((${SIZE:-$bytes} / MIB * MIB))
  fi
  ((have >= bytes)) || fail "$EXIT_TARGET" "$TARGET is too small: $have bytes, $bytes are needed"
  OUT_BYTES=$have
}

# ---------------------------------------------------------------- archive and config-file
make_work_folder() {
  local base=${TMPDIR:-/var/tmp} need free
  [[ -d $base && -w $base ]] || fail "$EXIT_HOST" "$base is no folder that can be written to; TMPDIR names another one"
  if [[ $base != /* ]]; then base="$PWD/$base"; fi
  need=$(($(stat -c %s "$ARCHIVE") * 3 / 1024 + 256 * 1024))
  free=$(df --output=avail -k "$base" | tail -n 1)
  ((free > need)) || fail "$EXIT_HOST" "$base has $((free / 1024)) MiB free, $((need / 1024)) are needed; TMPDIR names another folder"
  WORK=$(mktemp -d "$base/emts-usb.XXXXXXXX")
  BUNDLE="$WORK/bundle" && mkdir "$BUNDLE"
}

unpack_archive() {
  local file
  say "Checking $ARCHIVE"
  # Without --force-local a name with a colon is one on another machine.
  tar --force-local -xzf "$ARCHIVE" -C "$BUNDLE" --no-same-owner || fail "$EXIT_ARCHIVE" "$ARCHIVE cannot be unpacked"
  for file in hookos.efi os-image.json cluster-bootstrapper manifest.json SHA256SUMS; do
    is_in_bundle "$file"
    if [[ $file != SHA256SUMS ]]; then
      grep -q "  $file\$" "$BUNDLE/SHA256SUMS" || fail "$EXIT_ARCHIVE" "SHA256SUMS in $ARCHIVE has no sum of $file"
    fi
  done
  # The names in it are of the archive's author: `cat -v` shows what would control the terminal.
  (cd "$BUNDLE" && sha256sum --check --quiet --strict SHA256SUMS 2>&1 | cat -v >&2) ||
    fail "$EXIT_ARCHIVE" "a file in $ARCHIVE does not match its checksum"
  jq -e '.format == 1' "$BUNDLE/manifest.json" >/dev/null ||
    fail "$EXIT_ARCHIVE" "manifest.json in $ARCHIVE has another format than this script knows (1)"
  OS_IMAGE=$(jq -er '.osImage.file | select(test("\\A[A-Za-z0-9][A-Za-z0-9._-]*\\z"))' "$BUNDLE/manifest.json") ||
    fail "$EXIT_ARCHIVE" "manifest.json in $ARCHIVE names no OS image"
  is_in_bundle "$OS_IMAGE"
  grep -q "  $OS_IMAGE\$" "$BUNDLE/SHA256SUMS" || fail "$EXIT_ARCHIVE" "SHA256SUMS in $ARCHIVE has no sum of $OS_IMAGE"
}

# A link would have another file of this machine read, and its mode changed.
is_in_bundle() { # name
  [[ -s $BUNDLE/$1 && ! -L $BUNDLE/$1 && -f $BUNDLE/$1 ]] || fail "$EXIT_ARCHIVE" "$ARCHIVE has no $1"
}

# Any value but null counts: a double must not pass for a release because its name is odd.
check_test_double() {
  TEST_DOUBLE=$(manifest_text '.testDouble | values | if . == "" then "without a name" else shown end') ||
    fail "$EXIT_ARCHIVE" "manifest.json in $ARCHIVE cannot be read"
  [[ -z $TEST_DOUBLE || -n $ALLOW_REFERENCE ]] ||
    fail "$EXIT_ARCHIVE" "$ARCHIVE is refused: it holds a test double instead of K3s: $TEST_DOUBLE. A machine that is installed from it is for tests alone; --allow-reference allows that. For any other use take an archive with a K3s release"
}

manifest_text() { jq -r "$SHOWN $1" "$BUNDLE/manifest.json"; } # jq filter

warn_of_test_double() {
  if [[ -n $TEST_DOUBLE ]]; then
    say "WARNING: this stick installs a test double instead of K3s: $TEST_DOUBLE. The machine is for tests alone."
  fi
}

validate_config() {
  local tool="$BUNDLE/cluster-bootstrapper" version code=0
  say "Checking $CONFIG"
  # Nobody knows the K3s in an OS image of a user's own.
  version=$(jq -r '.osImage.k3sVersion | strings' "$BUNDLE/manifest.json") ||
    fail "$EXIT_ARCHIVE" "manifest.json in $ARCHIVE cannot be read"
  # The one beside this script came with it, and serves where nothing can be run from the temporary directory.
  if [[ -e $HERE/cluster-bootstrapper ]]; then
    cmp --quiet "$HERE/cluster-bootstrapper" "$tool" ||
      fail "$EXIT_ARCHIVE" "cluster-bootstrapper in $ARCHIVE is not the one beside this script, and is not run; take both from one release"
    tool="$HERE/cluster-bootstrapper"
  fi
  if [[ ! -x $tool ]]; then chmod u+x "$tool"; fi
  "$tool" validate --config-file "$CONFIG" ${version:+--k3s-version "$version"} >&2 || code=$?
  ((code == 0)) || fail "$EXIT_CONFIG" "$CONFIG is not valid; see above (cluster-bootstrapper ended with exit code $code)"
}

# ---------------------------------------------------------------- layout
# Sets the partitions' sizes in MiB. FAT: 2 % and 8 MiB for its tables; ext4 without journal: 3 % and 16 MiB.
plan_layout() {
  local fat_min=$((FAT32_CLUSTERS * SECTOR * 102 / 100 / MIB + 8))
  ESP_MIB=$(($(size_of hookos.efi) * 102 / 100 / MIB + 8))
  if ((ESP_MIB < fat_min)); then ESP_MIB=$fat_min; fi
  OS_MIB=$((($(size_of "$OS_IMAGE") + $(size_of cluster-bootstrapper)) * 103 / 100 / MIB + 16))
  CONFIG_MIB=$((CONF_MIB > fat_min ? CONF_MIB : fat_min))
  ESP_AT=1 OS_AT=$((1 + ESP_MIB)) CONFIG_AT=$((1 + ESP_MIB + OS_MIB))
  check_size $((CONFIG_AT + CONFIG_MIB + 1))
}

size_of() { stat -c %s "$BUNDLE/$1"; }

describe_plan() {
  local what="image file"
  if [[ -n $IS_DEVICE ]]; then
    what=$(lsblk --nodeps --noheadings --output MODEL,SERIAL,SIZE "$TARGET" | tr -s ' ')
  fi
  say "Target:      $TARGET ($what)" \
    "Now on it:   $(if [[ -n $IS_DEVICE ]]; then file_systems; elif [[ -e $TARGET ]]; then echo "another file"; else echo "nothing"; fi)" \
    "Bundle:      $(manifest_text '"\(.id | shown), profile \(.profile | shown), OS image \(.osImage.name | shown), Kubernetes \(.osImage.k3sVersion // "not known" | shown)"')" \
    "Partitions:  EMTS-BOOT $ESP_MIB MiB, EMTS-OS $OS_MIB MiB, EMTS-CONF $CONFIG_MIB MiB"
  warn_of_test_double
}

# What the user is about to lose.
file_systems() {
  lsblk --json --output NAME,FSTYPE,LABEL "$TARGET" | jq -r "$SHOWN"'[.blockdevices[] | recurse(.children[]?) | select(.fstype)
    | "\(.fstype) \(.label // "without a label" | shown) on \(.name)"] | join(", ") | if . == "" then "no file system" else . end'
}

confirm() {
  [[ -z $YES && (-n $IS_DEVICE || -e $TARGET) ]] || return 0
  printf 'Everything on %s will be lost. Type %s to go on: ' "$TARGET" "$TARGET" >&2
  if ! read -r || [[ $REPLY != "$TARGET" ]]; then
    say ""
    fail "$EXIT_DECLINED" "not confirmed; nothing was written"
  fi
}

# ---------------------------------------------------------------- file systems, as files in the work folder
make_filesystems() {
  local log="$WORK/mkfs.log"
  say "Making the file systems"
  { make_esp && make_os && make_conf; } >"$log" 2>&1 || { cat "$log" >&2; fail "$EXIT_WRITE" "a file system could not be made in $WORK"; }
}

# Clusters of up to 4 KiB: the firmware reads large ones faster.
make_fat() { # file, MiB, label
  local sectors=$((4096 / SECTOR))
  while ((sectors > 1 && $2 * MIB / SECTOR / sectors < FAT32_CLUSTERS * 102 / 100)); do sectors=$((sectors / 2)); done
  truncate -s "$(($2 * MIB))" "$1" && mkfs.vfat -F 32 -S "$SECTOR" -s "$sectors" -n "$3" "$1"
}

# mtools has a shell read the name of an image that has a character special to it: names without a directory have none.
in_work() { # command...
  (cd "$WORK" && "$@")
}

make_esp() {
  make_fat "$WORK/esp.img" "$ESP_MIB" EMTS-BOOT &&
    mv "$BUNDLE/hookos.efi" "$WORK/hookos.efi" &&
    in_work mmd -i esp.img ::/EFI ::/EFI/BOOT &&
    in_work mcopy -i esp.img hookos.efi ::/EFI/BOOT/BOOTX64.EFI &&
    rm "$WORK/hookos.efi"
}

make_os() {
  local file
  mkdir "$WORK/os" &&
    for file in manifest.json SHA256SUMS "$OS_IMAGE" cluster-bootstrapper; do
      mv "$BUNDLE/$file" "$WORK/os/" && chmod go=rX "$WORK/os/$file" || return 1
    done &&
    in_work mke2fs -q -t ext4 -O ^has_journal -m 0 -N 64 -E root_owner=0:0 -L EMTS-OS -d os os.img "${OS_MIB}M"
}

make_conf() {
  make_fat "$WORK/conf.img" "$CONFIG_MIB" EMTS-CONF &&
    cp -- "$CONFIG" "$WORK/config-file" &&
    in_work mcopy -i conf.img config-file ::/config-file &&
    in_work mmd -i conf.img ::/logs &&
    rm "$WORK/config-file"
}

# ---------------------------------------------------------------- writing
write_target() {
  if [[ -n $IS_DEVICE ]]; then check_use; fi
  WRITING=yes
  prepare_out
  each_part write_part
  flush
  if [[ -n $VERIFY ]]; then each_part verify_part; fi
  write_table
  write_bios_message
  flush
  if [[ -n $VERIFY ]]; then verify_table; fi
  copy_blocks "$WORK/esp.img" 0 1 "$ESP_AT" none || fail "$EXIT_WRITE" "the start of EMTS-BOOT could not be written"
  flush
  if [[ -n $VERIFY ]]; then verify_head; fi
  if [[ -z $IS_DEVICE ]]; then mv "$OUT" "$TARGET" || fail "$EXIT_WRITE" "$OUT could not be renamed to $TARGET"; fi
  WRITING=""
}

# Calls a function with each partition: file, MiB of the target, MiB to leave out at its beginning, MiB to copy, name.
each_part() { # function
  "$1" "$WORK/os.img" "$OS_AT" 0 "$OS_MIB" EMTS-OS
  "$1" "$WORK/conf.img" "$CONFIG_AT" 0 "$CONFIG_MIB" EMTS-CONF
  "$1" "$WORK/esp.img" "$ESP_AT" 1 $((ESP_MIB - 1)) EMTS-BOOT
}

# A target without a partition table and with zeros where the ESP begins.
prepare_out() {
  if [[ -n $IS_DEVICE ]]; then
    OUT=$TARGET
    # Old tables at both ends, and what an earlier stick had where the ESP begins.
    { zero_bytes 0 $((2 * MIB)) && zero_bytes $((OUT_BYTES - MIB)) "$MIB"; } || fail "$EXIT_WRITE" "$TARGET cannot be written"
  else
    OUT=$(mktemp "$TARGET.XXXXXXXX") || fail "$EXIT_WRITE" "no file can be made beside $TARGET"
    truncate -s "$OUT_BYTES" "$OUT" || fail "$EXIT_WRITE" "$OUT cannot be made"
  fi
}

zero_bytes() { # first byte of the target, bytes; both whole sectors
  dd if=/dev/zero of="$OUT" bs="$SECTOR" seek=$(($1 / SECTOR)) count=$(($2 / SECTOR)) conv=fsync,nocreat,notrunc status=none
}

write_table() {
  sgdisk --clear --set-alignment=1 \
    --new="1:${ESP_AT}M:+${ESP_MIB}M" --typecode=1:EF00 --change-name=1:EMTS-BOOT \
    --new="2:${OS_AT}M:+${OS_MIB}M" --typecode=2:8300 --change-name=2:EMTS-OS \
    --new="3:${CONFIG_AT}M:+${CONFIG_MIB}M" --typecode=3:0700 --change-name=3:EMTS-CONF \
    "$OUT" >"$WORK/sgdisk.log" 2>&1 || { cat "$WORK/sgdisk.log" >&2; fail "$EXIT_WRITE" "the partition table could not be written to $TARGET"; }
}

# What a BIOS starts: it reads the first sector, which UEFI does not, to 0000:7C00. Assembly, as bytes in octal:
#   xor ax,ax; mov ds,ax; cld; mov si,text; next: lodsb; test al,al; jz halt; mov ah,0Eh (write a character);
#   mov bx,7; int 10h; jmp next; halt: hlt; jmp halt; text: ...
write_bios_message() {
  local code='\061\300\216\330\374\276\031\174\254\204\300\164\011\264\016\273\007\000\315\020\353\362\364\353\375'
  local text='This USB drive starts by UEFI only.\r\n'
  text+='In the setup of the firmware, switch UEFI boot on (legacy boot or CSM off),\r\n'
  text+='then start again. A machine without UEFI cannot be installed from it.\r\n'
  # The partition table's own record begins at byte 440.
  # shellcheck disable=SC2059 # both have escapes
  printf "$code$text\0" | dd of="$OUT" bs=440 count=1 iflag=fullblock conv=nocreat,notrunc status=none ||
    fail "$EXIT_WRITE" "the message for machines without UEFI could not be written to $TARGET"
}

# A new image file reads as zeros, so these are left out; on a device they are written.
copy_blocks() { # file, MiB to skip in it, MiB to copy, MiB of the target to write at, dd's status
  local how=conv=nocreat,notrunc,sparse
  if [[ -n $IS_DEVICE ]]; then how="conv=nocreat,notrunc oflag=direct"; fi
  # shellcheck disable=SC2086 # words
  dd if="$1" of="$OUT" bs=1M skip="$2" count="$3" seek="$4" status="$5" $how
}

write_part() { # as each_part gives them
  with_progress "Writing $5" "$4" copy_blocks "$1" "$3" "$4" $(($2 + $3)) progress ||
    fail "$EXIT_WRITE" "$5 could not be written to $TARGET"
}

flush() {
  { sync "$OUT" && { [[ -z $IS_DEVICE ]] || blockdev --flushbufs "$OUT"; }; } ||
    fail "$EXIT_WRITE" "$TARGET does not take what was written to it"
}

with_progress() { # what, MiB, command that runs dd
  local what=$1 mib=$2 code=0
  shift 2
  if [[ ! -t 2 ]]; then say "$what: $mib MiB"; fi
  "$@" 2> >(show_progress "$what" $((mib * MIB))) || code=$?
  wait $!
  return "$code"
}

# Turns dd's progress on stdin into a bar on a terminal, and shows its errors.
show_progress() { # what, bytes in total
  local chunk line begun=${EPOCHREALTIME/./}
  # It ends with what it shows: until then nothing that is written to it must fail.
  trap '' INT TERM HUP
  while IFS= read -r -d $'\r' chunk || [[ -n $chunk ]]; do
    while IFS= read -r line; do
      if [[ $line == dd:* ]]; then
        say "$line"
      elif [[ -t 2 && $line =~ ^([0-9]+)\ bytes ]]; then
        draw_bar "$1" "${BASH_REMATCH[1]}" "$2" $((${EPOCHREALTIME/./} - begun + 1))
      fi
    done <<<"$chunk"
  done
  if [[ -t 2 ]]; then say ""; fi
}

draw_bar() { # what, bytes done, bytes in total, microseconds
  local rate=$(($2 * 1000000 / $4))
  printf '\r%-18s [%-40s] %3d %%  %4d MB/s  %4d s left ' "$1" "$(printf '%*s' $(($2 * 40 / $3)) '' | tr ' ' '#')" \
    $(($2 * 100 / $3)) $((rate / 1000000)) $((($3 - $2) / (rate + !rate))) >&2
}

verify_part() { # as each_part gives them
  with_progress "Checking $5" "$4" read_back $(($2 + $3)) "$4" progress |
    cmp --quiet --ignore-initial="0:$(($3 * MIB))" - "$1" ||
    fail "$EXIT_VERIFY" "$5 on $TARGET does not read back what was written; the stick may be failing"
}

read_back() { # MiB of the target, MiB, dd's status
  dd if="$OUT" bs=1M skip="$1" count="$2" status="$3" ${IS_DEVICE:+iflag=direct}
}

verify_head() {
  read_back "$ESP_AT" 1 none | cmp --quiet - <(head -c "$MIB" "$WORK/esp.img") ||
    fail "$EXIT_VERIFY" "the start of EMTS-BOOT on $TARGET does not read back what was written"
}

verify_table() {
  sgdisk --verify "$OUT" | grep -q '^No problems found' ||
    fail "$EXIT_VERIFY" "the partition table of $TARGET does not read back without errors"
}

# ---------------------------------------------------------------- main
report() { # what was done
  say "$1"
  warn_of_test_double
  if [[ -n $JSON ]]; then
    jq -n --arg target "$TARGET" --arg dry "$DRY_RUN" --arg verified "$VERIFY" --argjson bytes "$OUT_BYTES" \
      --argjson esp "$ESP_MIB" --argjson os "$OS_MIB" --argjson conf "$CONFIG_MIB" --arg bundle "$BUNDLE_ID" \
      --arg double "$TEST_DOUBLE" \
      '{result: "ok", dryRun: ($dry == "yes"), target: $target, bytes: $bytes, bundle: $bundle,
        testDouble: (if $double == "" then null else $double end), verified: ($dry == "" and $verified == "yes"),
        partitions: [{name: "EMTS-BOOT", mib: $esp}, {name: "EMTS-OS", mib: $os}, {name: "EMTS-CONF", mib: $conf}]}'
  fi
}

main() {
  parse_arguments "$@"
  trap cleanup EXIT
  trap 'fail "$EXIT_INTERRUPTED" "interrupted"' INT TERM HUP
  trap 'fail 1 "line $LINENO: \`$BASH_COMMAND\` ended with exit code $?"' ERR
  check_host
  check_inputs
  check_target
  make_work_folder
  unpack_archive
  check_test_double
  BUNDLE_ID=$(jq -r .id "$BUNDLE/manifest.json")
  validate_config
  plan_layout
  describe_plan
  if [[ -n $DRY_RUN ]]; then
    report "All checks passed; nothing was written (--dry-run)."
    return
  fi
  confirm
  make_filesystems
  write_target
  report "$TARGET is ready."
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then main "$@"; fi
