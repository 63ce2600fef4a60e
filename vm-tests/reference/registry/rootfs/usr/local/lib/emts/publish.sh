#!/bin/sh
# publish.sh ARCHIVE: gives the image of an archive to the registry of this machine. Ends with 75 (EX_TEMPFAIL) while the
# registry does not answer yet.
set -eu

directory=/etc/docker/registry
reference=registry.emts.test:5000/emts/pulled:1

if skopeo copy --quiet --dest-cert-dir "$directory/clients" --dest-authfile "$directory/clients/auth.json" \
    "oci-archive:$1" "docker://$reference"; then
    exit 0
fi
if systemctl is-failed --quiet docker-registry.service; then
    journalctl --no-pager -u docker-registry.service -n 20 >&2
    exit 1
fi
exit 75
