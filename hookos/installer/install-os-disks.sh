# shellcheck shell=bash
# Sourced by install-os.sh: the choice of the target disk, writing the image to it, growing its last partition.

readonly TYPE_ROOT_X86_64=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709

ROOT_NUMBER="" # of the root partition, once the image is written

# ---------------------------------------------------------------- choose-disk

choose_disk() {
  local selector="$RUN/selector.json"
  "$BOOTSTRAPPER" show install-disk --config-file "$CONFIG_FILE" >"$selector" ||
    fail "cluster-bootstrapper does not show the config-file's installDisk (exit status $?)"
  if [[ $(<"$selector") != null ]]; then say "installDisk: $(<"$selector")"; fi
  run_installer choose-disk --selector "$selector"
  DISK=$(jq -er .path "$RUN/disk.json")
  run_installer announce-loss
  release_disk
}

# Switches off what is swapped to and unmounts what is mounted of the target, which installDisk.wipe allows to overwrite.
release_disk() {
  local place
  while IFS= read -r -d '' place; do
    swapoff "$place" || fail "swap on $place cannot be switched off"
    say "swap on $place is switched off: installDisk.wipe allows to overwrite it"
  done < <(jq -j '.swaps[] + "\u0000"' "$RUN/disk.json")
  while IFS= read -r -d '' place; do
    umount "$place" || fail "${place@Q} on $DISK cannot be unmounted"
    say "${place@Q} on $DISK is unmounted: installDisk.wipe allows to overwrite it"
  done < <(jq -j '.mounts[] + "\u0000"' "$RUN/disk.json")
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
