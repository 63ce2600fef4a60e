// Package settings turns the flags of `k3s server` into checked values that
// the rest of the double uses without checking them again.
package settings

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"emts.dev/refk3s/internal/args"
	"emts.dev/refk3s/internal/cli"
	utilnet "k8s.io/apimachinery/pkg/util/net"
)

// Server is one checked configuration of `k3s server`.
type Server struct {
	// Flags are the user's flags, for the few that are passed on as they are.
	Flags *cli.Values
	// Folders are the places under the data folder.
	Folders Folders

	NodeName string
	// NodeIPs has at least one address; the first one decides the family.
	NodeIPs []net.IP

	Network Network

	// BindAddress is empty unless the user set it.
	BindAddress string
	// Port is where users reach the API, APIPort where the API server itself listens.
	Port, APIPort int
	AdvertiseIP   net.IP
	AdvertisePort int
	// ExtraNames are the user's further names and addresses for the serving certificate.
	ExtraNames []string

	Disabled map[string]bool
	// CloudController is true when the double initialises nodes as K3s's embedded cloud controller does.
	CloudController bool
	// Etcd is true when K3s keeps the cluster's data in etcd, false for SQLite.
	// The double has etcd in both cases.
	Etcd bool
	// Bridge is false when the user brings a network plugin (flannel-backend none).
	Bridge bool

	PauseImage string
	// Registry prefixes the images of K3s itself; may be empty.
	Registry string
	// ImageRegistries get a name of every imported image.
	ImageRegistries []string

	Snapshotter string
	Kubeconfig  string
	// SystemdUnit is true when systemd runs the process as a service.
	SystemdUnit bool
}

// Resolve checks the flags in K3s's order and fills in the defaults.
func Resolve(flags *cli.Values) (*Server, error) {
	server := &Server{
		Flags:           flags,
		BindAddress:     flags.String("bind-address"),
		Port:            flags.Int("https-listen-port", 6443),
		Disabled:        map[string]bool{},
		CloudController: !flags.Bool("disable-cloud-controller"),
		Registry:        flags.String("system-default-registry"),
		Kubeconfig:      orDefault(flags.String("write-kubeconfig"), "/etc/rancher/k3s/k3s.yaml"),
		Snapshotter:     orDefault(flags.String("snapshotter"), "overlayfs"),
		SystemdUnit:     os.Getenv("INVOCATION_ID") != "",
	}
	steps := []func() error{
		server.resolveFolders, server.resolveNode, server.resolveNetwork,
		server.resolveAddresses, server.resolveComponents, server.checkLookedUp,
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return server, nil
}

func (s *Server) resolveFolders() error {
	data, err := filepath.Abs(orDefault(s.Flags.String("data-dir"), cli.DefaultDataFolder))
	if err != nil {
		return err
	}
	s.Folders = Folders{Data: data}
	_, err = os.Stat(s.Folders.Etcd())
	s.Etcd = s.Flags.Bool("cluster-init") || err == nil
	return nil
}

func (s *Server) resolveNode() error {
	name := s.Flags.String("node-name")
	if name == "" {
		host, err := os.Hostname()
		if err != nil {
			return fmt.Errorf("host name: %w", err)
		}
		name = host
	}
	s.NodeName = strings.ToLower(name)
	var err error
	s.NodeIPs, err = s.nodeAddresses()
	return err
}

// nodeAddresses are the user's, else those of the default routes.
func (s *Server) nodeAddresses() ([]net.IP, error) {
	var addresses []net.IP
	for _, text := range s.Flags.SplitList("node-ip") {
		address := net.ParseIP(text)
		if address == nil {
			return nil, fmt.Errorf("invalid node-ip: invalid ip format '%s'", text)
		}
		addresses = append(addresses, address)
	}
	if len(addresses) > 0 {
		return addresses, nil
	}
	first, err := utilnet.ChooseHostInterface()
	if err != nil {
		return nil, err
	}
	second, err := utilnet.ResolveBindAddress(net.IPv6loopback)
	if err != nil || first.To4() == nil || second.Equal(first) {
		return []net.IP{first}, nil
	}
	return []net.IP{first, second}, nil
}

func (s *Server) resolveAddresses() error {
	s.APIPort = s.Flags.Int("apiserver-port", 0)
	if s.APIPort == 0 {
		s.APIPort = s.Port + 1
	}
	s.AdvertiseIP = s.NodeIPs[0]
	if text := s.Flags.String("advertise-address"); text != "" {
		if s.AdvertiseIP = net.ParseIP(text); s.AdvertiseIP == nil {
			return fmt.Errorf("invalid advertise-address: invalid ip format '%s'", text)
		}
	}
	if s.AdvertisePort = s.Flags.Int("advertise-port", 0); s.AdvertisePort == 0 {
		s.AdvertisePort = s.Port
	}
	s.ExtraNames = s.Flags.SplitList("tls-san")
	return nil
}

func (s *Server) resolveComponents() error {
	// An empty name counts: it makes K3s delete every manifest.
	for _, text := range s.Flags.List("disable") {
		for name := range strings.SplitSeq(text, ",") {
			s.Disabled[strings.TrimSpace(name)] = true
		}
	}
	s.PauseImage = orDefault(s.Flags.String("pause-image"), "rancher/mirrored-pause:3.6")
	s.ImageRegistries = slices.Clone(s.Flags.List("airgap-extra-registry"))
	if s.Registry != "" {
		if !strings.HasPrefix(s.PauseImage, s.Registry) {
			s.PauseImage = s.Registry + "/" + s.PauseImage
		}
		if !slices.Contains(s.ImageRegistries, s.Registry) {
			s.ImageRegistries = append(s.ImageRegistries, s.Registry)
		}
	}
	if !slices.Contains([]string{"overlayfs", "native"}, s.Snapshotter) {
		return fmt.Errorf("refk3s does not implement flag --snapshotter=%s; it has overlayfs and native", s.Snapshotter)
	}
	switch backend := s.Flags.String("flannel-backend"); backend {
	case "":
		s.Bridge = true
	case "none":
	default:
		return fmt.Errorf("refk3s does not implement flag --flannel-backend=%s; it has a bridge network (flag left out) or no network plugin (none)", backend)
	}
	switch mode := s.Flags.String("egress-selector-mode"); mode {
	case "", "disabled":
		return nil
	case "agent", "cluster", "pod":
		return fmt.Errorf("refk3s does not implement flag --egress-selector-mode=%s; its API server reaches kubelets directly", mode)
	default:
		return fmt.Errorf("invalid egress-selector-mode %s", mode)
	}
}

// checkLookedUp ends as K3s does where it looks a component's argument up and
// finds no text.
func (s *Server) checkLookedUp() error {
	elements := s.Flags.List("kube-apiserver-arg")
	for _, key := range []string{"tls-min-version", "tls-cipher-suites", "authorization-config", "authentication-config"} {
		if err := args.CheckFirst(elements, key); err != nil {
			return err
		}
	}
	return nil
}

// AddVerbosity passes K3s's own -v and --vmodule on to a component.
func (s *Server) AddVerbosity(defaults map[string]string) {
	if level := s.Flags.Int("v", 0); level != 0 {
		defaults["v"] = strconv.Itoa(level)
	}
	if modules := s.Flags.String("vmodule"); modules != "" {
		defaults["vmodule"] = modules
	}
}

func orDefault(text, fallback string) string {
	if text == "" {
		return fallback
	}
	return text
}
