package cli

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// configuration writes a config file and drop-ins and returns the file's path.
func configuration(t *testing.T, main string, dropIns map[string]string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	if main != "" {
		write(t, path, main)
	}
	for name, content := range dropIns {
		write(t, filepath.Join(path+".d", name), content)
	}
	t.Setenv("K3S_CONFIG_FILE", path)
	return path
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func arguments(t *testing.T, path string) []string {
	t.Helper()
	got, err := ReadConfigFiles(path)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func expect(t *testing.T, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func parse(t *testing.T, line ...string) *Values {
	t.Helper()
	values, err := Parse(line, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	return values
}

func TestScalarsBecomeTextAsYAML11ReadsThem(t *testing.T) {
	for written, text := range map[string]string{
		"0644": "420", "0o644": "420", "012345": "5349", "0b11": "3", "0x1F": "31", "1_000": "1000", "1e3": "1000", "1.50": "1.5",
		"0123456789": "1.23456789e+08", "1234567890123456789012": "1.2345678901234568e+21",
		"yes": "true", "on": "true", "y": "true", "No": "false", "off": "false", "n": "false",
		`"0644"`: "0644", `" abc "`: "abc", "~": "", "": "", "null": "",
		"12:30:45": "12:30:45", "2026-01-02": "2026-01-02", "10.42.0.0/16": "10.42.0.0/16",
		"{zone: a}": "[{zone a}]", "{a: 1, b: [x]}": "[{a 1} {b [x]}]", ".inf": "+Inf",
	} {
		expect(t, arguments(t, configuration(t, "token: "+written, nil)), []string{"--token=" + text})
	}
}

func TestKeysAreReadAsYAML11Too(t *testing.T) {
	expect(t, arguments(t, configuration(t, "n: x\n010: z\n", nil)), []string{"--false=x", "-8=z"})
}

func TestOfEqualKeysTheLastWins(t *testing.T) {
	expect(t, arguments(t, configuration(t, "token: a\ndebug: true\ntoken: b\n", nil)), []string{"--token=b", "--debug=true"})
}

func TestAListInsideAListIsItsFirstElement(t *testing.T) {
	expect(t, arguments(t, configuration(t, "node-label: [[a, b], [], {c: d}, ~]\n", nil)),
		[]string{"--node-label=a", "--node-label=", "--node-label=[{c d}]", "--node-label="})
}

func TestPlusMakesTextOfWhatItAppends(t *testing.T) {
	path := configuration(t, "a: 0644\nb: ~\nc: [x]\nd: \"\"\n", map[string]string{
		"1.yaml": "a+: yes\nb+: ~\nc+: ~\nd+: {k: v}\n",
	})
	expect(t, arguments(t, path), []string{"-a=420", "-a=true", "-c=x", "-d=", "-d=[{k v}]"})
}

func TestListsBecomeOneFlagAnElement(t *testing.T) {
	path := configuration(t, "kubelet-arg: [a=1, b=2]\nkube-scheduler-arg: []\no: x\n", nil)
	expect(t, arguments(t, path), []string{"--kubelet-arg=a=1", "--kubelet-arg=b=2", "-o=x"})
}

func TestALaterFileReplacesAndPlusAppends(t *testing.T) {
	path := configuration(t, "kubelet-arg: [a=1]\ntls-san: one\nnode-label: [x=1]\n", map[string]string{
		"10-a.yaml": "kubelet-arg: [b=2]\ntls-san+: [two]\n",
		"20-b.YML":  "node-label+: y=2\nnew+: z\n",
		"30-c.txt":  "kubelet-arg: [ignored=1]\n",
	})
	expect(t, arguments(t, path), []string{
		"--kubelet-arg=b=2", "--tls-san=one", "--tls-san=two", "--node-label=x=1", "--node-label=y=2", "--new=z",
	})
}

func TestDropInsWorkWithoutAMainFile(t *testing.T) {
	path := configuration(t, "", map[string]string{"a.yaml": "debug: true\n"})
	expect(t, arguments(t, path), []string{"--debug=true"})
}

func TestNoFilesAreNoError(t *testing.T) {
	expect(t, arguments(t, configuration(t, "", nil)), nil)
}

func TestInvalidYAMLIsAnError(t *testing.T) {
	_, err := ReadConfigFiles(configuration(t, "a: [", nil))
	if err == nil || !strings.HasPrefix(err.Error(), "yaml: ") {
		t.Errorf("got %v", err)
	}
}

func TestTheCommandLineWinsForScalarsAndAppendsToLists(t *testing.T) {
	configuration(t, "node-name: file\nnode-label: [a=1]\n", nil)
	values := parse(t, "--node-name=line", "--node-label", "b=2")
	if values.String("node-name") != "line" {
		t.Errorf("node-name %q", values.String("node-name"))
	}
	expect(t, values.List("node-label"), []string{"a=1", "b=2"})
	expect(t, values.Expanded, []string{"server", "--node-name=file", "--node-label=a=1", "--node-name=line", "--node-label", "b=2"})
}

func TestUnknownKeysAreWarnedOfAndLeftOut(t *testing.T) {
	configuration(t, "no-such: [1, 2]\ndebug: true\n", nil)
	var warnings []string
	values, err := Parse(nil, func(text string) { warnings = append(warnings, text) })
	if err != nil || !values.Bool("debug") {
		t.Errorf("%v", err)
	}
	unknown := "Unknown flag --no-such found in config.yaml, skipping\n"
	expect(t, warnings, []string{unknown, unknown})
}

func TestTheEnvironmentCountsOnlyWithoutFileAndLine(t *testing.T) {
	configuration(t, "token: file\n", nil)
	t.Setenv("K3S_TOKEN", "environment")
	t.Setenv("K3S_NODE_NAME", "environment")
	values := parse(t)
	if values.String("token") != "file" || values.String("node-name") != "environment" {
		t.Errorf("token %q, node-name %q", values.String("token"), values.String("node-name"))
	}
}

func TestBadScalarsAreRefusedWithGoWording(t *testing.T) {
	for content, message := range map[string]string{
		"disable-network-policy: maybe": `invalid boolean value "maybe" for -disable-network-policy: parse error`,
		"https-listen-port: abc":        `invalid value "abc" for flag -https-listen-port: parse error`,
		"cluster-init:":                 `invalid boolean value "" for -cluster-init: parse error`,
	} {
		configuration(t, content, nil)
		if _, err := Parse(nil, func(string) {}); err == nil || err.Error() != message {
			t.Errorf("%s: got %v", content, err)
		}
	}
}

func TestAnUnknownFlagOnTheLineIsAnError(t *testing.T) {
	configuration(t, "", nil)
	_, err := Parse([]string{"--nope"}, func(string) {})
	if err == nil || err.Error() != "flag provided but not defined: -nope" {
		t.Errorf("got %v", err)
	}
}

func TestComponentArgumentsKeepTheirCommas(t *testing.T) {
	configuration(t, "kubelet-arg: [\"tls-cipher-suites=A,B\"]\ndisable: traefik, servicelb\n", nil)
	values := parse(t)
	expect(t, values.List("kubelet-arg"), []string{"tls-cipher-suites=A,B"})
	expect(t, values.SplitList("disable"), []string{"traefik", "servicelb"})
}

func TestTheTableHasEveryServerFlagOnce(t *testing.T) {
	seen := map[string]bool{}
	for _, entry := range Table() {
		if seen[entry.Name] {
			t.Errorf("%s is there twice", entry.Name)
		}
		seen[entry.Name] = true
		switch entry.Kind {
		case KindBool, KindInt, KindString, KindSlice, KindDuration:
		default:
			t.Errorf("%s has the unknown kind %q", entry.Name, entry.Kind)
		}
	}
	if seen["disable-apiserver-lb"] || !seen["cluster-cidr"] || len(seen) < 100 {
		t.Errorf("%d flags; agent flags do not belong here", len(seen))
	}
}

func TestEveryFlagOfTheSupportListsIsInTheTable(t *testing.T) {
	for name := range implemented {
		if _, ok := lookup(name); !ok {
			t.Errorf("implemented flag %s is not in the table", name)
		}
		if _, ok := withoutEffect[name]; ok {
			t.Errorf("%s is both implemented and without effect", name)
		}
	}
	for name := range withoutEffect {
		if _, ok := lookup(name); !ok {
			t.Errorf("flag without effect %s is not in the table", name)
		}
	}
}

func TestAnUnimplementedFlagIsRefusedByName(t *testing.T) {
	configuration(t, "datastore-endpoint: https://db\n", nil)
	_, err := CheckSupport(parse(t))
	if err == nil || !strings.Contains(err.Error(), "refk3s does not implement flag --datastore-endpoint") {
		t.Errorf("got %v", err)
	}
}

func TestAnUnimplementedFlagThatAsksForNothingIsAccepted(t *testing.T) {
	configuration(t, "rootless: false\nserver: \"\"\nkube-cloud-controller-manager-arg: []\n", nil)
	if _, err := CheckSupport(parse(t)); err != nil {
		t.Error(err)
	}
}

func TestAFlagWithoutEffectIsSaid(t *testing.T) {
	configuration(t, "disable-network-policy: true\n", nil)
	notes, err := CheckSupport(parse(t))
	if err != nil || len(notes) != 1 || !strings.Contains(notes[0], "no network policy controller") {
		t.Errorf("%v %v", notes, err)
	}
}

func TestAFaultOfTheFlagsIsAUsageError(t *testing.T) {
	configuration(t, "https-listen-port: abc\n", nil)
	var usage *UsageError
	if _, err := Parse(nil, func(string) {}); !errors.As(err, &usage) {
		t.Errorf("got %v", err)
	}
}

func TestABrokenFileIsNoUsageError(t *testing.T) {
	configuration(t, "a: [\n", nil)
	var usage *UsageError
	if _, err := Parse(nil, func(string) {}); err == nil || errors.As(err, &usage) {
		t.Errorf("got %v", err)
	}
}
