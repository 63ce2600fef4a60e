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
	"sigs.k8s.io/yaml"
)

// kubeletConfigFolder holds the kubelet's configuration files, read in the order of their names.
func kubeletConfigFolder(s *settings.Server) string { return s.Folders.Agent("etc", "kubelet.conf.d") }

// KubeletArguments are K3s's defaults with the user's kubelet-arg.
func KubeletArguments(s *settings.Server) []string {
	user := s.Flags.List("kubelet-arg")
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
	if config := orDefault(s.Flags.String("image-credential-provider-config"), "/var/lib/rancher/credentialprovider/config.yaml"); fileExists(config) {
		defaults["image-credential-provider-config"] = config
		defaults["image-credential-provider-bin-dir"] = orDefault(
			s.Flags.String("image-credential-provider-bin-dir"), "/var/lib/rancher/credentialprovider/bin")
	}
	if taints := s.Flags.List("node-taint"); len(taints) > 0 {
		defaults["register-with-taints"] = strings.Join(taints, ",")
	}
	_, rest := splitKubeletConfig(user)
	return args.Merge(defaults, rest)
}

// kubeletConfigs are the files that a user adds to the kubelet's configuration
// through kubelet-arg.
type kubeletConfigs struct{ file, folder string }

// splitKubeletConfig takes `config=FILE` and `config-dir=DIR` out of the
// user's kubelet arguments. As in K3s, an element without "=" makes the next
// element disappear, because it is taken for the value.
func splitKubeletConfig(elements []string) (configs kubeletConfigs, rest []string) {
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
			configs.folder = text
		default:
			rest = append(rest, element)
		}
	}
	return configs, rest
}

// writeKubeletConfig writes K3s's defaults and copies the user's files behind them.
func writeKubeletConfig(s *settings.Server, containerd *Containerd) error {
	folder := kubeletConfigFolder(s)
	if err := os.RemoveAll(folder); err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	text, err := yaml.Marshal(kubeletDefaults(s, containerd.systemdCgroup))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, "00-k3s-defaults.conf"), text, 0o600); err != nil {
		return err
	}
	configs, _ := splitKubeletConfig(s.Flags.List("kubelet-arg"))
	if configs.file != "" {
		content, err := os.ReadFile(configs.file)
		if err != nil {
			return fmt.Errorf("kubelet-arg config: %w", err)
		}
		if err := os.WriteFile(filepath.Join(folder, "10-cli-config.conf"), content, 0o600); err != nil {
			return err
		}
	}
	if configs.folder != "" {
		if err := os.CopyFS(filepath.Join(folder, "20-cli-config-dir"), os.DirFS(configs.folder)); err != nil {
			return fmt.Errorf("kubelet-arg config-dir: %w", err)
		}
	}
	return nil
}

func kubeletDefaults(s *settings.Server, systemdCgroup bool) map[string]any {
	f := s.Folders
	driver := "cgroupfs"
	if systemdCgroup {
		driver = "systemd"
	}
	address := "0.0.0.0"
	if s.NodeIPs[0].To4() == nil {
		address = "::"
	}
	if s.BindAddress != "" {
		address = s.BindAddress
	}
	return map[string]any{
		"apiVersion": "kubelet.config.k8s.io/v1beta1",
		"kind":       "KubeletConfiguration",
		"address":    address,
		"authentication": map[string]any{
			"anonymous": map[string]any{"enabled": false},
			"webhook":   map[string]any{"enabled": true},
			"x509":      map[string]any{"clientCAFile": f.Agent("client-ca.crt")},
		},
		"authorization":            map[string]any{"mode": "Webhook"},
		"cgroupDriver":             driver,
		"clusterDNS":               addressTexts(s),
		"clusterDomain":            s.Network.Domain,
		"containerRuntimeEndpoint": "unix://" + settings.ContainerdSocket,
		"evictionHard":             map[string]string{"imagefs.available": "5%", "nodefs.available": "5%"},
		"evictionMinimumReclaim":   map[string]string{"imagefs.available": "10%", "nodefs.available": "10%"},
		"failSwapOn":               false,
		"healthzBindAddress":       "127.0.0.1",
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

// RunKubelet runs until the component fails or a signal ends the process.
func RunKubelet(ctx context.Context, s *settings.Server, containerd *Containerd) error {
	if err := writeKubeletConfig(s, containerd); err != nil {
		return err
	}
	if err := os.MkdirAll(s.Folders.Agent("pod-manifests"), 0o700); err != nil {
		return err
	}
	arguments := KubeletArguments(s)
	logrus.Infof("Running kubelet %s", strings.Join(arguments, " "))
	command := kubelet.NewKubeletCommand()
	command.SetArgs(arguments)
	command.SilenceErrors = true
	err := command.ExecuteContext(ctx)
	if err == nil && ctx.Err() == nil {
		return fmt.Errorf("ended without an error")
	}
	return err
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
