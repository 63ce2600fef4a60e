# shellcheck shell=bash
# Sourced by install-os.sh: markers and messages on the consoles, failure, final screens, logs on the stick.

CONSOLES=()
WARNINGS=()
STEP=start
STARTED=0 # centiseconds since the kernel started
DISK=""   # the target disk, once chosen
ADVICE="" # what a person can do about a failure, where the step's own advice does not fit

uptime_cs() {
  local up _
  read -r up _ </proc/uptime
  printf '%d\n' "$((10#${up/./}))"
}

seconds_since() { # centiseconds since the kernel started
  local cs=$(($(uptime_cs) - $1))
  printf '%d.%02d\n' $((cs / 100)) $((cs % 100))
}

elapsed() { seconds_since "$STARTED"; }

# Markers go to the kernel's consoles, and to the second serial port when there is a real one: nothing
# else writes to that port.
find_consoles() {
  local name names=()
  read -r -a names </sys/class/tty/console/active || true
  CONSOLES=()
  for name in "${names[@]}"; do
    if [[ -c /dev/$name ]]; then CONSOLES+=("/dev/$name"); fi
  done
  if [[ -c /dev/ttyS1 && " ${CONSOLES[*]} " != *" /dev/ttyS1 "* ]] &&
    grep '^1: uart:' /proc/tty/driver/serial | grep -qv 'uart:unknown'; then
    (stty -F /dev/ttyS1 115200 -echo) || true
    CONSOLES+=(/dev/ttyS1)
  fi
}

# Prints lines on all consoles and in the log. The consoles are opened in a child process, so that none
# becomes the controlling terminal of the installer.
say() {
  local tty
  printf '%s\n' "$@"
  for tty in "${CONSOLES[@]}"; do
    (printf '%s\n' "$@" >"$tty") 2>/dev/null || true
  done
}

marker_line() { # step, state, seconds, [reason]
  local reason=${4:-}
  reason=${reason//[$'\n\r\t']/ }
  printf 'EMTS step=%s state=%s t=%s%s\n' "$1" "$2" "$3" "${reason:+ reason=$reason}"
}

marker() { # step, state, [reason]
  say "$(marker_line "$1" "$2" "$(elapsed)" "${3:-}")"
}

warn() {
  WARNINGS+=("$1")
  say "EMTS warning: $1"
}

# ---------------------------------------------------------------- failure

# Ends the installation. In a subshell only the reason is noted; the parent's error trap takes it up.
fail() { # reason
  if [[ $BASHPID != "$$" ]]; then
    printf '%s\n' "$1" >"$RUN/reason"
    exit 1
  fi
  trap - ERR EXIT
  marker "$STEP" failed "$1"
  write_logs failed "$1" || true
  unmount_all || true
  final_screen_failed "$1"
  exit 1
}

on_error() { # exit code, line, command
  if [[ $BASHPID != "$$" ]]; then exit "$1"; fi
  if [[ -s $RUN/reason ]]; then fail "$(<"$RUN/reason")"; fi
  fail "line $2: '$3' ended with exit code $1; the log has what it said"
}

# An end that nothing has explained: `exit`, or a signal.
on_exit() { # exit code
  fail "the installer ended with exit code $1"
}

advice() { # step
  case $1 in
    find-media) echo "Check that exactly one EMTS stick, made by bootable-usb-prepare.sh, is attached; try another port." ;;
    validate-config) echo "Mend the config-file with the help of the lines above and make the stick again." ;;
    verify-image) echo "The stick is damaged or incomplete. Make it again, on another stick if this repeats." ;;
    choose-disk) echo "The list of disks above says why each one was not taken." ;;
    write-image | grow-root) echo "The disk or the stick may be failing. Start again; replace them if this repeats." ;;
    reboot) echo "The system is installed. Switch the machine off and on." ;;
    *) echo "Start again from the stick. If this repeats, report it with the logs." ;;
  esac
}

# What a person has to know about the disks after a failure.
disk_state() {
  case $STEP in
    find-media | validate-config | verify-image | choose-disk) echo "No disk of this machine has been changed." ;;
    reboot) echo "$DISK is complete and the first in the boot order." ;;
    *) echo "$DISK is incomplete. The machine starts from the stick until an installation succeeds." ;;
  esac
}

final_screen_failed() { # reason
  say "" \
    "==============================  INSTALLATION FAILED  ==============================" \
    "Step:    $STEP" \
    "Reason:  $1" \
    "Disk:    $(disk_state)" \
    "Advice:  ${ADVICE:-$(advice "$STEP")}" \
    "Log:     $LOG, and logs/ on the partition EMTS-CONF of the stick" \
    "==================================================================================="
}

final_screen_done() {
  say "" \
    "=============================  INSTALLATION COMPLETE  =============================" \
    "The operating system is on $DISK. The machine restarts from it now." \
    "${WARNINGS[@]/#/Warning: }" \
    "==================================================================================="
}

# ---------------------------------------------------------------- save-logs

summary() { # result, [reason]
  local bundle="{}"
  if [[ -s $MANIFEST ]]; then bundle=$(jq '{id, osImage, testDouble}' "$MANIFEST" || echo '{}'); fi
  jq -n --arg result "$1" --arg reason "${2:-}" --arg step "$STEP" --arg disk "$DISK" \
    --arg seconds "$(elapsed)" --argjson bundle "$bundle" \
    '{result: $result, step: $step, reason: $reason, disk: $disk, seconds: ($seconds | tonumber),
      bundle: $bundle.id, osImage: $bundle.osImage, testDouble: $bundle.testDouble, warnings: $ARGS.positional}' \
    --args -- "${WARNINGS[@]}"
}

# Until it is on the stick and not in the stick's cache: syncing a FAT file system as a whole does not flush
# the device, fsync of a file on it does.
flush_conf() { sync -f "$CONF" && sync "$CONFIG_FILE"; }

# Nothing before the config-file was validated: only then is it known what in it is a secret.
save_configuration() { # folder
  if [[ ! -s $REDACTED ]]; then return 0; fi
  cp "$REDACTED" "$1/config-file.json"
}

# The partition with the logs is writable only here. Returns 1 when it is full or cannot be written.
write_logs() { # result, [reason]
  local dir code=0
  if ! mountpoint -q "$CONF"; then return 0; fi
  dir="$CONF/logs/$(date -u +%Y%m%dT%H%M%SZ)"
  mount -o remount,rw "$CONF" && mkdir -p "$dir" && summary "$@" >"$dir/summary.json" &&
    save_configuration "$dir" && cp "$LOG" "$dir/install.log" && flush_conf || code=1
  mount -o remount,ro "$CONF" || code=1
  return "$code"
}

# Marks the disk as a finished node, also where the stick takes no line about it.
note_installed() {
  mount -o remount,rw "$CONF" || true
  call_installer note-installed --time "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$CONF/$INSTALLED" && flush_conf
}

save_logs() {
  note_installed || warn "the stick could not note that it installed $DISK: remove it before the restart if the firmware starts it first"
  write_logs installed || warn "the logs could not be saved on the stick"
}
