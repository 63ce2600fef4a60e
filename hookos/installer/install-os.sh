#!/usr/bin/env bash
# Installs the operating system from the EMTS stick onto an internal disk.
#
# Runs in the os-installer container of HookOS, with install-os-*.sh beside it. Each step that `installer steps` lists
# is the function of the same name (`-` read as `_`). A step prints one marker line when it begins and when it
# ends, for the screen, on the second serial port and in the log:
#   EMTS step=<name> state=<begin|done|failed> t=<seconds> [reason=<text>]
# Nothing on the target disk changes before choose-disk is done, and the firmware boots the stick until
# set-boot-order is done; so a machine that loses power at any time installs again from the start.
#
# Needs bash, coreutils, util-linux, e2fsprogs, jq.
set -Eeuo pipefail
export LC_ALL=C
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

readonly BOOTSTRAPPER=${EMTS_BOOTSTRAPPER:-/mnt/bootstrapper/cluster-bootstrapper} # set from outside by tests
readonly INSTALLER=${EMTS_INSTALLER:-/mnt/installer/installer} # set from outside by tests
readonly LOG=${EMTS_LOG:-/var/log/os-installer.log}
readonly RUN=${EMTS_RUN:-/run/emts-installer} # set from outside by tests
readonly MEDIA="$RUN/media" CONF="$RUN/conf" ESP="$RUN/esp" TARGET=${EMTS_TARGET:-/mnt/target}
readonly MANIFEST="$RUN/manifest.json" CONFIG_FILE="$CONF/config-file"
readonly INSTALLED=installed.txt # on EMTS-CONF
readonly REDACTED="$RUN/config-file.json" # without secrets, once it is validated

HERE=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
# shellcheck source=install-os-report.sh
source "$HERE/install-os-report.sh"
# shellcheck source=install-os-disks.sh
source "$HERE/install-os-disks.sh"
# shellcheck source=install-os-boot.sh
source "$HERE/install-os-boot.sh"

# ---------------------------------------------------------------- small tools

# What manifest.json says about the OS image; several values with tabs between them.
image_field() { # name...
  jq -er '.osImage as $image | [$ARGS.positional[] | $image[.] // error("no \(.)")] | @tsv' "$MANIFEST" --args "$@" ||
    fail "manifest.json on EMTS-OS has no osImage with $*"
}

# The version of the K3s in the image; nothing for an image whose K3s nobody knows.
k3s_version() {
  jq -r '.osImage.k3sVersion | strings' "$MANIFEST" || fail "manifest.json on EMTS-OS cannot be read"
}

image_file() { printf '%s/%s\n' "$MEDIA" "$(image_field file)"; }

# Runs a command of the installer's program: what it says is shown, its warnings are repeated on the last screen.
call_installer() { # command, argument...
  local line
  while IFS= read -r line; do
    case $line in
      "warning: "*) warn "${line#warning: }" ;;
      *) say "$line" ;;
    esac
  done < <(exec "$INSTALLER" "$@")
  wait "$!"
}

# The same, and the error that the command notes is the step's; the screen takes its advice from there.
run_installer() { # command, argument...
  rm -f "$RUN/problem.json"
  call_installer "$@" || fail_as_noted "$1"
}

fail_as_noted() { # command
  local noted="$RUN/problem.json"
  [[ -s $noted ]] || fail "installer $1 failed without a reason; the log has what it said"
  fail "$(jq -r .reason "$noted")"
}

# What grow-root noted of a partition of the target.
target_partition() { # esp, root or persistent; number, node or guid
  jq -er --arg role "$1" --arg field "$2" '.[$role][$field]' "$RUN/layout.json"
}

unmount_all() {
  local dir
  sync
  for dir in "$TARGET" "$ESP" "$MEDIA" "$CONF"; do
    if mountpoint -q "$dir"; then umount --recursive "$dir" || return 1; fi
  done
}

# ---------------------------------------------------------------- find-media

stick_part() { jq -er --arg name "$1" '.partitions[$name]' "$RUN/stick.json"; }

find_media() {
  run_installer find-media
  mkdir -p "$MEDIA" "$CONF"
  mount -t ext4 -o ro,noload "$(stick_part EMTS-OS)" "$MEDIA" || fail "the partition EMTS-OS cannot be mounted"
  mount -t vfat -o ro "$(stick_part EMTS-CONF)" "$CONF" || fail "the partition EMTS-CONF cannot be mounted"
  [[ -s $CONFIG_FILE ]] || fail "EMTS-CONF has no config-file"
  check_manifest
  run_installer set-clock
  warn_of_test_double
  call_installer refuse-installed "$CONF/$INSTALLED" || already_installed
}

# The firmware may start the stick first whatever its boot order says: then the disk is started from here.
already_installed() {
  local refusal="$RUN/refusal.json"
  cp "$RUN/problem.json" "$refusal" || fail_as_noted refuse-installed
  restart_into_installed
  mv "$refusal" "$RUN/problem.json"
  fail_as_noted refuse-installed
}

# SHA256SUMS names every file of the bundle, the manifest among them; the manifest's id is made from the
# other lines. So a change in either of the two files is noticed.
check_manifest() {
  local file
  for file in manifest.json SHA256SUMS; do
    [[ -s $MEDIA/$file ]] || fail "EMTS-OS has no $file"
  done
  # In memory: what it says is needed for the message when the stick is pulled.
  cp "$MEDIA/manifest.json" "$MANIFEST"
  (cd "$MEDIA" && grep '  manifest\.json$' SHA256SUMS | sha256sum --check --quiet --strict) ||
    fail "manifest.json on EMTS-OS does not match SHA256SUMS"
  jq -e '.format == 1' "$MANIFEST" >/dev/null ||
    fail "manifest.json on EMTS-OS has another format than this installer knows (1)"
  [[ $(jq -r .id "$MANIFEST") == "$(grep -v '  manifest\.json$' "$MEDIA/SHA256SUMS" | sha256sum | cut -c1-16)" ]] ||
    fail "SHA256SUMS on EMTS-OS does not match the id in manifest.json"
}

# As a warning it is among the first lines, on the last screen and in the summary.
warn_of_test_double() {
  local double
  double=$(test_double) || fail "manifest.json on EMTS-OS cannot be read"
  if [[ -n $double ]]; then
    warn "this stick installs a test double instead of K3s: $double. The machine is for tests alone."
  fi
}

# What stands in for K3s, as the manifest says; nothing for a release. Any value but null counts, and nothing of it
# controls a console.
test_double() {
  jq -r '.testDouble | values | if type == "string" then . else tojson end
    | if . == "" then "without a name" else .[:200] | gsub("[\\p{Cc}\\p{Cf}\\p{Zl}\\p{Zp}]"; "?") end' "$MANIFEST"
}

# ---------------------------------------------------------------- validate-config

validate_config() {
  local out="$RUN/diagnostics" version code=0 lines first
  version=$(k3s_version)
  "$BOOTSTRAPPER" validate --config-file "$CONFIG_FILE" ${version:+--k3s-version "$version"} >"$out" 2>&1 || code=$?
  mapfile -t lines < <(head -n 40 "$out")
  if ((${#lines[@]} > 0)); then say "${lines[@]}"; fi
  if ((code != 0)); then
    # Warnings may come before the first error.
    first=$(grep -m 1 '^error' "$out") || first=${lines[0]:-no message}
    fail "cluster-bootstrapper refused the config-file with exit code $code: $first"
  fi
  "$BOOTSTRAPPER" show redacted --config-file "$CONFIG_FILE" | jq . >"$REDACTED" ||
    warn "the configuration cannot be saved among the logs (exit code $?)"
}

# ---------------------------------------------------------------- verify-image

# The compressed file is the shipped one, bit for bit, before the target is touched. What it decompresses
# to is hashed when it is read back from the target, which checks decompressor, disk and memory at once.
verify_image() {
  local file sum
  file=$(image_file)
  [[ -f $file ]] || fail "EMTS-OS has no $(basename "$file")"
  expect size "$(stat -c %s "$file")" "size of the OS image"
  sum=$(sha256sum <"$file")
  expect sha256 "${sum%% *}" "sha256 of the OS image"
  verify_hookos
  check_secure_boot
}

# What runs now was read from the stick; a stick that gives one wrong byte will give more.
verify_hookos() {
  local expected sum
  expected=$(awk '$2 == "hookos.efi" { print $1 }' "$MEDIA/SHA256SUMS")
  [[ -n $expected ]] || fail "SHA256SUMS on EMTS-OS names no hookos.efi"
  mkdir -p "$ESP"
  mount -t vfat -o ro "$(stick_part EMTS-BOOT)" "$ESP" || fail "the partition EMTS-BOOT cannot be mounted"
  sum=$(sha256sum <"$ESP/EFI/BOOT/BOOTX64.EFI") || fail "EFI/BOOT/BOOTX64.EFI on EMTS-BOOT cannot be read"
  umount "$ESP"
  [[ ${sum%% *} == "$expected" ]] ||
    fail "sha256 of EFI/BOOT/BOOTX64.EFI on EMTS-BOOT is ${sum%% *}, SHA256SUMS says $expected"
}

expect() { # name in the manifest, value seen, what
  local expected
  expected=$(image_field "$1")
  [[ $2 == "$expected" ]] || fail "$3 is $2, the manifest says $expected"
}

# ---------------------------------------------------------------- write-image, grow-root

write_image() { run_installer write-image; }

grow_root() { run_installer grow-root; }

# ---------------------------------------------------------------- configure-os, configure-kubernetes

# One command makes the machine: users, files, network, its identity, and the first boot's k8s.cfg.
configure_os() {
  local version out="$RUN/configure" code=0 reason line
  version=$(k3s_version)
  mkdir -p "$TARGET"
  mount "$(target_partition root node)" "$TARGET" || fail "the root file system of $DISK cannot be mounted"
  mount_persistent
  TMPDIR=$RUN "$BOOTSTRAPPER" install --config-file "$CONFIG_FILE" --root "$TARGET" ${version:+--k3s-version "$version"} \
    >"$out" 2>&1 || code=$?
  cat "$out"
  # Warnings about the config-file itself have a code behind the word; they were shown when it was validated.
  while read -r line; do warn "$line"; done < <(sed -n 's/^warning: //p' "$out")
  if ((code != 0)); then
    reason=$(grep -m 1 '^error' "$out") || reason=$(head -n 1 "$out")
    fail "cluster-bootstrapper could not configure the operating system (exit code $code): ${reason:-no message}"
  fi
  run_installer note-clock "$TARGET"
}

# An image whose root file system is read-only once it runs has /opt on a partition of its own. All else is
# written into the root file system, from which the first boot fills that partition: accounts, which are not
# among what it keeps, and files.
mount_persistent() {
  local node
  node=$(target_partition persistent node) || return 0
  mkdir -p "$TARGET/opt"
  mount "$node" "$TARGET/opt" || fail "the partition edge_persistent of $DISK cannot be mounted"
}

configure_kubernetes() {
  [[ -s $TARGET/etc/cloud/cloud.cfg.d/k8s.cfg ]] || fail "cluster-bootstrapper wrote no k8s.cfg"
  sync -f "$TARGET"
  # From here on the installer writes to the root file system no more.
  umount --recursive "$TARGET"
}

# ---------------------------------------------------------------- main

run_step() { # name
  STEP=$1
  marker "$STEP" begin
  "${STEP//-/_}"
  marker "$STEP" "done"
}

# The steps' names, one a line.
step_names() { "$INSTALLER" steps | cut -f 1; }

main() {
  local step steps
  mkdir -p "$RUN"
  chmod 0700 "$RUN"
  rm -f "$RUN/reason" "$RUN"/*.json
  exec >>"$LOG" 2>&1 </dev/null
  trap 'on_error $? $LINENO "$BASH_COMMAND"' ERR
  trap 'on_exit $?' EXIT
  trap '' HUP
  STARTED=$(uptime_cs)
  # Process substitution needs it; a devtmpfs that no udev looks after may lack it.
  if [[ ! -e /dev/fd ]]; then ln -s /proc/self/fd /dev/fd; fi
  start_screen
  mapfile -t steps < <(step_names)
  ((${#steps[@]} > 0)) || fail "$INSTALLER does not list the steps"
  for step in "${steps[@]}"; do run_step "$step"; done
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then main; fi
