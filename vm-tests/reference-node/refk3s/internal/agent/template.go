package agent

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/sirupsen/logrus"
)

//go:embed templates/base-v3.toml
var baseV3 string

//go:embed templates/base-v2.toml
var baseV2 string

// templateChoice is the containerd template in use.
type templateChoice struct {
	// text is the template, base what `{{ template "base" . }}` stands for.
	text, base string
	// version is the version of containerd's configuration format, 2 or 3.
	version int
}

// chooseTemplate prefers config-v3.toml.tmpl, then config.toml.tmpl over the
// version-2 base, then the built-in version-3 base.
func chooseTemplate(folder string) (templateChoice, error) {
	for _, candidate := range []struct {
		name    string
		base    string
		version int
	}{{"config-v3.toml.tmpl", baseV3, 3}, {"config.toml.tmpl", baseV2, 2}} {
		path := filepath.Join(folder, candidate.name)
		text, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return templateChoice{}, err
		}
		logrus.Infof("Using containerd config template at %s", path)
		return templateChoice{text: string(text), base: candidate.base, version: candidate.version}, nil
	}
	return templateChoice{text: baseV3, base: baseV3, version: 3}, nil
}

// The types below are the data that K3s documents for its templates.

type templateData struct {
	NodeConfig                                            templateNode
	Imports                                               string
	Program                                               string
	DisableCgroup, SystemdCgroup, IsRunningInUserNS       bool
	EnableUnprivileged, NoDefaultEndpoint, NonrootDevices bool
	PrivateRegistryConfig                                 registryAuths
	ExtraRuntimes                                         map[string]extraRuntime
}

type templateNode struct {
	Containerd     templateContainerd
	AgentConfig    templateAgent
	DefaultRuntime string
	SELinux        bool
}

type templateContainerd struct {
	Root, State, Address, Opt, Template, Registry, Log, Config string
	SELinux                                                    bool
}

type templateAgent struct {
	PauseImage, Snapshotter, CNIBinDir, CNIConfDir, NodeName string
}

type extraRuntime struct{ RuntimeType, BinaryName string }

// render fills the template and drops blank lines. A template that does not
// parse is a panic in K3s; here it is an error that says the same.
func (c templateChoice) render(data templateData) (string, error) {
	parsed, err := template.New("compiled_template").Funcs(templateFunctions).Parse(c.text)
	if err != nil {
		return "", err
	}
	if _, err := parsed.New("base").Parse(c.base); err != nil {
		return "", err
	}
	var out bytes.Buffer
	if err := parsed.ExecuteTemplate(&out, "compiled_template", data); err != nil {
		return "", err
	}
	return withoutBlankLines(out.String()), nil
}

var templateFunctions = template.FuncMap{
	"filepathjoin": filepath.Join,
	"deschemify":   func(text string) string { return strings.TrimPrefix(text, "unix://") },
	"toJson": func(value any) (string, error) {
		text, err := json.Marshal(value)
		return string(text), err
	},
}

func withoutBlankLines(text string) string {
	var kept []string
	for _, one := range strings.Split(text, "\n") {
		if strings.TrimSpace(one) != "" {
			kept = append(kept, one)
		}
	}
	return strings.Join(kept, "\n") + "\n"
}
