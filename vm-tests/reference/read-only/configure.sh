# shellcheck shell=bash disable=SC2154 # assemble.sh sets here, tree and kernel
# What the machines have in common that scenarios have beside the node: sourced by their configure.sh.

# The root file system is read-only: whatever changes on its disk was not the system itself.
read_only() {
    add_directory "$here/read-only/rootfs"
    printf '%s\n' \
        'tmpfs /tmp tmpfs mode=1777,nosuid,nodev' \
        'tmpfs /var tmpfs mode=0755,nosuid,nodev' \
        'tmpfs /var/tmp tmpfs mode=1777,nosuid,nodev' >> "$tree/etc/fstab"
    # Nothing here is kept over a boot, and nothing runs by the clock.
    mask systemd-random-seed.service systemd-pstore.service e2scrub_reap.service \
        fstrim.timer dpkg-db-backup.timer e2scrub_all.timer
    # For the modules that dpkg.conf leaves.
    depmod --basedir="$tree" "$kernel"
}
