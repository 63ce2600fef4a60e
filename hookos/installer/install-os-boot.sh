# shellcheck shell=bash
# Sourced by install-os.sh: the firmware's boot entry, and the restart of the machine.

readonly BOOT_LABEL=EMTS
readonly BOOT_LOADER='\EFI\BOOT\BOOTX64.EFI'

# ---------------------------------------------------------------- set-boot-order

mount_efivars() {
  local dir=/sys/firmware/efi/efivars
  [[ -d $dir ]] || return 1
  if compgen -G "$dir/*" >/dev/null; then return 0; fi
  mount -t efivarfs efivarfs "$dir"
}

# The numbers of the entries with our label that start from this ESP, from `efibootmgr -v` on stdin.
entries_for() { # PARTUUID of the ESP
  sed -nE "s/^Boot([0-9A-F]{4})[* ] $BOOT_LABEL\t.*GPT,$1,.*/\1/Ip"
}

# BootOrder with this entry first and all others in their order.
order_with_first() { # number, BootOrder as 0001,0002
  local number order=$1
  for number in ${2//,/ }; do
    if [[ $number != "$1" ]]; then order+=",$number"; fi
  done
  printf '%s\n' "$order"
}

boot_order() { efibootmgr | sed -nE 's/^BootOrder: //p'; }

boot_entry_in_place() { # number, PARTUUID
  [[ $(boot_order) == "$1"* ]] && [[ $(efibootmgr -v | grep "^Boot$1\* " | entries_for "$2") == "$1" ]]
}

# Makes or reuses our entry and puts it first. Returns 1 if the firmware does not keep it.
write_boot_entry() { # number of the ESP, PARTUUID
  local entries
  mapfile -t entries < <(efibootmgr -v | entries_for "$2")
  if ((${#entries[@]} == 0)); then
    efibootmgr --create-only --disk "$DISK" --part "$1" --label "$BOOT_LABEL" --loader "$BOOT_LOADER" || return 1
    mapfile -t entries < <(efibootmgr -v | entries_for "$2")
  fi
  ((${#entries[@]} > 0)) || return 1
  efibootmgr --bootnum "${entries[0]}" --active || return 1
  efibootmgr --bootorder "$(order_with_first "${entries[0]}" "$(boot_order)")" || return 1
  boot_entry_in_place "${entries[0]}" "$2"
}

check_loader() { # node of the ESP
  mkdir -p "$ESP"
  mount -t vfat -o ro "$1" "$ESP" || fail "the EFI system partition $1 cannot be mounted"
  [[ -s $ESP/EFI/BOOT/BOOTX64.EFI ]] || fail "the EFI system partition $1 has no EFI/BOOT/BOOTX64.EFI"
  umount "$ESP"
}

set_boot_order() {
  local part node uuid
  part=$(target_partition esp number)
  node=$(target_partition esp node)
  uuid=$(target_partition esp guid)
  check_loader "$node"
  if ! mount_efivars; then
    warn "no access to the firmware's variables; set the firmware to start from $DISK, or remove the stick"
  elif ! write_boot_entry "$part" "$uuid"; then
    warn "the firmware did not keep the boot entry; set it to start from $DISK, or remove the stick"
  fi
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
