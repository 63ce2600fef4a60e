# shellcheck shell=bash disable=SC2154 # assemble.sh, which sources this, sets here and tree
# What the workstation has beside its packages and rootfs/.

# shellcheck disable=SC2034 # for assemble.sh
label=workstation

# shellcheck source=vm-tests/reference/read-only/configure.sh
. "$here/read-only/configure.sh"

configure() {
    read_only
    mkdir "$tree/work"
}
