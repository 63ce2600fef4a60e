package controlplane

import (
	"slices"
	"testing"

	"emts.dev/refk3s/internal/cli"
	"emts.dev/refk3s/internal/settings"
)

func resolve(t *testing.T, line ...string) *settings.Server {
	t.Helper()
	t.Setenv("K3S_CONFIG_FILE", t.TempDir()+"/none.yaml")
	values, err := cli.Parse(append([]string{"--node-ip=192.0.2.7", "--data-dir=" + t.TempDir()}, line...), func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	s, err := settings.Resolve(values)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestLeadersAreElectedWithEtcdAndNotWithSQLite(t *testing.T) {
	for line, off := range map[string]bool{"--cluster-init=false": true, "--cluster-init": false} {
		s := resolve(t, line)
		for _, arguments := range [][]string{ControllerManagerArguments(s), SchedulerArguments(s)} {
			if slices.Contains(arguments, "--leader-elect=false") != off {
				t.Errorf("%s: %q", line, arguments)
			}
		}
	}
}

func TestTheDurationsOfALeaseAreTheUsers(t *testing.T) {
	s := resolve(t, "--cluster-init", "--kube-controller-manager-arg=leader-elect-lease-duration=60s",
		"--kube-scheduler-arg=leader-elect-renew-deadline=40s")
	if arguments := ControllerManagerArguments(s); !slices.Contains(arguments, "--leader-elect-lease-duration=60s") {
		t.Errorf("%q", arguments)
	}
	if arguments := SchedulerArguments(s); !slices.Contains(arguments, "--leader-elect-renew-deadline=40s") {
		t.Errorf("%q", arguments)
	}
}

func TestAUsersConfigurationFileDecidesInsteadOfAFlag(t *testing.T) {
	s := resolve(t, "--kube-apiserver-arg=authentication-config=/a")
	if arguments := APIServerArguments(s); slices.Contains(arguments, "--anonymous-auth=false") ||
		!slices.Contains(arguments, "--authorization-mode=Node,RBAC") {
		t.Errorf("%q", arguments)
	}
}
