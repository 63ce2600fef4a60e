package settings

import (
	"os"
	"strings"
	"testing"

	"emts.dev/refk3s/internal/cli"
)

func resolve(t *testing.T, line ...string) (*Server, error) {
	t.Helper()
	t.Setenv("K3S_CONFIG_FILE", t.TempDir()+"/none.yaml")
	values, err := cli.Parse(append([]string{"--node-ip=192.0.2.7"}, line...), func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	return Resolve(values)
}

func TestDefaultsAreThoseOfK3s(t *testing.T) {
	s, err := resolve(t, "--node-name=Edge-One")
	if err != nil {
		t.Fatal(err)
	}
	for _, check := range []struct{ what, got, want string }{
		{"node name", s.NodeName, "edge-one"},
		{"cluster range", JoinRanges(s.Network.ClusterCIDRs), "10.42.0.0/16"},
		{"service range", JoinRanges(s.Network.ServiceCIDRs), "10.43.0.0/16"},
		{"API service", s.Network.APIService.String(), "10.43.0.1"},
		{"DNS", JoinAddresses(s.Network.DNS), "10.43.0.10"},
		{"node ports", s.Network.NodePorts.String(), "30000-32767"},
		{"pause image", s.PauseImage, "rancher/mirrored-pause:3.6"},
		{"data folder", s.Folders.Data, "/var/lib/rancher/k3s"},
	} {
		if check.got != check.want {
			t.Errorf("%s: got %q, want %q", check.what, check.got, check.want)
		}
	}
	if s.APIPort != 6444 || s.AdvertisePort != 6443 || !s.CloudController || !s.Bridge {
		t.Errorf("%+v", s)
	}
}

func TestANetworkIsUsedForAnAddressInsideIt(t *testing.T) {
	s, err := resolve(t, "--cluster-cidr=10.45.3.7/16")
	if err != nil || JoinRanges(s.Network.ClusterCIDRs) != "10.45.0.0/16" {
		t.Errorf("%v", err)
	}
}

func TestThePauseImageTakesTheSystemRegistryOnce(t *testing.T) {
	s, err := resolve(t, "--system-default-registry=reg.example", "--pause-image=reg.example/pause:1")
	if err != nil || s.PauseImage != "reg.example/pause:1" {
		t.Errorf("%q %v", s.PauseImage, err)
	}
}

func TestBadSettingsAreFatalWithTheirValue(t *testing.T) {
	for line, message := range map[string]string{
		"--cluster-cidr=10.42.0.0/99":          "invalid cluster-cidr 10.42.0.0/99: invalid CIDR address: 10.42.0.0/99",
		"--service-cidr=x":                     "invalid service-cidr x: invalid CIDR address: x",
		"--cluster-dns=foo":                    "invalid cluster-dns address foo",
		"--service-node-port-range=9-1":        "invalid port range 9-1",
		"--egress-selector-mode=bogus":         "invalid egress-selector-mode bogus",
		"--egress-selector-mode=agent":         "refk3s does not implement flag --egress-selector-mode=agent",
		"--flannel-backend=vxlan":              "refk3s does not implement flag --flannel-backend=vxlan",
		"--snapshotter=stargz":                 "refk3s does not implement flag --snapshotter=stargz",
		"--node-ip=1.2.3":                      "invalid node-ip: invalid ip format '1.2.3'",
		"--kube-apiserver-arg=tls-min-version": "server panicked: runtime error: index out of range [1] with length 1",
		"--service-cidr=10.43.0.0/30":          "cannot configure default cluster-dns address",
	} {
		_, err := resolve(t, line)
		if err == nil || !strings.Contains(err.Error(), message) {
			t.Errorf("%s: got %v", line, err)
		}
	}
}

func TestFamiliesThatDifferAreFatalWhenTheNodeStarts(t *testing.T) {
	const must = ", must share the same IP version (IPv4, IPv6 or dual-stack)"
	for _, check := range []struct{ line, message string }{
		{"--service-cidr=fd00:43::/112", "cluster-cidr: [10.42.0.0/16] and service-cidr: [fd00:43::/112]" + must},
		{"--cluster-cidr=10.42.0.0/16,fd00:42::/56", "cluster-cidr: [10.42.0.0/16 fd00:42::/56] and service-cidr: [10.43.0.0/16]" + must},
	} {
		s, err := resolve(t, check.line)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.CheckFamilies(); err == nil || err.Error() != check.message {
			t.Errorf("%s: got %v", check.line, err)
		}
	}
}

func TestDualStackClusterNeedsADualStackNode(t *testing.T) {
	s, err := resolve(t, "--cluster-cidr=10.42.0.0/16,fd00:42::/56", "--service-cidr=10.43.0.0/16,fd00:43::/112")
	if err != nil {
		t.Fatal(err)
	}
	err = s.CheckFamilies()
	if err == nil || !strings.HasPrefix(err.Error(), "cluster-cidr: [10.42.0.0/16 fd00:42::/56] and node-ip: [192.0.2.7], must") {
		t.Errorf("got %v", err)
	}
}

func TestADualStackNodeMayHaveASingleStackCluster(t *testing.T) {
	s, err := resolve(t, "--node-ip=2001:db8::7")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.CheckFamilies(); err != nil {
		t.Error(err)
	}
}

func TestTheNodesAddressOfTheFirstRangesFamilyComesFirst(t *testing.T) {
	s, err := resolve(t, "--node-ip=2001:db8::7", "--cluster-cidr=fd00:42::/56", "--service-cidr=fd00:43::/112")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.CheckFamilies(); err != nil || JoinAddresses(s.NodeIPs) != "2001:db8::7,192.0.2.7" {
		t.Errorf("%v %v", s.NodeIPs, err)
	}
}

func TestEveryNameUnderDisableIsTaken(t *testing.T) {
	s, err := resolve(t, "--disable=traefik, no-such", "--disable=")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"traefik", "no-such", ""} {
		if !s.Disabled[name] {
			t.Errorf("%q is not disabled", name)
		}
	}
}

func TestEtcdFollowsClusterInit(t *testing.T) {
	for line, etcd := range map[string]bool{"--cluster-init": true, "--cluster-init=false": false} {
		if s, err := resolve(t, line, "--data-dir="+t.TempDir()); err != nil || s.Etcd != etcd {
			t.Errorf("%s: %v", line, err)
		}
	}
}

func TestEtcdStaysWithoutClusterInit(t *testing.T) {
	data := t.TempDir()
	if err := os.MkdirAll(Folders{Data: data}.Etcd(), 0o700); err != nil {
		t.Fatal(err)
	}
	if s, err := resolve(t, "--data-dir="+data); err != nil || !s.Etcd {
		t.Errorf("%v", err)
	}
}

func TestImportedImagesAreNamedForTheSystemRegistryToo(t *testing.T) {
	s, err := resolve(t, "--system-default-registry=reg.example", "--airgap-extra-registry=other.example")
	if err != nil || strings.Join(s.ImageRegistries, " ") != "other.example reg.example" {
		t.Errorf("%v %v", s.ImageRegistries, err)
	}
}
