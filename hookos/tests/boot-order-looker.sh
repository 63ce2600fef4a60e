#!/bin/busybox sh
# shellcheck shell=dash
# Runs in the service `looker` of boot-order.yaml and writes what it sees to the serial port.
exec >/dev/ttyS0 2>&1

result() { # description, command...
  description=$1
  shift
  if "$@" >/dev/null 2>&1; then
    echo "RESULT $description: yes"
  else
    echo "RESULT $description: no"
  fi
}

bb=/bin/busybox

# Services start one beside the other: waits up to half a minute for a program that has it open.
generator_is_read() {
  read -r begun _ </proc/uptime
  while :; do
    for fd in /proc/[0-9]*/fd/*; do
      case $($bb readlink "$fd") in */hwrng) return 0 ;; esac
    done
    read -r now _ </proc/uptime
    if [ $((${now%.*} - ${begun%.*})) -ge 30 ]; then return 1; fi
    $bb usleep 200000
  done
}

result "blank volume is filled" $bb test -s /blank/filled
result "image volume is there" $bb test -s /image/bin/busybox
result "image volume is writable" $bb touch /host/containers/volumes/image/merged/x
result "root is writable" $bb touch /host/x
result "runtime.mkdir is done" $bb test -d /host/var/lib/looker
result "block devices open" $bb dd if=/dev/vda of=/dev/null bs=512 count=1
result "loopback is up" $bb grep -q 0x9 /host/sys/class/net/lo/flags
# The address that QEMU gives the first interface.
result "host name is made of the address" $bb grep -qx linuxkit-525400123456 /proc/sys/kernel/hostname
result "limit of open files is raised" $bb grep -Eq "^Max open files +1048576 +1048576" /proc/1/limits
result "control groups are version 2" $bb test -e /host/sys/fs/cgroup/cgroup.controllers
result "random numbers are ready" $bb timeout 20 $bb head -c 16 /dev/random
result "sysctl has set its value" $bb grep -qx 16777216 /host/proc/sys/vm/dirty_background_bytes
result "modprobe has loaded its modules" $bb test -d /host/sys/module/loop -a -d /host/sys/module/vfat
result "rngd reads the hardware generator" generator_is_read
echo "RESULT end"
if $bb grep -q looker=power-off /proc/cmdline; then $bb kill -USR2 1; fi
