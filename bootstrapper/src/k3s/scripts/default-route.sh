#!/bin/sh
# K3s does not start without a default route. Where the network has none (an air-gapped site), this adds one that any
# real route beats: on the interface that has an address, so that the node keeps its address, else on a dummy.
set -eu

metric=20000

has_route() {
    [ -n "$(ip -4 route show default)$(ip -6 route show default)" ]
}

first_interface() {
    ip -4 -o address show up scope global | while read -r _ name _ cidr _; do
        case $name in
            cni* | docker* | dummy* | flannel* | kube-* | veth*) ;;
            *) echo "$name ${cidr%%/*}" && break ;;
        esac
    done
}

if has_route; then
    exit 0
fi
found=$(first_interface)
if [ -n "$found" ]; then
    echo "no default route: adding one on ${found% *}"
    ip -4 route replace default dev "${found% *}" src "${found#* }" metric "$metric"
else
    echo "no default route and no address: adding dummy0"
    ip link show dummy0 > /dev/null 2>&1 || ip link add dummy0 type dummy
    ip address replace 203.0.113.254/31 dev dummy0
    ip link set dummy0 up
    ip -4 route replace default via 203.0.113.255 dev dummy0 metric "$metric"
fi
