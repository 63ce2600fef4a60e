package agent

import (
	"fmt"
	"os"

	"github.com/sirupsen/logrus"
	yaml "gopkg.in/yaml.v2"
)

// registries is the content of registries.yaml, with K3s' names, because
// containerd templates see it; unknown keys are ignored, as K3s does.
type registries struct {
	Mirrors map[string]mirror         `yaml:"mirrors"`
	Configs map[string]registryConfig `yaml:"configs"`
	Auths   map[string]registryAuth   `yaml:"auths"`
}

type mirror struct {
	Endpoints []string          `yaml:"endpoint"`
	Rewrites  map[string]string `yaml:"rewrite"`
}

type registryConfig struct {
	Auth *registryAuth `yaml:"auth"`
	TLS  *registryTLS  `yaml:"tls"`
}

type registryAuth struct {
	Username      string `yaml:"username"`
	Password      string `yaml:"password"`
	Auth          string `yaml:"auth"`
	IdentityToken string `yaml:"identity_token"`
}

type registryTLS struct {
	CAFile             string `yaml:"ca_file"`
	CertFile           string `yaml:"cert_file"`
	KeyFile            string `yaml:"key_file"`
	InsecureSkipVerify bool   `yaml:"insecure_skip_verify"`
}

// readRegistries reads registries.yaml; no file means no settings.
func readRegistries(path string) (registries, error) {
	content, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return registries{}, nil
	}
	if err != nil {
		return registries{}, fmt.Errorf("private registry configuration: %w", err)
	}
	logrus.Infof("Using private registry config file at %s", path)
	var found registries
	if err := yaml.Unmarshal(content, &found); err != nil {
		return registries{}, err
	}
	return found, nil
}

// configOf prefers the settings under the name that the host is reached by.
func (r registries) configOf(host string) registryConfig {
	if reached := reachedHost(host); reached != host {
		if config, ok := r.Configs[reached]; ok {
			return config
		}
	}
	return r.Configs[host]
}

// reachedHost is where the images of a registry are.
func reachedHost(host string) string {
	if host == "docker.io" {
		return "registry-1.docker.io"
	}
	return host
}
