#!/bin/sh
# K3s does not start without a default route of the cluster's address family. Where the network has none (an air-gapped
# site), this adds one that any real route beats: on the interface that has the node's address, so that K3s takes it, else
# on the first that has one, else on a dummy.
set -eu

# 4, 6, or any: then a route of either family will do, and without one IPv4 gets it.
family=@FAMILY@
# The node's own address, if the configuration has one.
node_ip=@NODE_IP@
metric=20000

if [ "$family" = any ]; then
    [ -z "$(ip -6 route show default)" ] || exit 0
    family=4
fi

# Addresses for documentation (RFC 5737, RFC 3849): nothing answers there.
if [ "$family" = 4 ]; then
    dummy=203.0.113.254/31 gateway=203.0.113.255
else
    dummy=2001:db8:ffff::2/127 gateway=2001:db8:ffff::3
fi

# Interfaces with their addresses, one a line.
interfaces() {
    ip "-$family" -o address show up scope global | while read -r _ name _ cidr _; do
        case $name in
            cni* | docker* | dummy* | flannel* | kube-* | veth*) ;;
            *) echo "$name ${cidr%%/*}" ;;
        esac
    done
}

if [ -n "$(ip "-$family" route show default)" ]; then
    exit 0
fi
found=$(interfaces | grep -m 1 " $node_ip\$" || true)
[ -n "$found" ] || found=$(interfaces | head -n 1)
if [ -n "$found" ]; then
    echo "no default route: adding one on ${found% *}"
    ip "-$family" route replace default dev "${found% *}" src "${found#* }" metric "$metric"
else
    echo "no default route and no address: adding dummy0"
    ip link show dummy0 > /dev/null 2>&1 || ip link add dummy0 type dummy
    ip link set dummy0 up
    ip "-$family" address replace "$dummy" dev dummy0
    ip "-$family" route replace default via "$gateway" dev dummy0 metric "$metric"
fi
