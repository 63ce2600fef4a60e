# shellcheck shell=bash disable=SC2154 # assemble.sh, which sources this, sets here, machine, tree, out and initramfs
# What the node has beside its packages and rootfs/.
#
# arguments: LAYOUT K3S-DIR
# LAYOUT is plain (a root file system that is written to) or immutable (see README.md), which has persistent.ext4 as well.
# Environment: PERSISTENT_UUID, the UUID of that file system.

layout=$1 k3s=$(realpath "$2")
# shellcheck disable=SC2034 # for assemble.sh
label=rootfs
# Size of the persistent file system of the layout immutable in MiB; the installer grows it.
readonly persistent_mib=256

case $layout in
    plain | immutable) ;;
    *) echo "configure.sh: no layout is called $layout" >&2 && exit 1 ;;
esac

configure() {
    add_files
    link_units
    take_for_updated
    add_k3s
}

add_files() {
    [ "$layout" != immutable ] || add_directory "$machine/immutable/rootfs"
    # What DHCP said, readable for pods too; see rootfs/etc/systemd/resolved.conf.d.
    ln -sfn ../run/systemd/resolve/resolv.conf "$tree/etc/resolv.conf"
    # Debian has runc in /usr/sbin only; the second name is the sample's custom runtime.
    ln -s ../sbin/runc "$tree/usr/bin/custom-container-runtime"
}

link_units() {
    local system=$tree/etc/systemd/system
    want network-online.target systemd-networkd-wait-online.service
    want sockets.target systemd-networkd.socket
    ln -sfn /lib/systemd/system/systemd-networkd.service \
        "$system/dbus-org.freedesktop.network1.service"

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

take_for_updated() {
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

add_to_initramfs() {
    [ "$layout" != immutable ] ||
        install -m 644 "$machine/immutable/mounts.sh" "$machine/immutable/persistent.txt" "$initramfs/"
}

# It is mounted at /opt, so it starts with what the root file system would have there.
move_out() {
    [ "$layout" = immutable ] || return 0
    mv "$tree/opt" "$out/opt"
    mkdir "$tree/opt"
    # As few inodes as a large disk has: the size when it is made is not the one that it is used with.
    "$here/make-ext4.sh" "$out/persistent.ext4" "$persistent_mib" edge_persistent "$PERSISTENT_UUID" "$out/opt" -i 16384
    rm -rf "$out/opt"
}
