package cli

import "fmt"

// implemented are the flags whose value takes effect in the double.
var implemented = setOf(
	"config", "debug", "v", "vmodule", "bind-address", "https-listen-port", "apiserver-port",
	"advertise-address", "advertise-port", "tls-san", "data-dir",
	"cluster-cidr", "service-cidr", "service-node-port-range", "cluster-dns", "cluster-domain",
	"egress-selector-mode", "write-kubeconfig", "write-kubeconfig-mode", "write-kubeconfig-group",
	"token", "token-file", "cluster-init",
	"kube-apiserver-arg", "kube-controller-manager-arg", "kube-controller-arg", "kube-scheduler-arg",
	"kube-cloud-controller-manager-arg", "kube-cloud-controller-arg",
	"kubelet-arg", "kube-proxy-arg",
	"disable", "disable-scheduler", "disable-cloud-controller", "disable-kube-proxy",
	"node-name", "node-label", "node-taint", "node-ip", "resolv-conf", "protect-kernel-defaults",
	"flannel-backend", "default-runtime", "disable-default-registry-endpoint", "nonroot-devices", "pause-image", "snapshotter",
	"private-registry", "system-default-registry", "airgap-extra-registry",
	"image-credential-provider-bin-dir", "image-credential-provider-config",
)

// withoutEffect are the flags that only tune something the double does not
// have, with the reason that is logged once when such a flag is set.
var withoutEffect = map[string]string{
	"disable-network-policy":      "the double has no network policy controller",
	"disable-helm-controller":     "the double has no Helm controller",
	"helm-job-image":              "the double has no Helm controller",
	"servicelb-namespace":         "the double has no service load balancer",
	"default-local-storage-path":  "the double has no local storage provisioner",
	"etcd-disable-snapshots":      "the double takes no etcd snapshots",
	"etcd-snapshot-name":          "the double takes no etcd snapshots",
	"etcd-snapshot-schedule-cron": "the double takes no etcd snapshots",
	"etcd-snapshot-retention":     "the double takes no etcd snapshots",
	"etcd-snapshot-dir":           "the double takes no etcd snapshots",
	"etcd-snapshot-compress":      "the double takes no etcd snapshots",
	"prefer-bundled-bin":          "the double always uses the node's own iptables and mount tools",
	"agent-token":                 "no agent can join the double",
	"agent-token-file":            "no agent can join the double",
	"lb-server-port":              "the double has no agent load balancer",
	"tls-san-security":            "the double adds no names to its certificate while it runs",
	"log":                         "the double logs to standard error only",
	"alsologtostderr":             "the double logs to standard error only",
}

// harmlessDefault tells for some refused flags the value that asks for nothing.
var harmlessDefault = map[string][]string{
	"secrets-encryption-provider": {"aescbc"},
}

// CheckSupport returns a log line for each set flag that has nothing to act
// on in the double, and an error naming the first set flag that the double
// does not implement.
func CheckSupport(values *Values) (notes []string, err error) {
	for _, entry := range table {
		if !values.Given(entry.Name) || implemented[entry.Name] {
			continue
		}
		if reason, ok := withoutEffect[entry.Name]; ok {
			notes = append(notes, fmt.Sprintf("refk3s: --%s has no effect: %s", entry.Name, reason))
			continue
		}
		if !asksForNothing(values, entry) {
			return notes, fmt.Errorf("refk3s does not implement flag --%s; remove it from config.yaml or the command line, or use K3s itself", entry.Name)
		}
	}
	return notes, nil
}

func asksForNothing(values *Values, entry Flag) bool {
	text := values.String(entry.Name)
	switch entry.Kind {
	case KindBool:
		return !values.Bool(entry.Name)
	case KindInt:
		return values.Int(entry.Name, 0) == 0
	}
	if text == "" {
		return true
	}
	for _, harmless := range harmlessDefault[entry.Name] {
		if text == harmless {
			return true
		}
	}
	return false
}

func setOf(names ...string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, name := range names {
		set[name] = true
	}
	return set
}
