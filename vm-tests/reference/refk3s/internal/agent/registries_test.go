package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const registriesYAML = `
mirrors:
  docker.io:
    endpoint: ["https://mirror.example:5000", "mirror.example:5000", "https://other.example/v2", "https://p.example/path"]
    rewrite: {"^rancher/(.*)": "mirror/$1"}
  "*":
    endpoint: ["http://any.example"]
  unused.example: {}
configs:
  mirror.example:5000:
    auth: {username: u, password: p}
    tls: {ca_file: /ca.pem, insecure_skip_verify: true}
`

func hosts(t *testing.T, noDefault bool) string {
	t.Helper()
	folder := t.TempDir()
	file := filepath.Join(folder, "registries.yaml")
	if err := os.WriteFile(file, []byte(registriesYAML), 0o600); err != nil {
		t.Fatal(err)
	}
	found, err := readRegistries(file)
	if err != nil {
		t.Fatal(err)
	}
	certs := filepath.Join(folder, "certs.d")
	if err := found.writeHosts(certs, noDefault); err != nil {
		t.Fatal(err)
	}
	return certs
}

func read(t *testing.T, parts ...string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(parts...))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestMirrorsBecomeHostFiles(t *testing.T) {
	certs := hosts(t, false)
	text := read(t, certs, "docker.io", "hosts.toml")
	for _, part := range []string{
		strings.TrimSpace(managedLine), `server = "https://registry-1.docker.io/v2"`, `[host."https://mirror.example:5000/v2"]`,
		`[host."https://other.example/v2"]`, `[host."https://p.example/path"]`, "override_path = true",
		`ca = ["/ca.pem"]`, "skip_verify = true", `"^rancher/(.*)" = "mirror/$1"`,
	} {
		if !strings.Contains(text, part) {
			t.Errorf("%s is not in\n%s", part, text)
		}
	}
	if strings.Count(text, `[host."https://mirror.example:5000/v2"]`) != 1 {
		t.Error("the duplicate endpoint stayed")
	}
	if wildcard := read(t, certs, "_default", "hosts.toml"); !strings.Contains(wildcard, `server = ""`) {
		t.Errorf("the wildcard has a server of its own:\n%s", wildcard)
	}
	if _, err := os.Stat(filepath.Join(certs, "unused.example")); err == nil {
		t.Error("a host without settings has a directory")
	}
}

func TestTheDefaultEndpointCanBeLeftOut(t *testing.T) {
	if text := read(t, hosts(t, true), "docker.io", "hosts.toml"); strings.Contains(text, "server =") {
		t.Errorf("%s", text)
	}
}

func TestAUsersOwnHostFileStays(t *testing.T) {
	certs := hosts(t, false)
	own := filepath.Join(certs, "own.example")
	if err := os.MkdirAll(own, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(own, "hosts.toml"), []byte("server = \"x\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := (registries{}).writeHosts(certs, false); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(own); err != nil {
		t.Error("the user's directory is gone")
	}
	if _, err := os.Stat(filepath.Join(certs, "docker.io")); err == nil {
		t.Error("the generated directory is still there")
	}
}

func TestNoFileIsNoError(t *testing.T) {
	if _, err := readRegistries(filepath.Join(t.TempDir(), "none")); err != nil {
		t.Error(err)
	}
}

func TestEndpointsAreCompletedAsContainerdDoes(t *testing.T) {
	for text, want := range map[string]string{
		"docker.io":              "https://registry-1.docker.io/v2",
		"localhost:5000":         "http://localhost:5000/v2",
		"127.0.0.1:443":          "https://127.0.0.1:443/v2",
		"localhost":              "https://localhost/v2",
		"http://any.example/":    "http://any.example/v2",
		"mirror.example/proxy":   "https://mirror.example/proxy",
		"https://p.example/v2/x": "https://p.example/v2/x",
	} {
		_, got, override, err := completeEndpoint(text)
		if err != nil || got.String() != want || override == strings.HasSuffix(want, "/v2") {
			t.Errorf("%s: %v, override %v, %v", text, got, override, err)
		}
	}
}

func TestALastEndpointThatIsTheRegistryTakesTheDefaultsPlace(t *testing.T) {
	found := registries{Mirrors: map[string]mirror{"reg.example": {
		Endpoints: []string{"m.example", "https://reg.example"}, Rewrites: map[string]string{"a": "b"},
	}}}
	made := found.hosts(false)["reg.example"]
	if len(made.Endpoints) != 1 || made.Default.Rewrites["a"] != "b" {
		t.Errorf("%+v", made)
	}
}

func TestAHostWithSettingsOfItsOwnKeepsItsDefaultEndpoint(t *testing.T) {
	found := registries{
		Mirrors: map[string]mirror{"reg.example": {Endpoints: []string{"m.example"}}},
		Configs: map[string]registryConfig{"reg.example": {TLS: &registryTLS{CAFile: "/ca"}}},
	}
	if made := found.hosts(true)["reg.example"]; made.Default.address() != "https://reg.example/v2" {
		t.Errorf("%+v", made)
	}
}
