#!/usr/bin/env bash
# Makes an ext4 file system with the files of a folder. Its bytes depend on them, their owners and modes, the arguments
# and e2fsprogs: not on file times, on the file system that the folder is on, or on the clock.
#
# usage: make-ext4.sh FILE SIZE-IN-MIB LABEL UUID FOLDER [MKE2FS-OPTION]...
# Needs root's view of file ownership: run as root or under fakeroot.
# Environment: SOURCE_DATE_EPOCH, the time that everything in it gets.
set -Eeuo pipefail

file=$1 size_mib=$2 label=$3 uuid=$4 folder=$5
options=("${@:6}")
# mke2fs sorts names as the locale does, and mke2fs and debugfs take the time from here.
export LC_ALL=C E2FSPROGS_FAKE_TIME=$SOURCE_DATE_EPOCH
# mke2fs and debugfs are not in the PATH of an ordinary user.
export PATH=$PATH:/usr/sbin:/sbin

main() {
    make
    set_times
}

make() {
    local features=has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg
    features+=,sparse_super,large_file,huge_file,dir_nlink,extra_isize,metadata_csum
    # So that another UUID is a matter of the superblock alone.
    features+=,metadata_csum_seed
    truncate --size="${size_mib}M" "$file"
    # Named one by one: e2fsprogs 1.47 turns on features that older kernels and tools refuse.
    mke2fs -q -F -t ext4 -b 4096 -I 256 -m 1 -L "$label" -U "$uuid" -O "none,$features" \
        -E "hash_seed=$uuid,lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0" \
        -J size=64 -d "$folder" "${options[@]}" "$file"
}

# mke2fs copies the times of the files, among them that of the last change of an inode, which nobody can set.
set_times() {
    local errors
    errors=$(time_commands | debugfs -w -f - "$file" 2>&1 > /dev/null | grep -v '^debugfs [0-9]') || true
    if [ -n "$errors" ]; then
        echo "make-ext4.sh: setting the times of files: ${errors:0:1000}" >&2
        exit 1
    fi
}

# debugfs writes a quotation mark inside of quotation marks twice.
time_commands() {
    local field
    find "$folder" -mindepth 1 -printf '/%P\n' | sort | sed 's/"/""/g' | while IFS= read -r path; do
        for field in atime mtime ctime; do
            echo "set_inode_field \"$path\" $field @$SOURCE_DATE_EPOCH"
        done
    done
}

main
