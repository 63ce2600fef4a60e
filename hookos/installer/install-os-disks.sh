# shellcheck shell=bash
# Sourced by install-os.sh: the choice of the target disk.

# ---------------------------------------------------------------- choose-disk

choose_disk() {
  local selector="$RUN/selector.json"
  "$BOOTSTRAPPER" show install-disk --config-file "$CONFIG_FILE" >"$selector" ||
    fail "cluster-bootstrapper does not show the config-file's installDisk (exit status $?)"
  if [[ $(<"$selector") != null ]]; then say "installDisk: $(<"$selector")"; fi
  run_installer choose-disk --selector "$selector"
  DISK=$(jq -er .path "$RUN/disk.json")
  run_installer check-target
  run_installer announce-loss
  release_disk
}

# Switches off what is swapped to and unmounts what is mounted of the target, which installDisk.wipe allows to overwrite.
release_disk() {
  local place
  while IFS= read -r -d '' place; do
    swapoff "$place" || fail "swap on $place cannot be switched off"
    say "swap on $place is switched off: installDisk.wipe allows to overwrite it"
  done < <(jq -j '.swaps[] + "\u0000"' "$RUN/disk.json")
  while IFS= read -r -d '' place; do
    umount "$place" || fail "${place@Q} on $DISK cannot be unmounted"
    say "${place@Q} on $DISK is unmounted: installDisk.wipe allows to overwrite it"
  done < <(jq -j '.mounts[] + "\u0000"' "$RUN/disk.json")
}
