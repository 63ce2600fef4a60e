package agent

import (
	"net"

	"emts.dev/refk3s/internal/settings"
)

// The types below are what a containerd template sees. Names and nesting are
// K3s' own, which users' templates rely on.

type templateData struct {
	NodeConfig            *templateNode
	DisableCgroup         bool
	SystemdCgroup         bool
	IsRunningInUserNS     bool
	EnableUnprivileged    bool
	NoDefaultEndpoint     bool
	NonrootDevices        bool
	PrivateRegistryConfig *registries
	ExtraRuntimes         map[string]extraRuntime
	Program               string
}

type templateNode struct {
	Docker, SELinux          bool
	ContainerRuntimeEndpoint string
	ImageServiceEndpoint     string
	Containerd               templateContainerd
	Images                   string
	AgentConfig              templateAgent
	ServerHTTPSPort          int
	SupervisorPort           int
	DefaultRuntime           string
}

type templateContainerd struct {
	Address, Log, Root, State, Config, Opt, Template string
	BlockIOConfig, RDTConfig, Registry               string
	NoDefault, NonrootDevices, SELinux, Debug        bool
	ConfigVersion                                    int
}

type templateAgent struct {
	NodeName                        string
	NodeIP                          string
	NodeIPs                         []net.IP
	ClusterCIDRs, ServiceCIDRs      []*net.IPNet
	ClusterDNS                      net.IP
	ClusterDNSs                     []net.IP
	ClusterDomain                   string
	RuntimeSocket                   string
	ImageServiceSocket              string
	CNIBinDir, CNIConfDir           string
	ExtraKubeletArgs                []string
	ExtraKubeProxyArgs              []string
	PauseImage, Snapshotter         string
	Systemd                         bool
	NodeTaints, NodeLabels          []string
	SystemDefaultRegistry           string
	AirgapExtraRegistry             []string
	DisableCCM, DisableNPC          bool
	Rootless, ProtectKernelDefaults bool
	DisableServiceLB                bool
}

func nodeOfTemplate(s *settings.Server, cni string) *templateNode {
	return &templateNode{
		Images:          s.Folders.Agent("images"),
		ServerHTTPSPort: s.Port,
		SupervisorPort:  s.Port,
		DefaultRuntime:  s.Flags.String("default-runtime"),
		AgentConfig:     agentOfTemplate(s, cni),
	}
}

func agentOfTemplate(s *settings.Server, cni string) templateAgent {
	agent := templateAgent{
		NodeName: s.NodeName, NodeIP: s.NodeIPs[0].String(), NodeIPs: s.NodeIPs,
		ClusterCIDRs: s.Network.ClusterCIDRs, ServiceCIDRs: s.Network.ServiceCIDRs,
		ClusterDNS: s.Network.DNS[0], ClusterDNSs: s.Network.DNS, ClusterDomain: s.Network.Domain,
		RuntimeSocket:    settings.ContainerdSocket,
		ExtraKubeletArgs: s.Flags.List("kubelet-arg"), ExtraKubeProxyArgs: s.Flags.List("kube-proxy-arg"),
		PauseImage: s.PauseImage, Snapshotter: s.Snapshotter,
		NodeTaints: s.Flags.List("node-taint"), NodeLabels: s.Flags.List("node-label"),
		SystemDefaultRegistry: s.Registry, AirgapExtraRegistry: s.ImageRegistries,
		DisableCCM: !s.CloudController, DisableNPC: s.Flags.Bool("disable-network-policy"),
		ProtectKernelDefaults: s.Flags.Bool("protect-kernel-defaults"),
		DisableServiceLB:      s.Disabled["servicelb"],
	}
	// Without K3s' own network the plugin directories are containerd's.
	if s.Bridge {
		agent.CNIBinDir, agent.CNIConfDir = cni, s.Folders.Agent("etc", "cni", "net.d")
	}
	return agent
}

func containerdOfTemplate(s *settings.Server, version int) templateContainerd {
	directory := s.Folders.Agent("etc", "containerd")
	return templateContainerd{
		Address:        settings.ContainerdSocket,
		Log:            s.Folders.Agent("containerd", "containerd.log"),
		Root:           s.Folders.Agent("containerd"),
		State:          settings.ContainerdState,
		Config:         s.Folders.Agent("etc", "containerd", "config.toml"),
		Opt:            s.Folders.Agent("containerd"),
		Template:       directory,
		BlockIOConfig:  regularFile(directory, "blockio_config.yaml"),
		RDTConfig:      regularFile(directory, "rdt_config.yaml"),
		Registry:       s.Folders.Agent("etc", "containerd", "certs.d"),
		NoDefault:      s.Flags.Bool("disable-default-registry-endpoint"),
		NonrootDevices: s.Flags.Bool("nonroot-devices"),
		Debug:          s.Flags.Bool("debug"),
		ConfigVersion:  version,
	}
}
