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
result "blank volume is filled" $bb test -s /blank/filled
result "image volume is there" $bb test -s /image/bin/busybox
result "image volume is writable" $bb touch /host/containers/volumes/image/merged/x
result "root is writable" $bb touch /host/x
result "runtime.mkdir is done" $bb test -d /host/var/lib/looker
result "block devices open" $bb dd if=/dev/vda of=/dev/null bs=512 count=1
result "loopback is up" $bb grep -q 0x9 /host/sys/class/net/lo/flags
echo "RESULT end"
$bb kill -TERM 1
