#!/bin/sh
# Installs the k3s that is already on the machine as a systemd service.
#
# This is the reference double's own script (emts-reference-k3s-test-double) with
# the interface of K3s's install.sh: the same variables, unit, environment file
# and links. It never downloads anything; what it does not do it refuses by name.
#
#   INSTALL_K3S_EXEC           command and flags, before the script's own arguments
#   INSTALL_K3S_SKIP_DOWNLOAD  has to be true (or binary): there is nothing to download
#   INSTALL_K3S_SKIP_ENABLE    true: neither enable nor start the service
#   INSTALL_K3S_SKIP_START     true: enable the service only
#   INSTALL_K3S_FORCE_RESTART  true: restart the service even when nothing changed
#   INSTALL_K3S_SYMLINK        skip or force; default: make a link where the name is free
#   INSTALL_K3S_BIN_DIR        folder of k3s and the links, default /usr/local/bin
#   INSTALL_K3S_BIN_DIR_READ_ONLY  true: write nothing into that folder
#   INSTALL_K3S_SYSTEMD_DIR    folder of unit and environment file
#   INSTALL_K3S_NAME           the unit is k3s-NAME
#   INSTALL_K3S_TYPE           Type= of the unit, default notify
set -eu
set -o noglob

info() { echo "[INFO] " "$@"; }
fatal() {
	echo "[ERROR] " "$@" >&2
	exit 1
}

# One argument per line in single quotes, for `eval` and for ExecStart.
quote() {
	for argument in "$@"; do
		printf '%s\n' "$argument" | sed "s/'/'\\\\''/g; 1s/^/'/; \$s/\$/'/"
	done
}

quote_lines() {
	for argument in "$@"; do
		printf '\t%s \\\n' "$(quote "$argument")"
	done
}

# Keeps the shell from expanding anything in INSTALL_K3S_EXEC but quotes.
escape() {
	printf '%s' "$*" | sed -e 's/\([][!#$%&()*;<=>?\_`{|}]\)/\\\1/g'
}

verify_system() {
	[ -x /bin/systemctl ] || [ -x /usr/bin/systemctl ] ||
		fatal "Can not find systemd to use as a process supervisor for k3s"
}

refuse_unsupported() {
	for name in INSTALL_K3S_COMMIT INSTALL_K3S_PR INSTALL_K3S_CHANNEL INSTALL_K3S_CHANNEL_URL; do
		eval "value=\${$name:-}"
		# shellcheck disable=SC2154 # set by the line above
		[ -z "$value" ] || fatal "refk3s does not implement $name"
	done
	case ${INSTALL_K3S_SKIP_DOWNLOAD:-} in
	true | binary) ;;
	*) fatal "refk3s does not implement downloads; set INSTALL_K3S_SKIP_DOWNLOAD=true" ;;
	esac
}

choose_command() {
	case ${1:-} in
	-* | "")
		if [ -z "${K3S_URL:-}" ]; then
			CMD_K3S=server
		else
			case $K3S_URL in
			https://*) ;;
			*) fatal "Only https:// URLs are supported for K3S_URL (have $K3S_URL)" ;;
			esac
			[ -n "${K3S_TOKEN:-}${K3S_TOKEN_FILE:-}" ] ||
				fatal "Defaulted k3s exec command to 'agent' because K3S_URL is defined, but K3S_TOKEN or K3S_TOKEN_FILE is not defined."
			CMD_K3S=agent
		fi
		;;
	*)
		CMD_K3S=$1
		shift
		;;
	esac
	[ "$CMD_K3S" = server ] || fatal "refk3s does not implement the command $CMD_K3S"
	CMD_K3S_ARGS=$(quote_lines "$@")
}

setup_env() {
	if [ -n "${INSTALL_K3S_NAME:-}" ]; then
		SYSTEM_NAME=k3s-${INSTALL_K3S_NAME}
	elif [ "$CMD_K3S" = server ]; then
		SYSTEM_NAME=k3s
	else
		SYSTEM_NAME=k3s-${CMD_K3S}
	fi
	SYSTEMD_TYPE=${INSTALL_K3S_TYPE:-notify}
	SYSTEMD_DIR=${INSTALL_K3S_SYSTEMD_DIR:-/etc/systemd/system}
	BIN_DIR=${INSTALL_K3S_BIN_DIR:-/usr/local/bin}
	if [ -z "${INSTALL_K3S_BIN_DIR:-}" ] && ! touch "$BIN_DIR/k3s-ro-test" 2>/dev/null && [ -d /opt/bin ]; then
		BIN_DIR=/opt/bin
	fi
	rm -f "$BIN_DIR/k3s-ro-test" 2>/dev/null || true
	K3S_DATA_DIR=${K3S_DATA_DIR:-/var/lib/rancher/k3s}
	UNINSTALL_K3S_SH=${UNINSTALL_K3S_SH:-$BIN_DIR/${SYSTEM_NAME}-uninstall.sh}
	KILLALL_K3S_SH=${KILLALL_K3S_SH:-$BIN_DIR/k3s-killall.sh}
	FILE_K3S_SERVICE=$SYSTEMD_DIR/$SYSTEM_NAME.service
	FILE_K3S_ENV=$SYSTEMD_DIR/$SYSTEM_NAME.service.env
	ISSUE=refk3s.issue
	BEFORE=$(installed_hashes)
}

installed_hashes() {
	sha256sum "$BIN_DIR/k3s" "$FILE_K3S_SERVICE" "$FILE_K3S_ENV" 2>/dev/null || true
}

verify_binary() {
	[ -x "$BIN_DIR/k3s" ] || fatal "Executable k3s binary not found at $BIN_DIR/k3s"
	info "Skipping k3s download and verify"
}

writes_bin_dir() { [ "${INSTALL_K3S_BIN_DIR_READ_ONLY:-}" != true ]; }

create_symlinks() {
	writes_bin_dir && [ "${INSTALL_K3S_SYMLINK:-}" != skip ] || return 0
	for command in kubectl crictl ctr; do
		if [ ! -e "$BIN_DIR/$command" ] || [ "${INSTALL_K3S_SYMLINK:-}" = force ]; then
			elsewhere=$(command -v "$command" 2>/dev/null || true)
			if [ -z "$elsewhere" ] || [ "${INSTALL_K3S_SYMLINK:-}" = force ]; then
				info "Creating $BIN_DIR/$command symlink to k3s"
				ln -sf k3s "$BIN_DIR/$command"
			else
				info "Skipping $BIN_DIR/$command symlink to k3s, command exists in PATH at $elsewhere"
			fi
		else
			info "Skipping $BIN_DIR/$command symlink to k3s, already exists"
		fi
	done
}

create_killall() {
	writes_bin_dir || return 0
	info "Creating killall script $KILLALL_K3S_SH"
	cat >"$KILLALL_K3S_SH" <<'KILLALL'
#!/bin/sh
# Stops k3s and every container, and takes away their mounts, links and rules.
[ "$(id -u)" -eq 0 ] || exec sudo --preserve-env=K3S_DATA_DIR "$0" "$@"
K3S_DATA_DIR=${K3S_DATA_DIR:-/var/lib/rancher/k3s}

for service in /etc/systemd/system/k3s*.service; do
	[ -s "$service" ] && systemctl stop "$(basename "$service")"
done

children() {
	for child in $(ps -e -o ppid= -o pid= | awk -v parent="$1" '$1 == parent {print $2}'); do
		echo "$child"
		children "$child"
	done
}

shims() {
	ps -e -o pid= -o args= | awk -v data="$K3S_DATA_DIR/data/" 'index($0, data) && /containerd-shim/ {print $1}'
}

for shim in $(shims); do
	pids="$shim $(children "$shim")"
	# shellcheck disable=SC2086 # a list of process ids
	kill -9 $pids 2>/dev/null
done

unmount_and_remove() {
	awk -v path="$1" 'index($2, path) == 1 {print $2}' /proc/self/mounts | sort -r | while read -r mount; do
		umount -f "$mount" 2>/dev/null || umount -l "$mount"
		case $mount in "$1"/*) rm -rf --one-file-system "$mount" ;; esac
	done
}
unmount_and_remove /run/k3s
unmount_and_remove /var/lib/kubelet/pods
unmount_and_remove /var/lib/kubelet/plugins
unmount_and_remove /run/netns/cni-

ip link delete cni0 2>/dev/null
rm -rf /var/lib/cni/
for tables in iptables ip6tables; do
	command -v "$tables-save" >/dev/null || continue
	"$tables-save" | grep -v KUBE- | grep -v CNI- | grep -iv flannel | "$tables-restore"
done
exit 0
KILLALL
	chmod 755 "$KILLALL_K3S_SH"
}

create_uninstall() {
	writes_bin_dir || return 0
	info "Creating uninstall script $UNINSTALL_K3S_SH"
	cat >"$UNINSTALL_K3S_SH" <<UNINSTALL
#!/bin/sh
# Takes away k3s and all its data from this machine.
set -x
[ "\$(id -u)" -eq 0 ] || exec sudo --preserve-env=K3S_DATA_DIR "\$0" "\$@"
K3S_DATA_DIR=\${K3S_DATA_DIR:-$K3S_DATA_DIR}

$KILLALL_K3S_SH
systemctl disable $SYSTEM_NAME
systemctl reset-failed $SYSTEM_NAME
rm -f $FILE_K3S_SERVICE $FILE_K3S_ENV
systemctl daemon-reload
rm -f $UNINSTALL_K3S_SH

if ls /etc/systemd/system/k3s*.service >/dev/null 2>&1; then
	echo "Additional k3s services installed, skipping uninstall of k3s"
	exit 0
fi
for command in kubectl crictl ctr; do
	if [ -L "$BIN_DIR/\$command" ]; then
		rm -f "$BIN_DIR/\$command"
	fi
done
rm -rf /etc/rancher/k3s /run/k3s "\$K3S_DATA_DIR" /var/lib/kubelet
rm -f $BIN_DIR/k3s $KILLALL_K3S_SH /etc/issue.d/$ISSUE /run/issue.d/$ISSUE
UNINSTALL
	chmod 755 "$UNINSTALL_K3S_SH"
}

# The login screen tells what the node runs. Below /run where /etc cannot be written.
say_on_console() {
	for directory in /etc/issue.d /run/issue.d; do
		mkdir -p "$directory" 2>/dev/null || continue
		if printf '%s\n\n' "this node runs refk3s, a test double of K3s; not for use" 2>/dev/null >"$directory/$ISSUE"; then
			info "Creating $directory/$ISSUE"
			agetty --reload 2>/dev/null || true
			return 0
		fi
	done
	info "Skipping $ISSUE, neither /etc/issue.d nor /run/issue.d can be written"
}

systemd_disable() {
	systemctl disable "$SYSTEM_NAME" >/dev/null 2>&1 || true
	rm -f "/etc/systemd/system/$SYSTEM_NAME.service" "/etc/systemd/system/$SYSTEM_NAME.service.env"
}

# The calling shell's K3S_*, CONTAINERD_* and proxy variables, for the service.
create_env_file() {
	info "env: Creating environment file $FILE_K3S_ENV"
	(umask 0177 && : >"$FILE_K3S_ENV")
	chmod 0600 "$FILE_K3S_ENV"
	sh -c export | while read -r word variable; do
		[ "$word" = export ] || continue
		printf '%s\n' "$variable" | grep -E '^(K3S|CONTAINERD)_' >>"$FILE_K3S_ENV" || true
		printf '%s\n' "$variable" | grep -Ei '^(NO|HTTP|HTTPS)_PROXY' >>"$FILE_K3S_ENV" || true
	done
}

create_service_file() {
	info "systemd: Creating service file $FILE_K3S_SERVICE"
	cat >"$FILE_K3S_SERVICE" <<UNIT
[Unit]
Description=Lightweight Kubernetes (refk3s reference double)
Wants=network-online.target
After=network-online.target

[Install]
WantedBy=multi-user.target

[Service]
Type=$SYSTEMD_TYPE
EnvironmentFile=-/etc/default/%N
EnvironmentFile=-/etc/sysconfig/%N
EnvironmentFile=-$FILE_K3S_ENV
KillMode=process
Delegate=yes
User=root
# As in K3s: numbers too high would cost more than they give.
LimitNOFILE=1048576
LimitNPROC=infinity
LimitCORE=infinity
TasksMax=infinity
TimeoutStartSec=0
Restart=always
RestartSec=5s
ExecStartPre=/bin/sh -xc '! /usr/bin/systemctl is-enabled --quiet nm-cloud-setup.service 2>/dev/null'
ExecStartPre=-/sbin/modprobe br_netfilter
ExecStartPre=-/sbin/modprobe overlay
ExecStart=$BIN_DIR/k3s \\
    $CMD_K3S \\
$CMD_K3S_ARGS

UNIT
	chmod 644 "$FILE_K3S_SERVICE"
}

enable_and_start() {
	[ "${INSTALL_K3S_SKIP_ENABLE:-}" != true ] || return 0
	info "systemd: Enabling $SYSTEM_NAME unit"
	systemctl enable "$FILE_K3S_SERVICE" >/dev/null
	systemctl daemon-reload >/dev/null
	[ "${INSTALL_K3S_SKIP_START:-}" != true ] || return 0
	if [ "$BEFORE" = "$(installed_hashes)" ] && [ "${INSTALL_K3S_FORCE_RESTART:-}" != true ]; then
		info "No change detected so skipping service start"
		return 0
	fi
	for tables in iptables ip6tables; do
		if command -v "$tables-save" >/dev/null && command -v "$tables-restore" >/dev/null; then
			"$tables-save" | grep -v KUBE- | grep -iv flannel | "$tables-restore"
		fi
	done
	info "systemd: Starting $SYSTEM_NAME"
	systemctl restart "$SYSTEM_NAME"
}

eval set -- "$(escape "${INSTALL_K3S_EXEC:-}")" "$(quote "$@")"
verify_system
refuse_unsupported
choose_command "$@"
setup_env
verify_binary
create_symlinks
create_killall
create_uninstall
systemd_disable
create_env_file
create_service_file
say_on_console
enable_and_start
