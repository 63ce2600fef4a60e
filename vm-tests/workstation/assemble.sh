#!/usr/bin/env bash
# Makes the workstation's root file system and its initramfs from the unpacked packages.
#
# usage: assemble.sh BASE.tar INITRAMFS-DIR OUT-DIR
# Needs root's view of file ownership: run as root or under fakeroot.
# Environment: ROOT_UUID, UUID of the file system.
# In OUT-DIR: root.ext4, vmlinuz, initrd.img.
set -Eeuo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
base=$(realpath "$1") source=$(realpath "$2") out=$(realpath "$3")
export PATH=$PATH:/usr/sbin:/sbin
tree=$out/tree
initramfs=$out/initramfs

main() {
    mkdir "$tree" "$initramfs"
    unpack
    add_files
    make_initramfs
    make_filesystem
    rm -rf "$tree" "$initramfs"
}

unpack() {
    tar --extract --file="$base" --directory="$tree" --numeric-owner --exclude='./dev/*'
    local kernels=("$tree"/boot/vmlinuz-*)
    if [ ${#kernels[@]} -ne 1 ] || [ ! -f "${kernels[0]}" ]; then
        echo "assemble.sh: packages.txt has to bring exactly one kernel, seen: ${kernels[*]##*/}" >&2
        exit 1
    fi
    kernel=${kernels[0]##*/vmlinuz-}
    cp "${kernels[0]}" "$out/vmlinuz"
    rm -rf "${tree:?}"/boot/* "$tree"/vmlinuz* "$tree"/initrd.img*
}

add_files() {
    local path system=$tree/etc/systemd/system
    while IFS= read -r -d '' path; do
        install -D -o 0 -g 0 -m 644 "$here/rootfs/$path" "$tree/$path"
    done < <(cd "$here/rootfs" && find . -type f -print0)
    mkdir -p "$tree/work" "$system/multi-user.target.wants" "$system/ssh.service.wants"
    install -d -o 0 -g 0 -m 700 "$tree/root/.ssh"
    ln -s /lib/systemd/system/systemd-networkd.service "$system/multi-user.target.wants/"
    ln -s /etc/systemd/system/ssh-host-keys.service "$system/ssh.service.wants/"
    # A getty on the kernel's console would write between its messages.
    ln -s /dev/null "$system/serial-getty@ttyS0.service"
    # Nothing here is kept over a boot, and nothing runs by the clock.
    local unit
    for unit in systemd-random-seed.service systemd-pstore.service e2scrub_reap.service \
        fstrim.timer dpkg-db-backup.timer e2scrub_all.timer; do
        ln -sf /dev/null "$system/$unit"
    done
    rm -f "$tree"/etc/ssh/ssh_host_*
    # Empty, not absent: systemd does not take the boot for a first one.
    : > "$tree/etc/machine-id"
}

# The modules of modules.txt that this kernel has, with what they need.
module_files() {
    local name
    sed 's/#.*//' "$source/modules.txt" | while read -r name; do
        [ -n "$name" ] || continue
        modprobe --dirname="$tree" --set-version="$kernel" --show-depends "$name" 2> /dev/null || true
    done | sed -n "s|^insmod $tree/||p" | cut -d' ' -f1 | sort -u
}

make_initramfs() {
    local file
    depmod --basedir="$tree" "$kernel"
    mkdir -p "$initramfs"/{bin,dev,proc,sys,root}
    install -m 755 "$source/init" "$initramfs/init"
    install -m 755 "$tree/bin/busybox" "$initramfs/bin/busybox"
    module_files | while read -r file; do
        install -D -m 644 "$tree/$file" "$initramfs/$file"
    done
    cp "$tree/lib/modules/$kernel"/modules.{builtin,builtin.modinfo,order} "$initramfs/lib/modules/$kernel/"
    depmod --basedir="$initramfs" "$kernel"
    (cd "$initramfs" && find . -mindepth 1 -print0 | LC_ALL=C sort -z |
        cpio --null --create --format=newc --owner=0:0 --quiet) | zstd --quiet -9 > "$out/initrd.img"
}

make_filesystem() {
    local used_mib
    used_mib=$(du --summarize --block-size=1M "$tree" | cut -f1)
    truncate --size="$((used_mib * 110 / 100 + 96))M" "$out/root.ext4"
    mke2fs -q -F -t ext4 -m 0 -L workstation -U "$ROOT_UUID" \
        -E lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0 -d "$tree" "$out/root.ext4"
}

main
