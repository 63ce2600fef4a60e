package pki

import (
	"os"
	"path/filepath"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// WriteKubeconfig writes a kubeconfig that names the certificate files at base.
func WriteKubeconfig(path, server, authorityFile, base string) error {
	config := kubeconfig(server)
	config.Clusters["local"].CertificateAuthority = authorityFile
	config.AuthInfos["user"] = &clientcmdapi.AuthInfo{ClientCertificate: base + ".crt", ClientKey: base + ".key"}
	config.Contexts["Default"] = &clientcmdapi.Context{Cluster: "local", AuthInfo: "user"}
	config.CurrentContext = "Default"
	return writeConfig(path, config, 0o600)
}

// WriteUserKubeconfig writes the administrator's kubeconfig with everything in
// it, under the name "default" as K3s does.
func WriteUserKubeconfig(path, server, authorityFile, base string, mode os.FileMode) error {
	read := func(name string) ([]byte, error) { return os.ReadFile(name) }
	authority, err := read(authorityFile)
	if err != nil {
		return err
	}
	certificate, err := read(base + ".crt")
	if err != nil {
		return err
	}
	key, err := read(base + ".key")
	if err != nil {
		return err
	}
	config := clientcmdapi.NewConfig()
	config.Clusters["default"] = &clientcmdapi.Cluster{Server: server, CertificateAuthorityData: authority}
	config.AuthInfos["default"] = &clientcmdapi.AuthInfo{ClientCertificateData: certificate, ClientKeyData: key}
	config.Contexts["default"] = &clientcmdapi.Context{Cluster: "default", AuthInfo: "default"}
	config.CurrentContext = "default"
	return writeConfig(path, config, mode)
}

func kubeconfig(server string) *clientcmdapi.Config {
	config := clientcmdapi.NewConfig()
	config.Clusters["local"] = &clientcmdapi.Cluster{Server: server}
	return config
}

// writeConfig replaces path in one step, so that no reader sees half a file.
func writeConfig(path string, config *clientcmdapi.Config, mode os.FileMode) error {
	content, err := clientcmd.Write(*config)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	temporary := path + ".new"
	if err := os.WriteFile(temporary, content, 0o600); err != nil {
		return err
	}
	if err := os.Chmod(temporary, mode); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}
