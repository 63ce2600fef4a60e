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
	ipv6First := s.NodeIPs[0].To4() == nil
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
	if err := s.resolveDNS(); err != nil {
		return err
	}
	return s.checkFamilies()
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

// families is a set of IP families in the notation of K3s's own checks.
type families struct{ ipv4, ipv6 bool }

func familiesOfRanges(ranges []*net.IPNet) families {
	var found families
	for _, network := range ranges {
		found.add(network.IP)
	}
	return found
}

func (f *families) add(address net.IP) {
	if address.To4() != nil {
		f.ipv4 = true
	} else {
		f.ipv6 = true
	}
}

func (s *Server) checkFamilies() error {
	n := &s.Network
	cluster, service := familiesOfRanges(n.ClusterCIDRs), familiesOfRanges(n.ServiceCIDRs)
	var node families
	for _, address := range s.NodeIPs {
		node.add(address)
	}
	const must = "must share the same IP version (IPv4, IPv6 or dual-stack)"
	if cluster != service {
		return fmt.Errorf("cluster-cidr: %v and service-cidr: %v, %s", n.ClusterCIDRs, n.ServiceCIDRs, must)
	}
	if cluster != node {
		return fmt.Errorf("cluster-cidr: %v and node-ip: %v, %s", n.ClusterCIDRs, s.NodeIPs, must)
	}
	if len(s.NodeIPs) > 1 && (s.NodeIPs[0].To4() == nil) != (n.ClusterCIDRs[0].IP.To4() == nil) {
		s.NodeIPs[0], s.NodeIPs[1] = s.NodeIPs[1], s.NodeIPs[0]
	}
	return nil
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
