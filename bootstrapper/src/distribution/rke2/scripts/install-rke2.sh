#!/bin/sh
# Installs RKE2 from its artifacts, once, and starts it. A later run restarts nothing unless what RKE2 is configured with
# has changed.
set -u

unit=rke2-server.service
artifacts=/opt/rke2-artifacts
state=/etc/rancher/emts/installed
# Digest of the generated configuration.
wanted='@DIGEST@'
# SHA-256 that the artifacts' checksum file must have; empty when none is asked for.
checksum='@CHECKSUM@'
# Whether the node is set up for a CIS profile: yes or no.
cis='@CIS@'
# Seconds until the unit must be up. Its own limit is none.
deadline=1200

fail() {
    echo "emts: $1" >&2
    systemctl status --no-pager --full "$unit" >&2
    journalctl --no-pager --unit "$unit" --lines 50 >&2
    exit 1
}

# RKE2 refuses a CIS profile without the user etcd and its kernel parameters.
prepare_cis() {
    id etcd > /dev/null 2>&1 ||
        useradd --system --no-create-home --user-group --shell /usr/sbin/nologin etcd || return 1
    for folder in /usr/local/share /usr/share /opt/rke2/share; do
        [ -e "$folder/rke2/rke2-cis-sysctl.conf" ] || continue
        cp "$folder/rke2/rke2-cis-sysctl.conf" @SYSCTL@ &&
            sysctl --load=@SYSCTL@
        return
    done
    echo "emts: RKE2's rke2-cis-sysctl.conf is in none of its folders" >&2
    return 1
}

installed=$(cat "$state" 2> /dev/null)
if [ "$installed" != "$wanted" ] || ! systemctl is-enabled --quiet "$unit"; then
    if [ -n "$checksum" ]; then
        found=$(sha256sum "$artifacts"/sha256sum*.txt | cut -d ' ' -f 1)
        [ "$found" = "$checksum" ] || fail "the checksum file in $artifacts has SHA-256 $found, not $checksum"
    fi
    INSTALL_RKE2_ARTIFACT_PATH="$artifacts" sh /opt/install.sh || fail "sh /opt/install.sh ended with status $?"
    if [ "$cis" = yes ]; then
        prepare_cis || fail "the node could not be set up for the CIS profile"
    fi
    systemctl enable "$unit" || fail "$unit could not be enabled"
    if [ -n "$installed" ] && [ "$installed" != "$wanted" ]; then
        timeout "$deadline" systemctl restart "$unit" || fail "$unit did not come up within $deadline s"
    fi
fi
timeout "$deadline" systemctl start "$unit" || fail "$unit did not come up within $deadline s"
echo "$wanted" > "$state.new" && mv "$state.new" "$state"
mkdir -p /run/cluster-api && echo success > /run/cluster-api/bootstrap-success.complete
