// Package agent runs what makes the machine a node: containerd, the kubelet,
// kube-proxy and the network configuration.
package agent

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"emts.dev/refk3s/internal/args"
	"emts.dev/refk3s/internal/settings"
	"github.com/sirupsen/logrus"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
	"k8s.io/kubernetes/pkg/util/taints"
	"sigs.k8s.io/yaml"
)

// kubeletConfigFolder holds the kubelet's configuration files, read in the order of their names.
func kubeletConfigFolder(s *settings.Server) string { return s.Folders.Agent("etc", "kubelet.conf.d") }

// kubeletArguments are K3s's defaults with what is left of the user's
// kubelet-arg without configuration files.
func kubeletArguments(s *settings.Server, user []string) []string {
	defaults := map[string]string{
		"config-dir":        kubeletConfigFolder(s),
		"containerd":        settings.ContainerdSocket,
		"hostname-override": s.NodeName,
		"kubeconfig":        s.Folders.Agent("kubelet.kubeconfig"),
		"node-ip":           settings.JoinAddresses(s.NodeIPs),
		"node-labels":       strings.Join(s.Flags.List("node-label"), ","),
		"read-only-port":    "0",
	}
	if s.CloudController {
		defaults["cloud-provider"] = "external"
	} else if len(s.NodeIPs) > 1 {
		delete(defaults, "node-ip")
	}
	addCredentialProvider(s, defaults)
	s.AddVerbosity(defaults)
	return args.Merge(defaults, user)
}

// addCredentialProvider passes the image credential provider on when both its
// configuration and the directory of its programs are there.
func addCredentialProvider(s *settings.Server, defaults map[string]string) {
	config := orDefault(s.Flags.String("image-credential-provider-config"), "/var/lib/rancher/credentialprovider/config.yaml")
	programs := orDefault(s.Flags.String("image-credential-provider-bin-dir"), "/var/lib/rancher/credentialprovider/bin")
	if isDirectory(programs) && fileExists(config) && !isDirectory(config) {
		logrus.Info("Kubelet image credential provider bin dir and configuration file found.")
		defaults["image-credential-provider-config"] = config
		defaults["image-credential-provider-bin-dir"] = programs
	}
}

// kubeletConfigs are the files that a user adds to the kubelet's configuration
// through kubelet-arg.
type kubeletConfigs struct{ file, directory string }

// splitKubeletConfig takes `config=FILE` and `config-dir=DIR` out of the
// user's kubelet arguments. As in K3s, an element without "=" makes the next
// element disappear, because it is taken for the value.
func splitKubeletConfig(elements []string) (configs kubeletConfigs, rest []string, err error) {
	for index := 0; index < len(elements); index++ {
		element := elements[index]
		key, text, hasText := strings.Cut(strings.TrimPrefix(element, "--"), "=")
		if !hasText && index+1 < len(elements) {
			index++
			text = elements[index]
			logrus.Warnf("kubelet-arg %q has no '='; as in K3s the next element %q is taken for its value and not passed on", element, text)
		}
		switch key {
		case "config":
			configs.file = text
		case "config-dir":
			configs.directory = text
		default:
			rest = append(rest, element)
			continue
		}
		if text == "" {
			return configs, nil, fmt.Errorf("value required for kubelet-arg --%s", key)
		}
	}
	return configs, rest, nil
}

// writeKubeletConfig writes K3s's defaults and copies the user's files behind them.
func writeKubeletConfig(s *settings.Server, systemdCgroup bool, configs kubeletConfigs) error {
	directory := kubeletConfigFolder(s)
	if err := os.RemoveAll(directory); err != nil {
		return err
	}
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return err
	}
	defaults, err := kubeletDefaults(s, systemdCgroup)
	if err != nil {
		return fmt.Errorf("prepare default configuration drop-in: %w", err)
	}
	text, err := yaml.Marshal(defaults)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(directory, "00-k3s-defaults.conf"), text, 0o600); err != nil {
		return fmt.Errorf("generate default kubelet configuration drop-in: %w", err)
	}
	if err := configs.copyTo(directory); err != nil {
		return fmt.Errorf("prepare user configuration drop-ins: %w", err)
	}
	return nil
}

// copyTo puts the user's files where the kubelet reads them after K3s's defaults.
func (c kubeletConfigs) copyTo(directory string) error {
	if c.file != "" {
		target := filepath.Join(directory, "10-cli-config.conf")
		content, err := os.ReadFile(c.file)
		if err == nil {
			err = os.WriteFile(target, content, 0o600)
		}
		if err != nil {
			return fmt.Errorf("copy config %q into managed drop-in dir %q: %w", c.file, target, err)
		}
	}
	if c.directory != "" {
		target := filepath.Join(directory, "20-cli-config-dir")
		if err := os.CopyFS(target, os.DirFS(c.directory)); err != nil {
			return fmt.Errorf("copy config-dir %q into managed drop-in dir %q: %w", c.directory, target, err)
		}
	}
	return nil
}

// kubeletDefaults is the KubeletConfiguration with which K3s starts.
func kubeletDefaults(s *settings.Server, systemdCgroup bool) (map[string]any, error) {
	defaults := kubeletFiles(s)
	defaults["cgroupDriver"] = "cgroupfs"
	if systemdCgroup {
		defaults["cgroupDriver"] = "systemd"
	}
	defaults["address"], defaults["healthzBindAddress"] = "0.0.0.0", "127.0.0.1"
	if s.NodeIPs[0].To4() == nil {
		defaults["address"], defaults["healthzBindAddress"] = "::", "::1"
	}
	if s.BindAddress != "" {
		defaults["address"] = s.BindAddress
	}
	if !s.Disabled["servicelb"] {
		defaults["allowedUnsafeSysctls"] = []string{"net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"}
	}
	registerTaints, _, err := taints.ParseTaints(s.Flags.List("node-taint"))
	if err != nil {
		return nil, fmt.Errorf("failed to parse node taints: %w", err)
	}
	defaults["registerWithTaints"] = registerTaints
	return defaults, nil
}

// kubeletFiles is the part of the configuration that does not depend on the node.
func kubeletFiles(s *settings.Server) map[string]any {
	f := s.Folders
	return map[string]any{
		"apiVersion": "kubelet.config.k8s.io/v1beta1",
		"kind":       "KubeletConfiguration",
		"authentication": map[string]any{
			"anonymous": map[string]any{"enabled": false},
			"webhook":   map[string]any{"enabled": true},
			"x509":      map[string]any{"clientCAFile": f.Agent("client-ca.crt")},
		},
		"authorization":            map[string]any{"mode": "Webhook"},
		"clusterDNS":               addressTexts(s),
		"clusterDomain":            s.Network.Domain,
		"containerRuntimeEndpoint": "unix://" + settings.ContainerdSocket,
		"evictionHard":             map[string]string{"imagefs.available": "5%", "nodefs.available": "5%"},
		"evictionMinimumReclaim":   map[string]string{"imagefs.available": "10%", "nodefs.available": "10%"},
		"failSwapOn":               false,
		"protectKernelDefaults":    s.Flags.Bool("protect-kernel-defaults"),
		"resolvConf":               resolvConf(s),
		"serializeImagePulls":      false,
		"staticPodPath":            f.Agent("pod-manifests"),
		"tlsCertFile":              f.Agent("serving-kubelet.crt"),
		"tlsPrivateKeyFile":        f.Agent("serving-kubelet.key"),
	}
}

func addressTexts(s *settings.Server) []string {
	var texts []string
	for _, address := range s.Network.DNS {
		texts = append(texts, address.String())
	}
	return texts
}

// NewKubelet writes the kubelet's configuration and returns what runs it until
// it fails or a signal ends the process.
func NewKubelet(s *settings.Server, containerd *Containerd) (run func(context.Context) error, err error) {
	configs, rest, err := splitKubeletConfig(s.Flags.List("kubelet-arg"))
	if err != nil {
		return nil, fmt.Errorf("prepare user configuration drop-ins: %w", err)
	}
	if err := writeKubeletConfig(s, containerd.systemdCgroup, configs); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(s.Folders.Agent("pod-manifests"), 0o700); err != nil {
		return nil, err
	}
	arguments := kubeletArguments(s, rest)
	return func(ctx context.Context) error {
		logrus.Infof("Running kubelet %s", strings.Join(arguments, " "))
		command := kubelet.NewKubeletCommand()
		command.SetArgs(arguments)
		return command.ExecuteContext(ctx)
	}, nil
}

func orDefault(text, fallback string) string {
	if text == "" {
		return fallback
	}
	return text
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func isDirectory(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
