package deploy

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func controller(t *testing.T, disabled []string, files ...string) *Controller {
	t.Helper()
	c := &Controller{folder: t.TempDir(), disabled: map[string]bool{}}
	for _, name := range disabled {
		c.disabled[name] = true
	}
	for _, name := range files {
		path := filepath.Join(c.folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func handled(t *testing.T, c *Controller) []string {
	t.Helper()
	files, err := c.manifests()
	if err != nil {
		t.Fatal(err)
	}
	for index := range files {
		files[index], _ = filepath.Rel(c.folder, files[index])
	}
	return files
}

func TestManifestsAreFoundByTheirEnding(t *testing.T) {
	c := controller(t, nil, "a.yaml", "b.YML", "c.json", "d.txt", ".e.yaml", "sub/f.yml")
	if got := handled(t, c); !slices.Equal(got, []string{"a.yaml", "b.YML", "c.json", "sub/f.yml"}) {
		t.Errorf("%q", got)
	}
}

func TestASkipFileHidesEveryManifestOfItsName(t *testing.T) {
	c := controller(t, nil, "a.yaml", "sub/a.yaml", "a.yaml.skip", "b.yaml")
	if got := handled(t, c); !slices.Equal(got, []string{"b.yaml"}) {
		t.Errorf("%q", got)
	}
}

func TestDisableWinsOverASkipFile(t *testing.T) {
	c := controller(t, []string{"a"}, "a.yaml", "a.yaml.skip")
	if got := handled(t, c); !slices.Equal(got, []string{"a.yaml"}) {
		t.Errorf("%q", got)
	}
}

func TestAUsersManifestOfADisabledNameIsDisabled(t *testing.T) {
	for name, disabled := range map[string]bool{
		"etcd-proxy.yaml": true, "etcd-proxy.json": true, "etcd-proxy.v1.yaml": false, "etcd-proxy.txt": false,
		"metrics-server/any.yaml": true, "metrics-server/any.txt": true, "sub/metrics-server/any.yaml": false,
		"two/levels/any.yaml": true, "levels/any.yaml": false, "cloudController": false,
	} {
		c := controller(t, []string{"etcd-proxy", "metrics-server", "two/levels", "cloudController"})
		if c.isDisabled(name) != disabled {
			t.Errorf("%s: disabled is not %v", name, disabled)
		}
	}
}

func TestTheEmptyNameDisablesEveryManifest(t *testing.T) {
	if !controller(t, []string{""}).isDisabled("any.yaml") {
		t.Error("not disabled")
	}
}

func TestANameWithItsEndingKeepsThePackagedManifestAway(t *testing.T) {
	c := controller(t, []string{"runtimes.yaml"})
	if err := c.writePackaged(); err != nil {
		t.Fatal(err)
	}
	if got := handled(t, c); !slices.Equal(got, []string{"rolebindings.yaml"}) {
		t.Errorf("%q", got)
	}
}
