package pki

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"path/filepath"
)

// Cluster is everything that the cluster's parts prove themselves with. The
// file names and subjects are those of K3s.
type Cluster struct {
	Server, Client, RequestHeader, EtcdServer, EtcdPeer *Authority
}

// Subjects says for whom the cluster's certificates are.
type Subjects struct {
	// TLS is server/tls, Agent is agent/ in the data folder.
	TLS, Agent string
	NodeName   string
	NodeIPs    []net.IP
	// APIService is the service address of the API, Domain the cluster's DNS domain.
	APIService net.IP
	Domain     string
	// Extra are further names or addresses under which users reach the API.
	Extra []string
}

var (
	clientUse = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	serverUse = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	bothUse   = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	loopback  = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
)

// EnsureCluster makes what is missing or about to expire.
func EnsureCluster(s Subjects) (*Cluster, error) {
	for _, folder := range []string{s.TLS, filepath.Join(s.TLS, "etcd"), s.Agent} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return nil, err
		}
	}
	c := &Cluster{}
	if err := c.authorities(s.TLS); err != nil {
		return nil, err
	}
	for _, step := range []func(Subjects) error{c.clients, c.servers, c.etcd, c.node} {
		if err := step(s); err != nil {
			return nil, err
		}
	}
	for _, name := range []string{"service.key", "service.current.key"} {
		if err := EnsureKey(filepath.Join(s.TLS, name)); err != nil {
			return nil, err
		}
	}
	return c, sameKey(s.TLS)
}

// sameKey makes service.current.key, which signs, equal to service.key, which verifies.
func sameKey(folder string) error {
	content, err := os.ReadFile(filepath.Join(folder, "service.key"))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "service.current.key"), content, 0o600)
}

func (c *Cluster) authorities(folder string) (err error) {
	for _, authority := range []struct {
		target             **Authority
		folder, name, text string
	}{
		{&c.Server, folder, "server-ca", "k3s-server-ca"},
		{&c.Client, folder, "client-ca", "k3s-client-ca"},
		{&c.RequestHeader, folder, "request-header-ca", "k3s-request-header-ca"},
		{&c.EtcdServer, filepath.Join(folder, "etcd"), "server-ca", "etcd-server-ca"},
		{&c.EtcdPeer, filepath.Join(folder, "etcd"), "peer-ca", "etcd-peer-ca"},
	} {
		if *authority.target, err = LoadOrCreateAuthority(authority.folder, authority.name, authority.text); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) clients(s Subjects) error {
	for _, client := range []struct {
		file, name string
		groups     []string
	}{
		{"client-admin", "system:admin", []string{"system:masters"}},
		{"client-supervisor", "system:k3s-supervisor", []string{"system:masters"}},
		{"client-controller", "system:kube-controller-manager", nil},
		{"client-scheduler", "system:kube-scheduler", nil},
		{"client-kube-apiserver", "kube-apiserver", nil},
		{"client-kube-proxy", "system:kube-proxy", nil},
	} {
		request := Request{CommonName: client.name, Organizations: client.groups, Usages: clientUse}
		if err := c.Client.Ensure(filepath.Join(s.TLS, client.file), request); err != nil {
			return err
		}
	}
	return c.RequestHeader.Ensure(filepath.Join(s.TLS, "client-auth-proxy"),
		Request{CommonName: "system:auth-proxy", Usages: clientUse})
}

func (c *Cluster) servers(s Subjects) error {
	request := Request{
		CommonName: "k3s",
		Usages:     serverUse,
		Names: []string{
			"kubernetes", "kubernetes.default", "kubernetes.default.svc",
			"kubernetes.default.svc." + s.Domain, "localhost", s.NodeName,
		},
		Addresses: append(append([]net.IP{s.APIService}, loopback...), s.NodeIPs...),
	}
	for _, extra := range s.Extra {
		if address := net.ParseIP(extra); address != nil {
			request.Addresses = append(request.Addresses, address)
		} else if extra != "" {
			request.Names = append(request.Names, extra)
		}
	}
	if err := c.Server.Ensure(filepath.Join(s.TLS, "serving-kube-apiserver"), request); err != nil {
		return err
	}
	for _, name := range []string{"kube-controller-manager", "kube-scheduler"} {
		local := Request{CommonName: name, Usages: serverUse, Names: []string{"localhost"}, Addresses: loopback}
		if err := c.Server.Ensure(filepath.Join(s.TLS, name, name), local); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) etcd(s Subjects) error {
	folder := filepath.Join(s.TLS, "etcd")
	request := Request{
		CommonName: "etcd-server", Usages: bothUse,
		Names:     []string{"localhost", s.NodeName},
		Addresses: append(append([]net.IP{}, loopback...), s.NodeIPs...),
	}
	if err := c.EtcdServer.Ensure(filepath.Join(folder, "server-client"), request); err != nil {
		return err
	}
	request.CommonName = "etcd-peer"
	if err := c.EtcdPeer.Ensure(filepath.Join(folder, "peer-server-client"), request); err != nil {
		return err
	}
	return c.EtcdServer.Ensure(filepath.Join(folder, "client"), Request{CommonName: "etcd-client", Usages: clientUse})
}

func (c *Cluster) node(s Subjects) error {
	kubelet := Request{
		CommonName: "system:node:" + s.NodeName, Organizations: []string{"system:nodes"}, Usages: clientUse,
	}
	if err := c.Client.Ensure(filepath.Join(s.Agent, "client-kubelet"), kubelet); err != nil {
		return err
	}
	serving := Request{
		CommonName: s.NodeName, Usages: serverUse, Names: []string{s.NodeName, "localhost"},
		Addresses: append(append([]net.IP{}, loopback...), s.NodeIPs...),
	}
	if err := c.Server.Ensure(filepath.Join(s.Agent, "serving-kubelet"), serving); err != nil {
		return err
	}
	for _, name := range []string{"client-ca", "server-ca"} {
		content, err := os.ReadFile(filepath.Join(s.TLS, name+".crt"))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(s.Agent, name+".crt"), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// Fingerprint is the SHA-256 of the server authority's file in hex, the part
// of a full token that pins the cluster.
func (c *Cluster) Fingerprint() (string, error) {
	content, err := os.ReadFile(c.Server.File)
	if err != nil {
		return "", fmt.Errorf("server authority: %w", err)
	}
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:]), nil
}
