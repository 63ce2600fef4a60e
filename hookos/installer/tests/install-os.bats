#!/usr/bin/env bats
# install-os.sh without disks: markers, media, the choice of the disk, checks of the bundle.

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

@test "a marker has step, state and seconds" {
  [ "$(marker_line find-media begin 0.03)" = "EMTS step=find-media state=begin t=0.03" ]
}

@test "a marker's reason is one line" {
  [ "$(marker_line write-image failed 12.50 $'disk\nis\tgone')" = "EMTS step=write-image state=failed t=12.50 reason=disk is gone" ]
}

@test "every step is a function" {
  [ "$(step_names | head -n 1)" = find-media ]
  for step in $(step_names); do [ "$(type -t "${step//-/_}")" = function ]; done
}

# choose_disk with a cluster-bootstrapper that shows this selector, and a program that notes this disk.
choose_with() { # selector, disk.json
  media
  printf '#!/bin/sh\necho %s\n' "'$1'" >"$EMTS_BOOTSTRAPPER"
  NOTED=$2
  call_installer() {
    say "called: $*"
    echo "$NOTED" >"$RUN/disk.json"
  }
  umount() { echo "umount $1"; }
  swapoff() { echo "swapoff $1"; }
}

@test "choose-disk takes the disk that the installer's program notes" {
  choose_with '{"serial": "S-sdb", "wipe": false}' '{"path": "/dev/sdb", "mounts": [], "swaps": []}'
  choose_disk >"$BATS_TEST_TMPDIR/said"
  [ "$DISK" = /dev/sdb ]
  [ "$(<"$RUN/selector.json")" = '{"serial": "S-sdb", "wipe": false}' ]
  [ "$(<"$BATS_TEST_TMPDIR/said")" = $'installDisk: {"serial": "S-sdb", "wipe": false}\ncalled: choose-disk --selector '"$RUN/selector.json"$'\ncalled: check-target\ncalled: announce-loss' ]
}

@test "choose-disk releases the disk in the order that was noted" {
  choose_with null '{"path": "/dev/sdb", "mounts": ["/data/a b\n", "/data"], "swaps": ["/dev/sdb2"]}'
  run -0 choose_disk
  [[ $output == *"swapoff /dev/sdb2"*"umount /data/a b"*"umount /data"$'\n'* ]]
}

@test "choose-disk fails when the disk cannot be released" {
  choose_with null '{"path": "/dev/sdb", "mounts": ["/data"], "swaps": []}'
  umount() { return 1; }
  run -1 step choose_disk
  [[ $output == *"'/data' on /dev/sdb cannot be unmounted"* ]]
}

@test "choose-disk fails when the selector cannot be shown" {
  choose_with null '{}'
  echo "exit 3" >"$EMTS_BOOTSTRAPPER"
  run -1 step choose_disk
  [[ $output == *"does not show the config-file's installDisk (exit status 3)"* ]]
}

# The installer's program, which says this and ends with this status.
program() { # shell code
  printf '#!/bin/sh\n%s\n' "$1" >"$BATS_TEST_TMPDIR/program"
  chmod +x "$BATS_TEST_TMPDIR/program"
  EMTS_INSTALLER="$BATS_TEST_TMPDIR/program" bash -c 'source "$1"; shift; "$@"' _ "$BATS_TEST_DIRNAME/../install-os.sh" "${@:2}"
}

@test "what the installer's program says is shown, and its warnings are warnings" {
  run -0 program 'echo "  a $1"; echo "warning: b"' run_installer command
  [ "$output" = $'  a command\nEMTS warning: b' ]
}

@test "the reason of the installer's program is that of the step, and its advice is left for the screen" {
  run -1 program 'echo "{\"reason\": \"no disk\", \"advice\": \"buy one\"}" >"$EMTS_RUN/problem.json"; exit 1' run_installer command
  [[ $output == *" state=failed "*" reason=no disk"* ]]
  [ "$(jq -r .advice "$EMTS_RUN/problem.json")" = "buy one" ]
}

@test "a program that fails without a reason does not repeat that of an earlier one" {
  echo '{"reason": "older"}' >"$EMTS_RUN/problem.json"
  run -1 program 'exit 1' run_installer command
  [[ $output == *" reason=installer command failed without a reason"* ]]
}

@test "find-media and choose-disk of the installer's program fail with their reasons" {
  [ -x "$INSTALLER" ]
  run -1 "$INSTALLER" choose-disk --selector /nonexistent
  run -1 "$INSTALLER" choose-disk --selector /dev/null
  [ "$(jq -r .kind "$EMTS_RUN/problem.json")" = bug ]
  run -0 "$INSTALLER" refuse-installed /nonexistent
}

# The partitions that grow-root notes.
layout() { # JSON
  jq -n "$1" >"$EMTS_RUN/layout.json"
}

@test "mounts the persistent partition of an image that has one, and only then" {
  mount() { echo "mount $*"; }
  mkdir() { :; }
  layout '{root: {node: "/dev/sda2"}}'
  [ -z "$(mount_persistent)" ]
  layout '{root: {node: "/dev/sda2"}, persistent: {node: "/dev/sda3"}}'
  [ "$(mount_persistent)" = "mount /dev/sda3 $TARGET/opt" ]
}

# The stick with its partitions mounted.
media() {
  make_bundle "$BATS_TEST_TMPDIR"
  cp "$BATS_TEST_TMPDIR"/files/* "$EMTS_RUN/media"
  cp "$BATS_TEST_TMPDIR/files/manifest.json" "$EMTS_RUN"
  mkdir -p "$EMTS_RUN/esp/EFI/BOOT"
  cp "$BATS_TEST_TMPDIR/files/hookos.efi" "$EMTS_RUN/esp/EFI/BOOT/BOOTX64.EFI"
  echo '{"path": "/dev/sdz", "partitions": {"EMTS-BOOT": "/dev/sdz1", "EMTS-OS": "/dev/sdz2", "EMTS-CONF": "/dev/sdz3"}}' \
    >"$RUN/stick.json"
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

@test "an end that nothing explains is a failure of its step" {
  run -1 bash -c 'source "$1"; unmount_all() { :; }; write_logs() { :; }
    trap "on_exit \$?" EXIT; STEP=grow-root; exit 3' _ "$BATS_TEST_DIRNAME/../install-os.sh"
  [[ $output == *"EMTS step=grow-root state=failed"*"ended with exit code 3"* ]]
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
  call_installer() { echo "$1"; }
  echo "version: 1.0" >"$CONFIG_FILE"
  run -0 step find_media
  [ "$output" = $'find-media\nchecked\nset-clock\nEMTS warning: '"$DOUBLE_WARNING"$'\nrefuse-installed' ]
}

@test "the screen gets each line of the log, and its end" {
  mkfifo "$EMTS_RUN/lines"
  cat "$EMTS_RUN/lines" >"$EMTS_RUN/shown" &
  SCREEN_PROCESS=$!
  exec {SCREEN}>"$EMTS_RUN/lines"
  run -0 say one two
  [ "$output" = $'one\ntwo' ]
  end_screen
  [ "$(<"$EMTS_RUN/shown")" = $'one\ntwo\nEMTS end' ]
  [ -z "$SCREEN" ]
}

@test "a screen that has ended stops nothing, and its lines go to the kernel's log" {
  printf '#!/bin/sh\nexit 3\n' >"$BATS_TEST_TMPDIR/installer"
  chmod +x "$BATS_TEST_TMPDIR/installer"
  run -3 bash -c 'export EMTS_INSTALLER=$2; source "$1"; start_screen; wait "$SCREEN_PROCESS" || true
    say one; end_screen' _ "$BATS_TEST_DIRNAME/../install-os.sh" "$BATS_TEST_TMPDIR/installer"
  [[ $output == one* ]]
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
  layout '{root: {node: "/dev/sda2"}}'
  run_installer() { echo "$*" >"$BATS_TEST_TMPDIR/installer"; }
  # What it is called with, instead of the real tool.
  printf '#!/bin/sh\necho "$@" >"%s/call"\n' "$BATS_TEST_TMPDIR" >"$EMTS_BOOTSTRAPPER"
}

@test "configure-os makes the whole system by one command" {
  configured
  run -0 step configure_os
  [ "$(<"$BATS_TEST_TMPDIR/call")" = \
    "install --config-file $CONFIG_FILE --root $TARGET --k3s-version $(jq -r .osImage.k3sVersion "$MANIFEST")" ]
  [ "$(<"$BATS_TEST_TMPDIR/installer")" = "note-clock $TARGET" ]
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

@test "the disk is marked also where the stick cannot be written, and what follows is a warning" {
  logs
  mount() { return 1; }
  call_installer() { echo "$1 $2 $4" && return 1; }
  run -0 step save_logs
  [[ $output == *"note-installed --time $CONF/installed.txt"*"EMTS warning: the stick could not note that it installed"* ]]
}

@test "the logs of two attempts at the same time of day do not replace each other" {
  logs
  date() { echo 19700101T000000Z; }
  for reason in first second third; do run -0 write_logs failed "$reason"; done
  for pair in :first -2:second -3:third; do
    [ "$(jq -r .reason "$CONF/logs/19700101T000000Z${pair%%:*}/summary.json")" = "${pair#*:}" ]
  done
}

@test "a full stick is told and does not end the installation" {
  logs
  note_installed() { :; }
  cp() { return 1; }
  run -0 step save_logs
  [[ $output == *"EMTS warning: the logs could not be saved"* ]]
}
