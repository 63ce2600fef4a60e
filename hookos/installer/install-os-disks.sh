# shellcheck shell=bash
# Sourced by install-os.sh: the choice of the target disk, writing the image to it, growing its last partition.

readonly TYPE_ROOT_X86_64=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709

readonly SYSFS=${EMTS_SYSFS:-/sys} # set from outside by tests

ROOT_NUMBER="" # of the root partition, once the image is written

# All block devices as lsblk's JSON, with what lsblk takes from udev, which HookOS does not have:
# partition names, signatures of file systems and RAID or LVM members, serial numbers, WWNs, names by path.
list_disks() {
  local tree disk disks nodes tables signatures='' identities=()
  tree=$(lsblk --json --bytes --output NAME,PATH,TYPE,SIZE,RO,RM,TRAN,MODEL,MOUNTPOINTS)
  mapfile -t disks < <(jq -r '.blockdevices[] | select(.type == "disk" and .size > 0) | .path' <<<"$tree")
  mapfile -t nodes < <(jq -r '.blockdevices[] | recurse(.children[]?)
    | select((.type == "disk" or .type == "part") and .size > 0) | .path' <<<"$tree")
  tables=$(for disk in "${disks[@]}"; do sfdisk --json "$disk" 2>/dev/null || true; done | jq -s .)
  if ((${#nodes[@]} > 0)); then signatures=$(wipefs --json "${nodes[@]}" || true); fi
  for disk in "${disks[@]}"; do
    identities+=("$disk" "$(disk_serial "${disk##*/}")" "$(disk_wwn "${disk##*/}")" "$(disk_paths "${disk##*/}")")
  done
  complete_disks "$tree" "$tables" "${signatures:-null}" "${identities[@]}"
}

complete_disks() { # lsblk's, sfdisk's (as a list), wipefs' JSON, then path, serial, WWN, names by path of each disk
  local tree=$1 tables=$2 signatures=$3
  shift 3
  jq --argjson tables "$tables" --argjson signatures "$signatures" '
    ([$tables[].partitiontable.partitions[]?] | INDEX(.node)) as $partitions
    | ([$ARGS.positional | _nwise(4) | {path: .[0], serial: .[1], wwn: .[2], bypath: .[3]}] | INDEX(.path)) as $identities
    | def complete: .path as $path | .name as $name | . + {
        partlabel: $partitions[$path].name,
        partuuid: $partitions[$path].uuid,
        signatures: [$signatures.signatures[]? | select(.device == $name) | .type],
        serial: $identities[$path].serial,
        wwn: $identities[$path].wwn,
        bypath: ($identities[$path].bypath // "" | split(" "))}
      | if .children then .children |= map(complete) else . end;
    .blockdevices |= map(complete)' --args "$@" <<<"$tree"
}

# NVMe, MMC and virtio show the serial number as text; SCSI and SATA in the vital product data, after a
# header of four bytes; a USB device above the disk has its own.
disk_serial() { # kernel name
  local dir="$SYSFS/class/block/$1" file up
  for file in "$dir/device/serial" "$dir/serial"; do
    if [[ -s $file ]]; then trim <"$file"; return; fi
  done
  up=$(readlink -f "$dir/device" || true)
  while [[ $up == "$SYSFS"/devices/?* ]]; do
    if [[ -s $up/serial && -e $up/idVendor ]]; then trim <"$up/serial"; return; fi
    up=${up%/*}
  done
  # sysfs shows this page with a size of 0, whatever is in it.
  if [[ -r $dir/device/vpd_pg80 ]]; then tail -c +5 "$dir/device/vpd_pg80" 2>/dev/null | trim; fi
}

disk_wwn() { # kernel name
  local file
  for file in "$SYSFS/class/block/$1/wwid" "$SYSFS/class/block/$1/device/wwid"; do
    if [[ -r $file ]]; then trim <"$file"; return; fi
  done
}

# The names that udev gives a disk in /dev/disk/by-path, as far as its path_id knows the bus: PCI or a platform
# device, and on it NVMe, SATA, virtio or SCSI. Nothing for other buses.
disk_paths() { # kernel name
  local at ctrl bus name='' older='' known=''
  at=$(readlink -f "$SYSFS/class/block/$1/device" || true)
  # With multipath, the disk hangs on a subsystem that has no place of its own; its controller has.
  if [[ $at == */nvme-subsystem/* ]]; then
    ctrl=$(find "$at/" -maxdepth 1 -regex '.*/nvme[0-9]+' | sort | head -n 1)
    at=$(readlink -f "${ctrl:-$at}")
  fi
  while [[ $at == "$SYSFS"/devices/?* ]]; do
    bus=$(basename "$(readlink -f "$at/subsystem" || true)")
    case $bus in
      nvme)
        if [[ ! -r $SYSFS/class/block/$1/nsid ]]; then return; fi
        name="nvme-$(trim <"$SYSFS/class/block/$1/nsid")" known=yes
        ;;
      virtio) known=yes ;;
      scsi)
        if [[ $at =~ /(rport-|end_device-|session) ]]; then return; fi
        if [[ ${at##*/} =~ ^[0-9]+:[0-9]+:[0-9]+:[0-9]+$ ]]; then
          name=$(scsi_place "$at") known=yes
          if [[ -z $name ]]; then return; fi
          if [[ $name == ata-*.* ]]; then older=${name%%.*}; fi
        fi
        ;;
      usb) return ;;
      pci | platform)
        if [[ -z $known ]]; then return; fi
        path_names "$1" "$bus-${at##*/}" "$name" "$older"
        return
        ;;
    esac
    at=${at%/*}
  done
}

# `ata-PORT.TARGET` for what hangs on an ATA port, else `scsi-HOST:CHANNEL:TARGET:LUN`, the host counted from the
# first of its controller.
scsi_place() { # folder of the SCSI device
  local address=${1##*/} port parent first
  local IFS=:
  # shellcheck disable=SC2086 # split at the colons
  set -- "$1" $address
  if [[ $1 =~ ^(.*)/(ata[0-9]+)/ ]]; then
    port="${BASH_REMATCH[1]}/${BASH_REMATCH[2]}/ata_port/${BASH_REMATCH[2]}/port_no"
    if [[ ! -r $port ]]; then return; fi
    # Behind a port multiplier the channel is the place, else the target (master or slave).
    if [[ $3 == 0 ]]; then printf 'ata-%s.%s' "$(<"$port")" "$4"; else printf 'ata-%s.%s.0' "$(<"$port")" "$3"; fi
    return
  fi
  parent=${1%%/host"$2"/*}
  first=$(find "$parent" -maxdepth 1 -regex '.*/host[0-9]+' | sed 's/.*host//' | sort -n | head -n 1)
  printf 'scsi-%s:%s:%s:%s' $(($2 - first)) "$3" "$4" "$5"
}

# The names on one line, older ones too, which ATA and virtio disks have besides.
path_names() { # kernel name, place of the controller, place on it, older place on it
  local name=$2${3:+-$3}
  printf '%s' "$name"
  if [[ -n $4 ]]; then printf ' %s' "$2-$4"; fi
  if [[ $1 == vd* ]]; then printf ' virtio-%s' "$name"; fi
}

# The kernel refuses to read some attributes that are there (ENXIO): those have no text.
trim() { { tr -d '\0' 2>/dev/null || true; } | sed 's/^[[:space:]]*//; s/[[:space:]]*$//'; }

# ---------------------------------------------------------------- choose-disk

# From lsblk's JSON on stdin, all disks with the reason why each cannot be the target (null if it can),
# best candidate first.
rank_disks() { # bytes needed, stick's path, selector as JSON or null
  jq --argjson need "$1" --arg stick "$2" --argjson want "${3:-null}" '
    def nodes: recurse(.children[]?);
    def flag: . == true or . == 1 or . == "1";
    def text: (. // "") | tostring | gsub("^ +| +$"; "");
    def member: ["linux_raid_member", "LVM2_member", "isw_raid_member", "ddf_raid_member", "zfs_member",
                 "bcache", "crypto_LUKS", "drbd", "VMFS_volume_member", "ceph_bluestore"];
    def signatures: [nodes | .signatures[]?] | map(select(. as $t | member | index($t))) | unique;
    def mounts: [nodes | .mountpoints[]? | select(. != null)] | unique;
    def holders: [nodes | select(.type != null and .type != "disk" and .type != "part") | "\(.path) (\(.type))"] | unique;
    def transport: .name as $name | (.tran // "")
      | if . == "ata" then "sata" elif . == "spi" then "scsi" elif . != "" then .
        elif $name | startswith("nvme") then "nvme" elif $name | startswith("vd") then "virtio"
        elif $name | startswith("mmcblk") then "mmc" elif $name | startswith("sd") then "scsi" else . end;
    def wwn: text | ascii_downcase | sub("^(0x|naa[.]|eui[.]|uuid[.]|nvme[.])"; "") | gsub("-"; "");
    def wipe: $want.wipe // false;
    def glob: gsub("(?<c>[.+^${}()|\\[\\]\\\\])"; "\\\(.c)") | gsub("\\*"; ".*") | gsub("\\?"; ".") | "^\(.)$";
    def mismatch:
      if $want == null then null
      elif ($want.serial // null) != null and (.serial | text) != $want.serial then "serial is not \($want.serial)"
      elif ($want.wwn // null) != null and (.wwn | wwn) != ($want.wwn | wwn) then "WWN is not \($want.wwn)"
      elif ($want.model // null) != null and (.model | text | test($want.model | glob) | not) then "model does not match \($want.model)"
      elif ($want.byPath // null) != null and (.bypath // [] | index($want.byPath)) == null
      then "not at \($want.byPath), but at \(.bypath // [] | map(select(. != "")) | if . == [] then "an unknown place" else join(", ") end)"
      elif ($want.transport // null) != null and transport != $want.transport then "transport is not \($want.transport)"
      elif ($want.minSize // null) != null and .size < $want.minSize then "smaller than minSize \($want.minSize)"
      elif ($want.maxSize // null) != null and .size > $want.maxSize then "larger than maxSize \($want.maxSize)"
      else null end;
    def refusal:
      if .path == $stick then "the installer stick"
      elif .type != "disk" then "not a disk (\(.type))"
      elif (.name | test("^(zram|ram|loop|fd|sr|mtdblock|nbd)|boot[01]$|rpmb$")) then "not an internal disk"
      elif .size == 0 then "no medium"
      elif (.ro | flag) then "read-only"
      elif (.rm | flag) then "removable"
      elif transport == "usb" or transport == "ieee1394" then "attached by \(transport), not internal"
      elif .size < $need then "too small: \(.size) bytes, \($need) needed"
      elif mismatch != null then mismatch
      elif (holders | length) > 0 then "in use by \(holders | join(", "))"
      elif (mounts | length) > 0 and (wipe | not)
      then "in use: mounted at \(mounts | join(", ")); installDisk.wipe allows to unmount and overwrite it"
      elif (signatures | length) > 0 and (wipe | not)
      then "belongs to another system (\(signatures | join(", "))); installDisk.wipe allows to overwrite it"
      else null end;
    def rank: transport | if . == "nvme" then 0 elif . == "sata" then 1 else 2 end;
    [.blockdevices[] | {path, size, serial: (.serial | text), model: (.model | text),
                        mounts: mounts, transport: transport, rank: rank, reason: refusal}]
    | sort_by(.reason != null, .rank, .size, .path)'
}

describe_disks() { # ranked disks as JSON
  jq -r '.[] | "  \(.path)  \(.size / 1e9 * 10 | round / 10) GB  \(.transport)  \(.model)  serial \(if .serial == "" then "unknown" else .serial end): \(.reason // "can be used")"' <<<"$1"
}

# The path of the only best candidate, or an error message and exit code 1.
pick_disk() { # ranked disks as JSON
  jq -r '[.[] | select(.reason == null)]
    | if length == 0 then "no disk can be used\n" | halt_error(1)
      elif length > 1 and .[0].rank == .[1].rank and .[0].size == .[1].size
      then "several disks are equally good: \([.[0] as $b | .[] | select(.rank == $b.rank and .size == $b.size) | .path] | join(", "))\n" | halt_error(1)
      else .[0].path end' <<<"$1"
}

# operatingSystem.installDisk of the config-file as JSON, null without it.
disk_selector() {
  "$BOOTSTRAPPER" show install-disk --config-file "$CONFIG_FILE"
}

choose_disk() {
  local all ranked disk need selector
  need=$(image_field rawSize)
  selector=$(disk_selector) || fail "cluster-bootstrapper does not show the config-file's installDisk (exit code $?)"
  all=$(list_disks)
  STICKS=$(sticks_in <<<"$all")
  require_one_stick
  ranked=$(rank_disks "$need" "$(jq -r '.[0].path' <<<"$STICKS")" "$selector" <<<"$all")
  if [[ $selector != null ]]; then say "installDisk: $selector"; fi
  say "Disks:" "$(describe_disks "$ranked")"
  if ! disk=$(pick_disk "$ranked" 2>"$RUN/problem"); then
    fail "$(<"$RUN/problem"): $(describe_disks "$ranked" | paste -sd';')"
  fi
  DISK=$disk
  say "Target disk: $DISK"
  release_disk "$ranked"
}

# Unmounts the target, which installDisk.wipe allows to overwrite.
release_disk() { # ranked disks as JSON
  local mounts mount
  mapfile -t mounts < <(jq -r --arg disk "$DISK" '.[] | select(.path == $disk) | .mounts | sort | reverse[]' <<<"$1")
  for mount in "${mounts[@]}"; do
    if [[ $mount == "[SWAP]" ]]; then
      release_swap || fail "swap on $DISK cannot be switched off"
    else
      umount "$mount" || fail "$mount on $DISK cannot be unmounted"
    fi
    say "$mount on $DISK is released: installDisk.wipe allows to overwrite it"
  done
}

release_swap() {
  local area
  while read -r area _; do
    if [[ $area == "$DISK"* ]]; then swapoff "$area" || return 1; fi
  done < <(tail -n +2 /proc/swaps)
}

# ---------------------------------------------------------------- write-image

queue_limit() { # disk, name
  cat "/sys/class/block/$(basename "$1")/queue/$2" 2>/dev/null || echo 0
}

# Makes the area of the image read as zeros where the disk can do that by itself. Returns 1 if it cannot:
# then zeros have to be written like everything else. (What a mere discard leaves behind is undefined.)
zero_target() { # disk, bytes
  local sector
  if (($(queue_limit "$1" discard_max_bytes) > 0)); then
    blkdiscard --force "$1" || say "$1 did not discard its blocks"
  fi
  (($(queue_limit "$1" write_zeroes_max_bytes) > 0)) || return 1
  sector=$(blockdev --getss "$1") || return 1
  blkdiscard --force --zeroout --length $((($2 + sector - 1) / sector * sector)) "$1"
}

write_image() {
  local raw sparse="" began
  raw=$(image_field rawSize)
  wipefs --all --force --quiet "$DISK"
  if zero_target "$DISK" "$raw"; then sparse=yes; fi
  copy_image "$sparse" 2>"$RUN/problem" || fail "the OS image could not be written to $DISK: $(last_problem)"
  sync "$DISK" || fail "$DISK did not take what was written to it"
  say "EMTS progress: written in $(seconds_since "$began") s, reading back"
  blockdev --flushbufs "$DISK"
  verify_written "$raw"
  ROOT_NUMBER=$(root_partition)
  wait_until "$PARTITION_DEADLINE" reread_partitions || fail "the kernel does not show the new partitions of $DISK"
}

# The last line of what a command said that failed; all of it goes to the log.
last_problem() {
  local line
  cat "$RUN/problem" >&2
  line=$(tail -n 1 "$RUN/problem")
  printf '%s\n' "${line:-nothing says why}"
}

# Writes the image past the page cache, without its runs of zeros if the disk has them already. Sets `began`.
copy_image() { # "yes" to leave out zeros
  local fields file compression size raw command conv=nocreat,notrunc image pipe process
  local -a writer=("$INSTALLER" write-image)
  fields=$(image_field file compression size rawSize) || return
  IFS=$'\t' read -r file compression size raw <<<"$fields"
  command=$(decompressor "$compression")
  if [[ -n $1 ]]; then conv+=,sparse writer+=(--sparse); fi
  # Of a stick that was pulled meanwhile it does not open.
  exec {image}<"$MEDIA/$file" || return
  began=$(uptime_cs)
  # Nothing goes through this pipe: its end tells at once that the writer has ended.
  if [[ -z $command ]]; then
    exec {pipe}< <(exec "${writer[@]}" "$DISK" <&"$image")
  else
    # shellcheck disable=SC2086 # a command with its options
    exec {pipe}< <($command <&"$image" | dd of="$DISK" iflag=fullblock bs=128K conv="$conv" oflag=direct status=none)
  fi
  process=$!
  show_progress "$pipe" "$image" "$size" "$raw"
  exec {pipe}<&- {image}<&-
  wait "$process"
}

# One line on the consoles for every tenth of the image that has been read, until the pipe has an end; the rate is that
# since `began`. The reader of the image has our descriptor of the file, so that its place in it is ours, whatever
# decompresses it.
show_progress() { # descriptors of the pipe and of the file, size of the file, size of what it becomes
  local percent last=0 elapsed
  # Above 128 is a time-out.
  while read -r -t 1 -u "$1" || (($? > 128)); do
    percent=$(($(position_in "$2") * 100 / $3))
    if ((percent >= last + 10)); then
      last=$((percent / 10 * 10))
      elapsed=$(($(uptime_cs) - began + 1)) # centiseconds
      say "EMTS progress: writing $percent % ($(($4 * percent / 1000000 / elapsed)) MB/s)"
    fi
  done
}

# How far a file that is open here has been read, in bytes.
position_in() { # descriptor
  local name value
  while read -r name value; do
    if [[ $name == pos: ]]; then printf '%d\n' "$value"; fi
  done <"/proc/self/fdinfo/$1"
}

# Hashes what the disk itself has. A partition over exactly the image's area, known to the kernel alone,
# lets the hash be made without a pipe. XXH128 finds what a disk, a cable or a memory did to the bytes as
# surely as SHA-256, in a fraction of the time; who has made them, verify-image has checked.
verify_written() { # bytes
  local field=rawXxh128 sum area
  local -a hash=(xxhsum -H2)
  if ! jq -e '.osImage.rawXxh128' "$MANIFEST" >/dev/null; then
    field=rawSha256 hash=(sha256sum)
  fi
  area=$(partition_path 1)
  partx --delete "$DISK" 2>/dev/null || true
  if addpart "$DISK" 1 0 $(($1 / 512)) && [[ -b $area ]]; then
    sum=$("${hash[@]}" <"$area") || fail "$DISK cannot be read back"
    delpart "$DISK" 1 || true
  else
    sum=$(dd if="$DISK" bs=1M iflag=fullblock,count_bytes count="$1" status=none | "${hash[@]}") ||
      fail "$DISK cannot be read back"
  fi
  expect "$field" "${sum%% *}" "${field#raw} of $DISK, read back,"
}

# ---------------------------------------------------------------- partitions of the target

partition_table() { sfdisk --json "$DISK"; }

partition_path() { # number
  if [[ $DISK =~ [0-9]$ ]]; then echo "${DISK}p$1"; else echo "$DISK$1"; fi
}

reread_partitions() {
  blockdev --rereadpt "$DISK" && [[ -b $(partition_path "$ROOT_NUMBER") ]]
}

# The number of the first partition with this type GUID or, failing that, with this name.
partition_number() { # type GUID, name
  partition_table | jq -er --arg type "$1" --arg name "$2" '
    .partitiontable.partitions
    | (map(select((.type | ascii_upcase) == $type)) + map(select((.name // "") == $name)))
    | first | .node | capture("(?<n>[0-9]+)$").n'
}

root_partition() {
  partition_number "$TYPE_ROOT_X86_64" rootfs ||
    fail "the OS image has no root partition (type $TYPE_ROOT_X86_64 or name rootfs)"
}

# ---------------------------------------------------------------- grow-root

# The last partition takes the rest of the disk. (In an image whose data partition follows the root
# partition it is the data partition that grows.)
grow_root() {
  local last node code=0
  sgdisk --move-second-header "$DISK"
  last=$(partition_table | jq -er '.partitiontable.partitions | max_by(.start) | .node | capture("(?<n>[0-9]+)$").n')
  echo ', +' | sfdisk --no-reread --force -N "$last" "$DISK"
  wait_until "$PARTITION_DEADLINE" reread_partitions || fail "the kernel does not show the partitions of $DISK"
  node=$(partition_path "$last")
  if [[ $(blkid -p -o value -s TYPE "$node") != ext[234] ]]; then
    say "$node is not ext4; its file system keeps its size"
    return
  fi
  e2fsck -f -p "$node" || code=$?
  if ((code > 1)); then fail "e2fsck found errors on $node that it does not repair by itself (exit code $code)"; fi
  resize2fs "$node" || fail "the file system on $node cannot be grown"
}
