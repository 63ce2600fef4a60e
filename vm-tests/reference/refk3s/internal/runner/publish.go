package runner

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"

	"emts.dev/refk3s/internal/pki"
	"emts.dev/refk3s/internal/settings"
	"github.com/sirupsen/logrus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/kubernetes"
)

const usualKubeconfig = "/etc/rancher/k3s/k3s.yaml"

// writeUserKubeconfig writes the administrator's kubeconfig where the user
// wants it, with a link at the usual place.
func writeUserKubeconfig(s *settings.Server) error {
	host := s.BindAddress
	if host == "" {
		host = "127.0.0.1"
		if s.NodeIPs[0].To4() == nil {
			host = "::1"
		}
	}
	server := "https://" + net.JoinHostPort(host, strconv.Itoa(s.Port))
	mode := kubeconfigMode(s)
	if err := pki.WriteUserKubeconfig(s.Kubeconfig, server, s.Folders.TLS("server-ca.crt"), s.Folders.TLS("client-admin"), mode); err != nil {
		return err
	}
	logrus.Infof("Wrote kubeconfig %s", s.Kubeconfig)
	if group := s.Flags.String("write-kubeconfig-group"); group != "" {
		if err := setGroup(s.Kubeconfig, group); err != nil {
			logrus.Errorf("Failed to set %s to group %s: %v", s.Kubeconfig, group, err)
		}
	}
	if s.Kubeconfig == usualKubeconfig {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(usualKubeconfig), 0o755); err != nil {
		return err
	}
	if err := os.Remove(usualKubeconfig); err != nil && !os.IsNotExist(err) {
		return err
	}
	return os.Symlink(s.Kubeconfig, usualKubeconfig)
}

// kubeconfigMode reads the digits of write-kubeconfig-mode as an octal number;
// what is none is logged and changes nothing, as in K3s.
func kubeconfigMode(s *settings.Server) os.FileMode {
	text := s.Flags.String("write-kubeconfig-mode")
	if text == "" {
		return 0o600
	}
	number, err := strconv.ParseUint(text, 8, 32)
	if err != nil {
		logrus.Errorf("Failed to set %s to mode %s: %v", s.Kubeconfig, os.FileMode(number), err)
		return 0o600
	}
	return os.FileMode(number)
}

func setGroup(path, name string) error {
	group, err := user.LookupGroup(name)
	if err != nil {
		if group, err = user.LookupGroupId(name); err != nil {
			return fmt.Errorf("write-kubeconfig-group: %w", err)
		}
	}
	number, err := strconv.Atoi(group.Gid)
	if err != nil {
		return err
	}
	return os.Chown(path, -1, number)
}

// describeDNS writes the ConfigMap in which K3s tells add-ons the DNS settings.
func (r *Server) describeDNS(ctx context.Context, client kubernetes.Interface) error {
	data := map[string]string{
		"clusterDNS":    settings.JoinAddresses(r.settings.Network.DNS),
		"clusterDomain": r.settings.Network.Domain,
	}
	_, err := client.CoreV1().ConfigMaps(metav1.NamespaceSystem).Apply(ctx,
		applycorev1.ConfigMap("cluster-dns", metav1.NamespaceSystem).WithData(data),
		metav1.ApplyOptions{FieldManager: "k3s", Force: true})
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("the namespace is not there yet: %w", err)
	}
	return err
}
