package agent

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"
)

const custom = `{{ template "base" . }}

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.'custom']
  runtime_type = "io.containerd.runc.v2"
`

// table is a TOML table as it is read.
type table = map[string]any

func sample() templateData {
	return templateData{
		Program:               "k3s",
		SystemdCgroup:         true,
		EnableUnprivileged:    true,
		PrivateRegistryConfig: &registries{},
		NodeConfig: &templateNode{
			Containerd: templateContainerd{
				Root: "/root", State: "/state", Address: "/sock", Opt: "/opt", Template: "/etc/containerd", Registry: "/certs.d",
			},
			AgentConfig: templateAgent{PauseImage: "pause:1", Snapshotter: "overlayfs", CNIBinDir: "/cni", CNIConfDir: "/conf"},
		},
	}
}

func choose(t *testing.T, files map[string]string) templateChoice {
	t.Helper()
	directory := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(directory, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	choice, err := chooseTemplate(directory)
	if err != nil {
		t.Fatal(err)
	}
	return choice
}

func base(version int) templateChoice {
	if version == 2 {
		return templateChoice{text: baseV2, base: baseV2, version: 2}
	}
	return templateChoice{text: baseV3, base: baseV3, version: 3}
}

func render(t *testing.T, choice templateChoice, data templateData) table {
	t.Helper()
	text, err := choice.render(data)
	if err != nil {
		t.Fatal(err)
	}
	rendered := table{}
	if err := toml.Unmarshal([]byte(text), &rendered); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return rendered
}

// at follows the names into the rendered tables; nil when one is not there.
func at(rendered table, names ...string) any {
	var value any = rendered
	for _, name := range names {
		inner, ok := value.(table)
		if !ok {
			return nil
		}
		value = inner[name]
	}
	return value
}

func same(t *testing.T, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestTheVersion3BaseHasTheTablesOfK3s(t *testing.T) {
	same(t, render(t, base(3), sample()), table{
		"version": int64(3), "imports": []any{"/etc/containerd/config-v3.toml.d/*.toml"}, "root": "/root", "state": "/state",
		"grpc": table{"address": "/sock"},
		"plugins": table{
			"io.containerd.internal.v1.opt": table{"path": "/opt"},
			"io.containerd.grpc.v1.cri":     table{"stream_server_address": "127.0.0.1", "stream_server_port": "10010"},
			"io.containerd.cri.v1.runtime": table{
				"enable_selinux": false, "enable_unprivileged_ports": true, "enable_unprivileged_icmp": true,
				"device_ownership_from_security_context": false,
				"cni":                                    table{"bin_dirs": []any{"/cni"}, "conf_dir": "/conf"},
				"containerd": table{"runtimes": table{
					"runc":                table{"runtime_type": "io.containerd.runc.v2", "options": table{"SystemdCgroup": true}},
					"runhcs-wcow-process": table{"runtime_type": "io.containerd.runhcs.v1"},
				}},
			},
			"io.containerd.cri.v1.images": table{
				"snapshotter": "overlayfs", "disable_snapshot_annotations": true, "use_local_image_pull": true,
				"pinned_images": table{"sandbox": "pause:1"}, "registry": table{"config_path": "/certs.d"},
			},
		},
	})
}

func TestTheVersion2BaseHasTheTablesOfK3s(t *testing.T) {
	same(t, render(t, base(2), sample()), table{
		"version": int64(2), "imports": []any{"/etc/containerd/config.toml.d/*.toml"}, "root": "/root", "state": "/state",
		"grpc": table{"address": "/sock"},
		"plugins": table{
			"io.containerd.internal.v1.opt": table{"path": "/opt"},
			"io.containerd.grpc.v1.cri": table{
				"stream_server_address": "127.0.0.1", "stream_server_port": "10010", "sandbox_image": "pause:1",
				"enable_selinux": false, "enable_unprivileged_ports": true, "enable_unprivileged_icmp": true,
				"device_ownership_from_security_context": false,
				"cni":                                    table{"bin_dir": "/cni", "conf_dir": "/conf"},
				"registry":                               table{"config_path": "/certs.d"},
				"containerd": table{
					"snapshotter": "overlayfs", "disable_snapshot_annotations": true,
					"runtimes": table{
						"runc":                table{"runtime_type": "io.containerd.runc.v2", "options": table{"SystemdCgroup": true}},
						"runhcs-wcow-process": table{"runtime_type": "io.containerd.runhcs.v1"},
					},
				},
			},
		},
	})
}

// runtimeTable is where a version of the format has what containers run by.
func runtimeTable(version int) []string {
	if version == 2 {
		return []string{"plugins", "io.containerd.grpc.v1.cri", "containerd"}
	}
	return []string{"plugins", "io.containerd.cri.v1.runtime", "containerd"}
}

func TestADefaultRuntimeIsNamedOnlyWhenItIsSet(t *testing.T) {
	for _, version := range []int{2, 3} {
		path := append(runtimeTable(version), "default_runtime_name")
		same(t, at(render(t, base(version), sample()), path...), nil)
		data := sample()
		data.NodeConfig.DefaultRuntime = "crun"
		same(t, at(render(t, base(version), data), path...), "crun")
	}
}

func TestTheVersion3BaseLeavesTheDefaultRuntimesTableToTheUser(t *testing.T) {
	own := "{{ template \"base\" . }}\n[plugins.'io.containerd.cri.v1.runtime'.containerd]\n  default_runtime_name = \"mine\"\n"
	rendered := render(t, choose(t, map[string]string{"config-v3.toml.tmpl": own}), sample())
	same(t, at(rendered, append(runtimeTable(3), "default_runtime_name")...), "mine")
}

func TestDetectedRuntimesAreAdded(t *testing.T) {
	for _, version := range []int{2, 3} {
		data := sample()
		data.ExtraRuntimes = map[string]extraRuntime{"crun": {RuntimeType: "io.containerd.runc.v2", BinaryName: "/usr/bin/crun"}}
		same(t, at(render(t, base(version), data), append(runtimeTable(version), "runtimes", "crun")...), table{
			"runtime_type": "io.containerd.runc.v2", "options": table{"BinaryName": "/usr/bin/crun", "SystemdCgroup": true},
		})
	}
}

func TestCredentialsAreQuotedAndEmptyOnesLeftOut(t *testing.T) {
	for version, plugin := range map[int]string{2: "io.containerd.grpc.v1.cri", 3: "io.containerd.cri.v1.images"} {
		data := sample()
		data.PrivateRegistryConfig = &registries{Configs: map[string]registryConfig{
			"reg.example:5000": {Auth: &registryAuth{Username: "_json_key", Password: "{\n\"a\": 1}\n"}},
			"tls.example":      {TLS: &registryTLS{CAFile: "/ca"}},
		}}
		same(t, at(render(t, base(version), data), "plugins", plugin, "registry", "configs"), table{
			"reg.example:5000": table{"auth": table{"username": "_json_key", "password": "{\n\"a\": 1}\n"}},
		})
	}
}

func TestContainerdKeepsItsPluginDirectoriesWithoutK3sNetwork(t *testing.T) {
	for version, plugin := range map[int]string{2: "io.containerd.grpc.v1.cri", 3: "io.containerd.cri.v1.runtime"} {
		data := sample()
		data.NodeConfig.AgentConfig.CNIBinDir, data.NodeConfig.AgentConfig.CNIConfDir = "", ""
		same(t, at(render(t, base(version), data), "plugins", plugin, "cni"), nil)
	}
}

func TestFilesForBlockIOAndResourceDirectorAreNamed(t *testing.T) {
	for _, version := range []int{2, 3} {
		data := sample()
		data.NodeConfig.Containerd.BlockIOConfig, data.NodeConfig.Containerd.RDTConfig = "/b", "/r"
		same(t, at(render(t, base(version), data), "plugins", "io.containerd.service.v1.tasks-service"),
			table{"blockio_config_file": "/b", "rdt_config_file": "/r"})
	}
}

func TestWithoutATemplateTheVersion3BaseIsUsed(t *testing.T) {
	same(t, choose(t, nil), base(3))
}

func TestTheVersion3TemplateWinsOverTheVersion2One(t *testing.T) {
	choice := choose(t, map[string]string{"config-v3.toml.tmpl": custom, "config.toml.tmpl": "x"})
	same(t, at(render(t, choice, sample()), append(runtimeTable(3), "runtimes", "custom", "runtime_type")...), "io.containerd.runc.v2")
}

func TestTheVersion2TemplateHasTheVersion2Base(t *testing.T) {
	choice := choose(t, map[string]string{"config.toml.tmpl": custom})
	same(t, choice.version, 2)
	same(t, at(render(t, choice, sample()), "version"), int64(2))
}

func TestATableOfTheBaseCannotBeOpenedAgain(t *testing.T) {
	choice := choose(t, map[string]string{"config-v3.toml.tmpl": "{{ template \"base\" . }}\n[plugins.\"io.containerd.cri.v1.images\".registry]\n"})
	text, err := choice.render(sample())
	if err != nil {
		t.Fatal(err)
	}
	if err := toml.Unmarshal([]byte(text), &table{}); err == nil {
		t.Errorf("no error in\n%s", text)
	}
}

func TestATemplateSeesTheFieldsOfK3s(t *testing.T) {
	for action, text := range map[string]string{
		"{{ .NodeConfig.AgentConfig.PauseImage }}":                           "pause:1",
		"{{ .NodeConfig.Containerd.Opt }}":                                   "/opt",
		"{{ .NodeConfig.SELinux }} {{ .Program }}":                           "false k3s",
		`{{ filepathjoin .NodeConfig.Containerd.Template "x" }}`:             "/etc/containerd/x",
		"{{ toJson .NodeConfig.AgentConfig.Snapshotter }}":                   `"overlayfs"`,
		"{{ deschemify \"unix:///sock\" }}":                                  "unix:///sock",
		"{{ range $k, $v := .PrivateRegistryConfig.Mirrors }}{{ end }}empty": "empty",
	} {
		got, err := choose(t, map[string]string{"config.toml.tmpl": action}).render(sample())
		if err != nil || got != text+"\n" {
			t.Errorf("%s: %q %v", action, got, err)
		}
	}
}

func TestAFieldThatIsNotThereIsAnError(t *testing.T) {
	if _, err := choose(t, map[string]string{"config.toml.tmpl": "{{ .NoSuch }}"}).render(sample()); err == nil {
		t.Error("no error")
	}
}

func TestATemplateThatDoesNotParseIsAPanic(t *testing.T) {
	defer func() {
		if err, ok := recover().(error); !ok || !strings.Contains(err.Error(), "compiled_template:1") {
			t.Errorf("recovered %v", err)
		}
	}()
	_, _ = choose(t, map[string]string{"config.toml.tmpl": `{{ template \"base\" . }}`}).render(sample())
	t.Error("no panic")
}

func TestBlankLinesAreOnlyBeforeTables(t *testing.T) {
	same(t, withoutBlankLines("a\n\n  \n b\r\n[c]\n\n  [d]\ne"), "a\n b\n\n[c]\n  [d]\ne\n")
}

func TestRuntimesAreDetectedInTheSearchPath(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	for path, mode := range map[string]os.FileMode{
		filepath.Join(second, "crun"):                        0o755,
		filepath.Join(first, "containerd-shim-spin-v2"):      0o755,
		filepath.Join(first, "nvidia-container-runtime"):     0o644,
		filepath.Join(first, "runsc"):                        0o755,
		filepath.Join(first, "nvidia-container-runtime.cdi"): 0o755,
	} {
		if err := os.WriteFile(path, nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	same(t, detectRuntimes(first+":"+second), map[string]extraRuntime{
		"crun":       {RuntimeType: "io.containerd.runc.v2", BinaryName: filepath.Join(second, "crun")},
		"spin":       {RuntimeType: "io.containerd.spin.v2", BinaryName: filepath.Join(first, "containerd-shim-spin-v2")},
		"nvidia-cdi": {RuntimeType: "io.containerd.runc.v2", BinaryName: filepath.Join(first, "nvidia-container-runtime.cdi")},
	})
}

func TestContainerdGetsItsOwnVariablesAndLogLevel(t *testing.T) {
	passed, level := containerdEnvironment([]string{"A=1", "CONTAINERD_LOG_LEVEL=debug", "CONTAINERD_HTTPS_PROXY=p", "NOTIFY_SOCKET=/s"})
	same(t, passed, []string{"A=1", "HTTPS_PROXY=p"})
	same(t, level, "debug")
}
