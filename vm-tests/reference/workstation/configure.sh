# shellcheck shell=bash disable=SC2154 # assemble.sh, which sources this, sets tree and kernel
# What the workstation has beside its packages and rootfs/.

# shellcheck disable=SC2034 # for assemble.sh
label=workstation

configure() {
    mkdir "$tree/work"
    # Nothing here is kept over a boot, and nothing runs by the clock.
    mask systemd-random-seed.service systemd-pstore.service e2scrub_reap.service \
        fstrim.timer dpkg-db-backup.timer e2scrub_all.timer
    # For the modules that dpkg.conf leaves.
    depmod --basedir="$tree" "$kernel"
}
