#!/usr/bin/env bash
# Makes the node's root file system and its initramfs from the unpacked packages.
#
# usage: assemble-root.sh LAYOUT BASE.tar K3S-DIR OUT-DIR
# LAYOUT is plain (a root file system that is written to) or immutable (see README.md).
# Needs root's view of file ownership: run as root or under fakeroot.
# Environment: ROOT_UUID and PERSISTENT_UUID, UUIDs of the file systems; SOURCE_DATE_EPOCH, the time of all their files.
# In OUT-DIR: root.ext4, vmlinuz, initrd.img, kernel-version; with LAYOUT immutable persistent.ext4 as well.
set -Eeuo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
layout=$1 base=$(realpath "$2") k3s=$(realpath "$3") out=$(realpath "$4")
# depmod is not in the PATH of an ordinary user.
export PATH=$PATH:/usr/sbin:/sbin
# The folders that are made here have the same modes whoever makes them.
umask 022

# Free space besides what the files need, in MiB: enough to boot the image as it is, without
# the installer having grown the file system.
readonly slack_mib=256
# Size of the persistent file system of the layout immutable in MiB; the installer grows it.
readonly persistent_mib=256

tree=$out/tree
initramfs=$out/initramfs

main() {
    mkdir "$tree" "$initramfs"
    unpack
    add_files
    link_units
    forget_identity
    add_k3s
    make_initramfs
    case $layout in
        plain) ;;
        immutable) make_persistent ;;
        *) echo "assemble-root.sh: no layout is called $layout" >&2 && exit 1 ;;
    esac
    make_root
    rm -rf "$tree" "$initramfs"
}

unpack() {
    tar --extract --file="$base" --directory="$tree" --numeric-owner --exclude='./dev/*'
    local kernels=("$tree"/boot/vmlinuz-*)
    if [ ${#kernels[@]} -ne 1 ] || [ ! -f "${kernels[0]}" ]; then
        echo "assemble-root.sh: packages.txt has to bring exactly one kernel, seen: ${kernels[*]##*/}" >&2
        exit 1
    fi
    kernel=${kernels[0]##*/vmlinuz-}
    cp "$tree/boot/vmlinuz-$kernel" "$out/vmlinuz"
    echo "$kernel" > "$out/kernel-version"
    # The kernel boots from the ESP; nothing reads it here.
    rm -rf "${tree:?}"/boot/* "$tree"/vmlinuz* "$tree"/initrd.img*
}

# add_folder FOLDER: its files, at their places below it.
add_folder() {
    local path mode
    while IFS= read -r -d '' path; do
        # Modes of our own: a checkout's umask must not decide who may write on the node.
        mode=644
        [ ! -x "$1/$path" ] || mode=755
        install -D -o 0 -g 0 -m "$mode" "$1/$path" "$tree/$path"
    done < <(cd "$1" && find . -type f -print0)
}

add_files() {
    add_folder "$here/rootfs"
    [ "$layout" != immutable ] || add_folder "$here/immutable/rootfs"
    # What DHCP said, readable for pods too; see rootfs/etc/systemd/resolved.conf.d.
    ln -sfn ../run/systemd/resolve/resolv.conf "$tree/etc/resolv.conf"
    # Debian has runc in /usr/sbin only; the second name is the sample's custom runtime.
    ln -s ../sbin/runc "$tree/usr/bin/custom-container-runtime"
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

link_units() {
    local system=$tree/etc/systemd/system
    want multi-user.target systemd-networkd.service
    want network-online.target systemd-networkd-wait-online.service
    want sockets.target systemd-networkd.socket
    ln -sfn /lib/systemd/system/systemd-networkd.service \
        "$system/dbus-org.freedesktop.network1.service"
    mkdir -p "$system/ssh.service.wants"
    ln -sfn /etc/systemd/system/ssh-host-keys.service "$system/ssh.service.wants/ssh-host-keys.service"

    # cloud-init always runs here: no need to search for signs of a cloud at every boot.
    want multi-user.target cloud-init.target
    mkdir -p "$tree/etc/systemd/system-generators"
    # Nor for what this disk does not have: each generator is a process at every boot.
    local generator
    for generator in cloud-init-generator systemd-cryptsetup-generator \
        systemd-integritysetup-generator systemd-veritysetup-generator \
        systemd-hibernate-resume-generator systemd-gpt-auto-generator \
        systemd-system-update-generator; do
        ln -s /dev/null "$tree/etc/systemd/system-generators/$generator"
    done
    # Nothing before sshd resolves names: taken out of the way of sysinit.target.
    sed 's/^Before=.*/Before=shutdown.target/' "$tree/lib/systemd/system/systemd-resolved.service" \
        > "$system/systemd-resolved.service"
    rm "$system/sysinit.target.wants/systemd-resolved.service"
    mkdir -p "$system/multi-user.target.wants"
    ln -sfn /etc/systemd/system/systemd-resolved.service \
        "$system/multi-user.target.wants/systemd-resolved.service"
    # Without time servers there is nobody to ask; cluster-bootstrapper makes these links again.
    rm -f "$system/sysinit.target.wants/systemd-timesyncd.service" \
        "$system/dbus-org.freedesktop.timesync1.service"
    # Through this alias cloud-init's units would hold back sshd.
    rm "$system/sshd.service"
    rm "$system"/cloud-init.target.wants/cloud-{init-hotplugd.socket,init-local.service,config.service}
    mask cloud-init-local.service cloud-config.service

    # A getty hangs up other writers of its line: the kernel console belongs to the kernel.
    mask serial-getty@ttyS0.service
    # Periodic work that a node under test does not need.
    mask fstrim.timer dpkg-db-backup.timer apt-daily.timer apt-daily-upgrade.timer \
        man-db.timer e2scrub_all.timer e2scrub_reap.service
    # No state to carry over, no hardware for it, or no use without a seat.
    mask systemd-pstore.service systemd-update-utmp.service systemd-update-utmp-runlevel.service \
        systemd-hwdb-update.service systemd-journal-catalog-update.service \
        systemd-binfmt.service systemd-repart.service sys-fs-fuse-connections.mount \
        sys-kernel-config.mount sys-kernel-debug.mount sys-kernel-tracing.mount \
        systemd-networkd-wait-online@.service keyboard-setup.service \
        console-setup.service
    # It takes a mounted /etc/machine-id for one that still has to be written to the disk.
    [ "$layout" != immutable ] || mask systemd-machine-id-commit.service
}

forget_identity() {
    rm -f "$tree"/etc/ssh/ssh_host_*
    # Empty, not absent: systemd fills it in and does not take the boot for a first one, which
    # would reset all units to their presets.
    : > "$tree/etc/machine-id"
    rm -f "$tree/var/lib/dbus/machine-id" "$tree/var/lib/systemd/random-seed"
    ln -s /etc/machine-id "$tree/var/lib/dbus/machine-id"
    # /usr has not changed since: users, caches and databases need no update at the first boot.
    touch "$tree/etc/.updated" "$tree/var/.updated"
    sed -i 's/^root:[^:]*:/root:*:/' "$tree/etc/shadow"
    rm -rf "${tree:?}"/{var/lib/apt/lists,var/cache/apt,var/log,tmp,run}/*
}

add_k3s() {
    install -D -o 0 -g 0 -m 755 "$k3s/k3s" "$tree/usr/local/bin/k3s"
    install -D -o 0 -g 0 -m 755 "$k3s/install.sh" "$tree/opt/install.sh"
    install -D -o 0 -g 0 -m 644 "$k3s/version" "$tree/usr/local/lib/emts/k3s-version"
    local archive
    for archive in "$k3s"/images/*; do
        install -D -o 0 -g 0 -m 644 "$archive" "$tree/var/lib/rancher/k3s/agent/images/${archive##*/}"
    done
}

# The modules of initramfs/modules.txt that this kernel has, with what they need.
module_files() {
    local name
    sed 's/#.*//' "$here/initramfs/modules.txt" | while read -r name; do
        [ -n "$name" ] || continue
        modprobe --dirname="$tree" --set-version="$kernel" --show-depends "$name" 2> /dev/null || true
    done | sed -n "s|^insmod $tree/||p" | cut -d' ' -f1 | sort -u
}

make_initramfs() {
    local file
    mkdir -p "$initramfs"/{bin,dev,proc,sys,root}
    install -m 755 "$here/initramfs/init" "$initramfs/init"
    install -m 755 "$tree/bin/busybox" "$initramfs/bin/busybox"
    if [ "$layout" = immutable ]; then
        install -m 644 "$here/immutable/mounts.sh" "$here/immutable/persistent.txt" "$initramfs/"
    fi
    module_files | while read -r file; do
        install -D -m 644 "$tree/$file" "$initramfs/$file"
    done
    cp "$tree/lib/modules/$kernel"/modules.{builtin,builtin.modinfo,order} \
        "$initramfs/lib/modules/$kernel/"
    depmod --basedir="$initramfs" "$kernel"
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
    "$here/make-ext4.sh" "$out/root.ext4" "$need_mib" rootfs "$ROOT_UUID" "$tree"
}

# It is mounted at /opt, so it starts with what the root file system would have there.
make_persistent() {
    mv "$tree/opt" "$out/opt"
    mkdir "$tree/opt"
    # As few inodes as a large disk has: the size when it is made is not the one that it is used with.
    "$here/make-ext4.sh" "$out/persistent.ext4" "$persistent_mib" edge_persistent "$PERSISTENT_UUID" "$out/opt" -i 16384
    rm -rf "$out/opt"
}

main
