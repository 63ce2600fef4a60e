#!/usr/bin/env bash
# Boots kernel and initrd made of boot-order.yaml twice and checks what PID 1 did, in order. The first
# machine is restarted by ctrl-alt-del, the second one switches itself off.
# Usage: boot-order.sh <kernel> <initrd> [processors, more than one with QEMU 8.1 or later] [seconds until a machine is given up]
set -Eeuo pipefail

readonly KERNEL=$1 INITRD=$2 CPUS=${3:-1} DEADLINE=${4:-240}

readonly RESTARTED=(
  'onboot 000-first ended with status 0'
  'onboot 001-failing ended with status 3'
  '| the reason'
  'onboot 002-sysctl ended with status 0'
  'onboot 003-modprobe ended with status 0'
  'onboot 004-dhcpcd ended with status 0'
  'onboot 005-leased ended with status 0'
  'onboot 006-fill ended with status 0'
  'onboot 007-links ended with status 0'
  'service looker starts'
  'service rngd starts'
  'RESULT blank volume is filled: yes'
  'RESULT image volume is there: yes'
  'RESULT image volume is writable: no'
  'RESULT root is writable: no'
  'RESULT runtime.mkdir is done: yes'
  'RESULT block devices open: yes'
  'RESULT loopback is up: yes'
  'RESULT host name is made of the address: yes'
  'RESULT limit of open files is raised: yes'
  'RESULT control groups are version 2: yes'
  'RESULT random numbers are ready: yes'
  'RESULT sysctl has set its value: yes'
  'RESULT modprobe has loaded its modules: yes'
  'RESULT rngd reads the hardware generator: yes'
  'RESULT end'
  'reboot: stopping the containers'
  'RESULT onshutdown ran'
  'Reboot now'
)
# With linuxkit.runc_console=1 a container's words are on the console while it runs.
readonly SWITCHED_OFF=(
  'onboot 001-failing starts'
  'the reason'
  'onboot 001-failing ended with status 3'
  'RESULT end'
  'power off: stopping the containers'
  'RESULT onshutdown ran'
  'PowerOff now'
)

work=$(mktemp -d)
qemu=
trap '[[ -z $qemu ]] || kill "$qemu" 2>/dev/null || true; rm -rf "$work"' EXIT
truncate -s 16M "$work/disk"
mkfifo "$work/monitor"

# -no-reboot: the restart that PID 1 makes ends the machine.
start() { # console's file, kernel options
  : >"$1"
  timeout --kill-after=5 "$DEADLINE" qemu-system-x86_64 \
    -machine q35 -accel tcg,thread=multi -cpu max -m 1024 -smp "$CPUS" \
    -nodefaults -display none -serial "file:$1" -monitor stdio -no-reboot \
    -drive "file=$work/disk,format=raw,if=virtio" \
    -nic user,restrict=on,model=virtio-net-pci,domainname=boot.test -device virtio-rng-pci \
    -kernel "$KERNEL" -initrd "$INITRD" -append "console=ttyS0 loglevel=5 panic=-1 $2" \
    <"$work/monitor" >"$work/monitor.out" 2>&1 &
  qemu=$!
  exec 3>"$work/monitor"
}

# Presses the keys when the console has the text; a machine that ends before is found by `check`.
press_after() { # console's file, text, keys
  until grep -q "$2" "$1"; do
    kill -0 "$qemu" 2>/dev/null || return 0
    sleep 0.2
  done
  echo "sendkey $3" >&3
}

# Each expected text has to come in a line after the one before.
check() { # console's file, expected...
  local line at=0 console=$1
  shift
  local expected=("$@")
  while IFS= read -r line && ((at < ${#expected[@]})); do
    if [[ $line == *"${expected[at]}"* ]]; then at=$((at + 1)); fi
  done <"$console"
  if ((at < ${#expected[@]})); then
    # A machine that hangs fills the end with traces; the cause is before them.
    printf 'not seen on the console: %s\nthe console:\n' "${expected[at]}" >&2
    cat "$console" >&2
    return 1
  fi
}

end() { # console's file, expected...
  local code=0
  wait "$qemu" || code=$?
  qemu=
  exec 3>&-
  check "$@"
  if ((code != 0)); then
    echo "the machine did not end by itself within $DEADLINE s (exit code $code):" >&2
    cat "$work/monitor.out" >&2
    return 1
  fi
}

start "$work/restarted" ''
press_after "$work/restarted" 'RESULT end' ctrl-alt-delete
end "$work/restarted" "${RESTARTED[@]}"

start "$work/switched-off" 'linuxkit.runc_console=1 looker=power-off'
end "$work/switched-off" "${SWITCHED_OFF[@]}"

echo "boot order: ${#RESTARTED[@]} and ${#SWITCHED_OFF[@]} lines seen in order"
