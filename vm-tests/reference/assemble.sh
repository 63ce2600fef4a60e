#!/usr/bin/env bash
# Makes a reference machine's root file system and its initramfs from the unpacked packages.
#
# usage: assemble.sh MACHINE BASE.tar OUT-DIR [ARGUMENT]...
# MACHINE is a directory beside this script. Its configure.sh is sourced, gets the arguments and has the label of the
# root file system and functions, of which `configure` alone has to be there:
#   configure          completes $tree, which has the packages and the files of rootfs/
#   add_to_initramfs   completes $initramfs
#   move_out           takes out of $tree what another file system has
# Needs root's view of file ownership: run as root or under fakeroot.
# Environment: ROOT_UUID, UUID of the root file system; SOURCE_DATE_EPOCH, the time of all its files.
# In OUT-DIR: root.ext4, vmlinuz, initrd.img, kernel-version, drivers (those of storage that it starts with).
set -Eeuo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
machine=$here/$1 base=$(realpath "$2") out=$(realpath "$3")
# depmod is not in the PATH of an ordinary user.
export PATH=$PATH:/usr/sbin:/sbin
# The directories that are made here have the same modes whoever makes them.
umask 022

# Free space besides what the files need, in MiB: enough to boot the image as it is, without
# the installer having grown the file system.
readonly slack_mib=256

tree=$out/tree
initramfs=$out/initramfs

# shellcheck source=vm-tests/reference/node/configure.sh
. "$machine/configure.sh" "${@:4}"

main() {
    mkdir "$tree" "$initramfs"
    unpack
    add_directory "$machine/rootfs"
    start_network_and_ssh
    configure
    forget_identity
    make_initramfs
    optional move_out
    make_root
    rm -rf "$tree" "$initramfs"
}

# optional FUNCTION: calls it where the machine has it.
optional() {
    ! declare -F "$1" > /dev/null || "$1"
}

unpack() {
    tar --extract --file="$base" --directory="$tree" --numeric-owner --exclude='./dev/*'
    local kernels=("$tree"/boot/vmlinuz-*)
    if [ ${#kernels[@]} -ne 1 ] || [ ! -f "${kernels[0]}" ]; then
        echo "assemble.sh: packages.txt has to bring exactly one kernel, seen: ${kernels[*]##*/}" >&2
        exit 1
    fi
    kernel=${kernels[0]##*/vmlinuz-}
    cp "$tree/boot/vmlinuz-$kernel" "$out/vmlinuz"
    echo "$kernel" > "$out/kernel-version"
    # The kernel boots from the ESP; nothing reads it here.
    rm -rf "${tree:?}"/boot/* "$tree"/vmlinuz* "$tree"/initrd.img*
}

# add_directory DIRECTORY: its files, at their places below it.
add_directory() {
    local path mode
    while IFS= read -r -d '' path; do
        # Modes of our own: a checkout's umask must not decide who may write on the node.
        mode=644
        [ ! -x "$1/$path" ] || mode=755
        install -D -o 0 -g 0 -m "$mode" "$1/$path" "$tree/$path"
    done < <(cd "$1" && find . -type f -print0)
}

# want TARGET UNIT: the target starts the unit.
want() {
    mkdir -p "$tree/etc/systemd/system/$1.wants"
    ln -sfn "/lib/systemd/system/$2" "$tree/etc/systemd/system/$1.wants/$2"
}

mask() {
    local unit
    for unit; do
        ln -sfn /dev/null "$tree/etc/systemd/system/$unit"
    done
}

start_network_and_ssh() {
    want multi-user.target systemd-networkd.service
    mkdir -p "$tree/etc/systemd/system/ssh.service.wants"
    ln -sfn /etc/systemd/system/ssh-host-keys.service \
        "$tree/etc/systemd/system/ssh.service.wants/ssh-host-keys.service"
    # A getty hangs up other writers of its line: the kernel console belongs to the kernel.
    mask serial-getty@ttyS0.service
}

forget_identity() {
    rm -f "$tree"/etc/ssh/ssh_host_*
    # Empty, not absent: systemd fills it in and does not take the boot for a first one, which
    # would reset all units to their presets.
    : > "$tree/etc/machine-id"
}

# The modules of initramfs/modules.txt that this kernel has, with what they need.
module_files() {
    local name
    sed 's/#.*//' "$here/initramfs/modules.txt" | while read -r name; do
        [ -n "$name" ] || continue
        modprobe --dirname="$tree" --set-version="$kernel" --show-depends "$name" 2> /dev/null || true
    done | sed -n "s|^insmod $tree/||p" | cut -d' ' -f1 | sort -u
}

# The drivers of storage that the initramfs has or the kernel has built in, as the kernel names modules.
list_drivers() {
    (cd "$initramfs/lib/modules/$kernel" && find . -name '*.ko*' && cat modules.builtin) |
        grep -E '/drivers/(ata|block|hv|message|mmc|nvme|nvdimm|pci/controller|scsi|ufs|usb|virtio)/' |
        sed 's|.*/||; s/\.ko.*//; y/-/_/' | LC_ALL=C sort -u
}

make_initramfs() {
    local file
    mkdir -p "$initramfs"/{bin,dev,proc,sys,root}
    install -m 755 "$here/initramfs/init" "$initramfs/init"
    install -m 755 "$tree/bin/busybox" "$initramfs/bin/busybox"
    optional add_to_initramfs
    module_files | while read -r file; do
        install -D -m 644 "$tree/$file" "$initramfs/$file"
    done
    cp "$tree/lib/modules/$kernel"/modules.{builtin,builtin.modinfo,order} \
        "$initramfs/lib/modules/$kernel/"
    depmod --basedir="$initramfs" "$kernel"
    list_drivers > "$out/drivers"
    find "$initramfs" -exec touch --no-dereference --date=@0 {} +
    (cd "$initramfs" && find . -mindepth 1 -print0 | LC_ALL=C sort -z |
        cpio --null --create --format=newc --owner=0:0 --reproducible --quiet) |
        zstd --quiet -15 > "$out/initrd.img"
}

make_root() {
    local used_kib files
    # Not what du says: what a folder takes depends on the file system that it is on.
    used_kib=$(find "$tree" -type f -printf '%s\n' | awk '{ sum += int(($1 + 1023) / 1024) } END { print sum }')
    files=$(find "$tree" | wc -l)
    # 4 KiB of rounding or folder and 256 bytes of inode per file, 64 MiB of journal, 6 % for block maps.
    local need_mib=$(((used_kib + files * 5) * 106 / 100 / 1024 + 64 + slack_mib))
    "$here/make-ext4.sh" "$out/root.ext4" "$need_mib" "$label" "$ROOT_UUID" "$tree"
}

main
