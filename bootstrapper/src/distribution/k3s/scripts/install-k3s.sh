#!/bin/sh
# Installs K3s from the files of the OS image, once. A later run, as on an image that keeps no cloud-init state, only
# sees to it that K3s runs: it restarts nothing unless what K3s is configured with has changed.
set -u

unit=k3s.service
state=/etc/rancher/emts/installed
# Digest of the generated configuration.
wanted='@DIGEST@'
# Seconds until K3s must answer. K3s itself gives its API server 900.
deadline=1200

fail() {
    echo "emts: $1" >&2
    systemctl status --no-pager --full "$unit" >&2
    journalctl --no-pager --unit "$unit" --lines 50 >&2
    exit 1
}

installed=$(cat "$state" 2> /dev/null)
if [ "$installed" != "$wanted" ] || ! systemctl is-enabled --quiet "$unit"; then
    if [ -n "$installed" ] && [ "$installed" != "$wanted" ]; then
        # install.sh compares only its own files; K3s reads its configuration at start.
        export INSTALL_K3S_FORCE_RESTART=true
    fi
    # On a read-only root file system install.sh cannot put its links and helpers beside k3s, and need not.
    bin=$(dirname "$(command -v k3s)")
    [ -w "$bin" ] || export INSTALL_K3S_BIN_DIR="$bin" INSTALL_K3S_BIN_DIR_READ_ONLY=true
    INSTALL_K3S_SKIP_DOWNLOAD=true INSTALL_K3S_EXEC='server' timeout "$deadline" sh /opt/install.sh
    status=$?
    [ "$status" -ne 124 ] || fail "K3s did not become ready within $deadline s"
    [ "$status" -eq 0 ] || fail "sh /opt/install.sh ended with status $status"
fi
# The first start may have been cut off after the unit was enabled.
timeout "$deadline" systemctl start "$unit" || fail "$unit did not become ready within $deadline s"
echo "$wanted" > "$state.new" && mv "$state.new" "$state"
mkdir -p /run/cluster-api && echo success > /run/cluster-api/bootstrap-success.complete
