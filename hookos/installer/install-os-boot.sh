# shellcheck shell=bash
# Sourced by install-os.sh: the firmware's boot entry, and the restart of the machine.

readonly EFIVARS=/sys/firmware/efi/efivars

# Seconds that a message stays before the restart that it announces.
readonly READABLE=10

# What is not there is the installer's to say.
mount_efivars() {
  if ! compgen -G "$EFIVARS/*" >/dev/null; then mount -t efivarfs efivarfs "$EFIVARS" || true; fi
}

# ---------------------------------------------------------------- set-boot-order

check_loader() { # node of the ESP
  mkdir -p "$ESP"
  mount -t vfat -o ro "$1" "$ESP" || fail "the EFI system partition $1 cannot be mounted"
  [[ -s $ESP/EFI/BOOT/BOOTX64.EFI ]] || fail "the EFI system partition $1 has no EFI/BOOT/BOOTX64.EFI"
  umount "$ESP"
}

set_boot_order() {
  local node
  node=$(target_partition esp node)
  check_loader "$node"
  mount_efivars
  run_installer set-boot-order
}

# Before the disk is touched: an image that the firmware refuses would be found out after the restart.
check_secure_boot() {
  mount_efivars
  run_installer check-secure-boot
}

# Restarts into a disk that is installed already, where the firmware starts the stick first whatever its boot order
# says. Returns where that was tried and the disk has not started since, or the firmware cannot be told.
restart_into_installed() {
  local code=0
  mount_efivars
  mount -o remount,rw "$CONF" || return 0
  call_installer boot-next "$CONF/restarted.txt" || code=$?
  mount -o remount,ro "$CONF" || true
  if ((code != 0)); then
    say "It cannot be started from here: $(jq -r .reason "$RUN/problem.json")"
    return 0
  fi
  say "This stick has installed it already, and the machine restarts from it in $READABLE s." \
    "To install again, delete $INSTALLED from EMTS-CONF or make the stick again."
  sleep "$READABLE"
  unmount_all || true
  restart_machine
}

# ---------------------------------------------------------------- reboot

reboot() {
  unmount_all
  sync "$DISK"
  blockdev --flushbufs "$DISK"
  marker reboot "done"
  end_screen || true
  restart_machine
  start_screen
  fail "the machine did not restart"
}

# reboot(2) in a container's PID namespace ends only the container. The SysRq trigger restarts the machine
# from anywhere; as the container's own /proc may be read-only there, all ways to it are tried.
# Returns if none of them has an effect.
restart_machine() {
  local proc
  mkdir -p "$RUN/proc"
  mount -t proc proc "$RUN/proc" || true
  for proc in "$RUN/proc" /proc /host/proc; do
    # A restart needs a moment; only a trigger that had no effect is followed by the next.
    if (echo b >"$proc/sysrq-trigger"); then sleep 5; fi
  done
  if nsenter --pid=/host/proc/1/ns/pid -- reboot -f; then sleep 5; fi
}
