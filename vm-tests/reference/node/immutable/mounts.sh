# shellcheck shell=dash disable=SC2154 # init sets root, options and device
# Sourced by ../initramfs/init in the layout immutable, where it replaces mount_root: the root file system is
# never written to, /etc and /var are kept in memory, and what persistent.txt lists is on a partition of its own.

# GPT name of that partition, which is on the disk of the root file system and is mounted at /opt.
persistent=edge_persistent
store=/root/opt/.mount/persistence
# In /run, so that it stays visible in the running system.
layers=/run/emts-layers

find_root() {
    find_device || return 1
    # One folder up from a partition is its disk, with all its partitions.
    uevent=$(busybox grep -lx "PARTNAME=$persistent" "/sys/class/block/${device##*/}"/../*/uevent) &&
        persistent_device=/dev/$(busybox sed -n 's/^DEVNAME=//p' "$uevent") && [ -b "$persistent_device" ]
}

mount_root() {
    # The kernel then refuses every write to the partition, a replay of the file system's journal among them.
    busybox blockdev --setro "$device" || fail "$device cannot be made read-only"
    busybox mount -t ext4 -o "$options" "$device" /root || fail "mounting $device ($root) read-only failed"
    busybox mkdir -p /run
    busybox mount -t tmpfs -o mode=0755,nosuid,nodev run /run || fail "mounting /run failed"
    busybox mkdir "$layers"
    # All that is written to /etc and /var has to fit into a quarter of the memory.
    busybox mount -t tmpfs -o mode=0755,nosuid,nodev,size=25% layers "$layers" || fail "mounting $layers failed"
    busybox modprobe -q overlay
    layer etc
    layer var
    busybox mount -t tmpfs -o mode=1777,nosuid,nodev tmp /root/tmp || fail "mounting /tmp failed"
    busybox mount -t ext4 "$persistent_device" /root/opt || fail "mounting $persistent_device ($persistent) failed"
    seed
    each bind
    busybox mount -o move /run /root/run
}

layer() { # folder of the root
    busybox mkdir -p "$layers/$1/upper" "$layers/$1/work"
    busybox mount -t overlay -o "lowerdir=/root/$1,upperdir=$layers/$1/upper,workdir=$layers/$1/work" \
        overlay "/root/$1" || fail "mounting /$1 in memory failed"
}

# Calls a function with each path of persistent.txt that the image has.
each() {
    while read -r path; do
        case $path in
            /*/) busybox mkdir -p "/root$path" ;;
            /*) [ -e "/root$path" ] || continue ;;
            *) continue ;;
        esac
        "$1" "${path%/}"
    done < /persistent.txt
}

# Copies what the partition does not have yet; each is there whole or not at all, also after a power cut.
seed() {
    copied=''
    each copy
    [ -n "$copied" ] || return 0
    busybox sync
    each keep
}

copy() {
    [ ! -e "$store$1" ] || return 0
    busybox rm -rf "$store$1.new"
    busybox mkdir -p "$store${1%/*}"
    busybox cp -a "/root$1" "$store$1.new" || fail "copying $1 to $persistent_device failed"
    copied=yes
}

keep() {
    [ -e "$store$1" ] || busybox mv "$store$1.new" "$store$1" || fail "keeping $1 on $persistent_device failed"
}

bind() {
    busybox mount -o bind "$store$1" "/root$1" || fail "mounting $1 from $persistent_device failed"
}
