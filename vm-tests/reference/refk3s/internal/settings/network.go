package settings

import (
	"fmt"
	"net"
	"strings"

	utilnet "k8s.io/apimachinery/pkg/util/net"
	netutils "k8s.io/utils/net"
)

// Network has the cluster's address ranges.
type Network struct {
	ClusterCIDRs, ServiceCIDRs []*net.IPNet
	// APIService is the cluster address of the service `kubernetes`.
	APIService net.IP
	DNS        []net.IP
	Domain     string
	NodePorts  utilnet.PortRange
}

// DefaultCipherSuites are what K3s serves with when the user names none.
const DefaultCipherSuites = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384," +
	"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256," +
	"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305,TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305"

// dnsIndex is the place of the DNS service's address in each service range.
const dnsIndex = 10

func (s *Server) resolveNetwork() error {
	ipv6First := isIPv6(s.NodeIPs[0])
	clusterDefault, serviceDefault := "10.42.0.0/16", "10.43.0.0/16"
	if ipv6First {
		clusterDefault, serviceDefault = "fd00:42::/56", "fd00:43::/112"
	}
	n := &s.Network
	var err error
	if n.ClusterCIDRs, err = s.ranges("cluster-cidr", clusterDefault); err != nil {
		return err
	}
	if n.ServiceCIDRs, err = s.ranges("service-cidr", serviceDefault); err != nil {
		return err
	}
	ports := orDefault(s.Flags.String("service-node-port-range"), "30000-32767")
	parsed, err := utilnet.ParsePortRange(ports)
	if err != nil {
		return fmt.Errorf("invalid port range %s: %w", ports, err)
	}
	n.NodePorts = *parsed
	if n.APIService, err = netutils.GetIndexedIP(n.ServiceCIDRs[0], 1); err != nil {
		return fmt.Errorf("service-cidr %s has no address for the API server: %w", n.ServiceCIDRs[0], err)
	}
	return s.resolveDNS()
}

func (s *Server) ranges(flag, fallback string) ([]*net.IPNet, error) {
	texts := s.Flags.SplitList(flag)
	if len(texts) == 0 {
		texts = []string{fallback}
	}
	var ranges []*net.IPNet
	for _, text := range texts {
		_, network, err := net.ParseCIDR(text)
		if err != nil {
			return nil, fmt.Errorf("invalid %s %s: %w", flag, text, err)
		}
		ranges = append(ranges, network)
	}
	return ranges, nil
}

func (s *Server) resolveDNS() error {
	n := &s.Network
	n.Domain = orDefault(s.Flags.String("cluster-domain"), "cluster.local")
	for _, text := range s.Flags.SplitList("cluster-dns") {
		address := net.ParseIP(text)
		if address == nil {
			return fmt.Errorf("invalid cluster-dns address %s", text)
		}
		n.DNS = append(n.DNS, address)
	}
	if len(n.DNS) > 0 {
		return nil
	}
	for _, network := range n.ServiceCIDRs {
		address, err := netutils.GetIndexedIP(network, dnsIndex)
		if err != nil {
			return fmt.Errorf("cannot configure default cluster-dns address: %w", err)
		}
		n.DNS = append(n.DNS, address)
	}
	return nil
}

// CheckFamilies compares the families of ranges and addresses, which K3s does
// only when its node starts, and puts the node's address of the first range's
// family first.
func (s *Server) CheckFamilies() error {
	n := &s.Network
	if len(s.NodeIPs) > 1 && isIPv6(s.NodeIPs[0]) != isIPv6(n.ClusterCIDRs[0].IP) {
		s.NodeIPs[0], s.NodeIPs[1] = s.NodeIPs[1], s.NodeIPs[0]
	}
	const must = "must share the same IP version (IPv4, IPv6 or dual-stack)"
	clusterIPv6, clusterDual := isIPv6(n.ClusterCIDRs[0].IP), isDual(n.ClusterCIDRs)
	if clusterIPv6 != isIPv6(n.ServiceCIDRs[0].IP) || clusterDual != isDual(n.ServiceCIDRs) {
		return fmt.Errorf("cluster-cidr: %v and service-cidr: %v, %s", n.ClusterCIDRs, n.ServiceCIDRs, must)
	}
	nodeDual, err := netutils.IsDualStackIPs(s.NodeIPs)
	if err != nil {
		return fmt.Errorf("failed to validate node-ip: %w", err)
	}
	if !nodeDual && (clusterDual || clusterIPv6 != isIPv6(s.NodeIPs[0])) {
		return fmt.Errorf("cluster-cidr: %v and node-ip: %v, %s", n.ClusterCIDRs, s.NodeIPs, must)
	}
	return nil
}

func isIPv6(address net.IP) bool { return address.To4() == nil }

// isDual is true for ranges of both families.
func isDual(ranges []*net.IPNet) bool {
	dual, err := netutils.IsDualStackCIDRs(ranges)
	return err == nil && dual
}

// JoinRanges prints ranges as components take them.
func JoinRanges(ranges []*net.IPNet) string {
	texts := make([]string, 0, len(ranges))
	for _, network := range ranges {
		texts = append(texts, network.String())
	}
	return strings.Join(texts, ",")
}

// JoinAddresses prints addresses as components take them.
func JoinAddresses(addresses []net.IP) string {
	texts := make([]string, 0, len(addresses))
	for _, address := range addresses {
		texts = append(texts, address.String())
	}
	return strings.Join(texts, ",")
}
