#!/usr/bin/env bash
# Boots kernel and initrd made of boot-order.yaml and checks what PID 1 did, in order.
# Usage: boot-order.sh <kernel> <initrd> [seconds until the machine is given up]
set -Eeuo pipefail

readonly KERNEL=$1 INITRD=$2 DEADLINE=${3:-240}

readonly EXPECTED=(
  'onboot 000-first ended with status 0'
  'onboot 001-failing ended with status 3'
  '| the reason'
  'onboot 002-fill ended with status 0'
  'onboot 003-links ended with status 0'
  'service looker starts'
  'RESULT blank volume is filled: yes'
  'RESULT image volume is there: yes'
  'RESULT image volume is writable: no'
  'RESULT root is writable: no'
  'RESULT runtime.mkdir is done: yes'
  'RESULT block devices open: yes'
  'RESULT loopback is up: yes'
  'RESULT end'
  'reboot: stopping the containers'
  'RESULT onshutdown ran'
  'Reboot now'
)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
truncate -s 16M "$work/disk"

# -no-reboot: the restart that PID 1 makes ends the machine.
boot() {
  timeout --kill-after=5 "$DEADLINE" qemu-system-x86_64 \
    -machine q35 -accel tcg,thread=multi -cpu max -m 1024 -smp 2 \
    -nodefaults -display none -serial stdio -no-reboot \
    -drive "file=$work/disk,format=raw,if=virtio" \
    -nic user,restrict=on,model=virtio-net-pci \
    -kernel "$KERNEL" -initrd "$INITRD" -append "console=ttyS0 loglevel=5 panic=-1" </dev/null
}

# Each expected text has to come in a line after the one before.
check() { # console's file
  local line at=0
  while IFS= read -r line && ((at < ${#EXPECTED[@]})); do
    if [[ $line == *"${EXPECTED[at]}"* ]]; then at=$((at + 1)); fi
  done <"$1"
  if ((at < ${#EXPECTED[@]})); then
    # A machine that hangs fills the end with traces; the cause is before them.
    printf 'not seen on the console: %s\nthe console:\n' "${EXPECTED[at]}" >&2
    cat "$1" >&2
    return 1
  fi
}

code=0
boot >"$work/console" || code=$?
check "$work/console"
if ((code != 0)); then
  echo "the machine did not restart by itself within $DEADLINE s (exit code $code)" >&2
  exit 1
fi
echo "boot order: ${#EXPECTED[@]} lines seen in order"
