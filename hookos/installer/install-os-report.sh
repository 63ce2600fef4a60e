# shellcheck shell=bash
# Sourced by install-os.sh: markers and messages for the screen and the log, failure, logs on the stick.

WARNINGS=()
STEP=start
STARTED=0 # centiseconds since the kernel started
DISK=""   # the target disk, once chosen
SCREEN="" # descriptor of the pipe to `installer screen`, while it goes on
SCREEN_PROCESS=""

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

# All that people see is the work of a process of its own: a terminal that is held holds up nothing but what it shows.
start_screen() {
  local pipe="$RUN/screen"
  rm -f "$pipe"
  mkfifo -m 0600 "$pipe"
  "$INSTALLER" screen <"$pipe" &
  SCREEN_PROCESS=$!
  exec {SCREEN}>"$pipe"
}

# Writes lines to the screen. Where it has ended they go to the kernel's log, and from there to its consoles.
show() {
  local line
  (trap '' PIPE && printf '%s\n' "$@" >&"$SCREEN") 2>/dev/null ||
    for line in "$@"; do printf '<3>%s\n' "$line"; done >/dev/kmsg || true
}

# Shows how the installation ended. Returns 0 when the machine can be restarted, after a failure where the stick was
# pulled that had nothing left to do.
end_screen() {
  local code=0
  [[ -n $SCREEN ]] || return 1
  show "EMTS end"
  exec {SCREEN}>&-
  SCREEN=""
  wait "$SCREEN_PROCESS" || code=$?
  return "$code"
}

# Prints lines in the log and on the screen.
say() {
  printf '%s\n' "$@"
  if [[ -n $SCREEN ]]; then show "$@"; fi
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
  if end_screen; then restart_machine; fi
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
  local time dir code=0 number=1
  if ! mountpoint -q "$CONF"; then return 0; fi
  time=$(date -u +%Y%m%dT%H%M%SZ) dir="$CONF/logs/$time"
  # A machine without a battery has had this time before.
  while [[ -e $dir ]]; do dir="$CONF/logs/$time-$((number += 1))"; done
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
