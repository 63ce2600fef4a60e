#!/usr/bin/env bash
# Writes the blocks of the OS image from memory to the disk that the installer is going to choose, by a plain dd,
# and says on the consoles how long that took:
#   EMTS plain-dd: written in <seconds> s
# Nobody's config-file is asked: a disk with `installDisk` is none of its business.
set -Eeuo pipefail

HERE=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
# shellcheck source=hookos/installer/install-os.sh
source "$HERE/install-os.sh"

readonly MEMORY="$RUN/memory"

main_dd() {
  local began
  # Nothing announces file systems, and the modules of hook-os.yaml come later.
  modprobe -a usb_storage uas sd_mod ext4
  mkdir -p "$MEMORY"
  start_screen
  find_media
  echo null >"$RUN/selector.json"
  run_installer choose-disk --selector "$RUN/selector.json"
  DISK=$(jq -er .path "$RUN/disk.json")
  mount -t tmpfs -o size=90% tmpfs "$MEMORY"
  # Decompressed by what writes it, and read back from there.
  run_installer write-image
  dd if="$DISK" of="$MEMORY/image" bs=1M iflag=count_bytes count="$(image_field rawSize)" conv=sparse status=none
  blkdiscard --force "$DISK"
  blockdev --flushbufs "$DISK"
  umount "$MEDIA"
  began=$(uptime_cs)
  dd if="$MEMORY/image" of="$DISK" bs=1M conv=nocreat,notrunc,sparse oflag=direct status=none
  sync "$DISK"
  say "EMTS plain-dd: written in $(seconds_since "$began") s"
  umount "$MEMORY"
  blkdiscard --force "$DISK"
  end_screen
}

main_dd
