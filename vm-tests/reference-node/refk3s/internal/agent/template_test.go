package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const custom = `{{ template "base" . }}

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.'custom']
  runtime_type = "io.containerd.runc.v2"
`

func sample() templateData {
	return templateData{
		SystemdCgroup: true,
		Imports:       "/etc/x/*.toml",
		ExtraRuntimes: map[string]extraRuntime{"crun": {RuntimeType: "io.containerd.runc.v2", BinaryName: "/usr/bin/crun"}},
		PrivateRegistryConfig: registryAuths{Auths: map[string]registryAuth{
			"reg.example": {Username: "u", Password: "p\"q"},
		}},
		NodeConfig: templateNode{
			Containerd:  templateContainerd{Root: "/root", State: "/state", Address: "/sock"},
			AgentConfig: templateAgent{PauseImage: "pause:1", Snapshotter: "overlayfs", CNIBinDir: "/cni", CNIConfDir: "/conf"},
		},
	}
}

func choose(t *testing.T, files map[string]string) templateChoice {
	t.Helper()
	folder := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	choice, err := chooseTemplate(folder)
	if err != nil {
		t.Fatal(err)
	}
	return choice
}

func render(t *testing.T, choice templateChoice) string {
	t.Helper()
	text, err := choice.render(sample())
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestWithoutATemplateTheBaseOfVersion3IsUsed(t *testing.T) {
	text := render(t, choose(t, nil))
	for _, part := range []string{"version = 3", "SystemdCgroup = true", `sandbox = "pause:1"`, `password = "p\"q"`, "runtimes.'crun'"} {
		if !strings.Contains(text, part) {
			t.Errorf("%s is not in\n%s", part, text)
		}
	}
	if strings.Contains(text, "\n\n") {
		t.Error("blank lines stayed")
	}
}

func TestTheVersion3TemplateWinsOverTheVersion2One(t *testing.T) {
	choice := choose(t, map[string]string{"config-v3.toml.tmpl": custom, "config.toml.tmpl": "x"})
	text := render(t, choice)
	if choice.version != 3 || !strings.Contains(text, "version = 3") || !strings.Contains(text, "runtimes.'custom'") {
		t.Errorf("%s", text)
	}
}

func TestTheVersion2TemplateHasTheVersion2Base(t *testing.T) {
	choice := choose(t, map[string]string{"config.toml.tmpl": custom})
	text := render(t, choice)
	if choice.version != 2 || !strings.Contains(text, "version = 2") || !strings.Contains(text, `sandbox_image = "pause:1"`) {
		t.Errorf("%s", text)
	}
}

func TestATemplateThatDoesNotParseIsAnError(t *testing.T) {
	choice := choose(t, map[string]string{"config.toml.tmpl": `{{ template \"base\" . }}`})
	if _, err := choice.render(sample()); err == nil {
		t.Error("no error")
	}
}
