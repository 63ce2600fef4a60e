package main

import (
	"maps"
	"slices"

	"github.com/spf13/pflag"
	auditoptions "k8s.io/apiserver/pkg/server/options"
	auditlog "k8s.io/apiserver/plugin/pkg/audit/log"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	ccmapp "k8s.io/cloud-provider/app"
	"k8s.io/cloud-provider/names"
	cliflag "k8s.io/component-base/cli/flag"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app/options"
	manager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	"k8s.io/kubernetes/pkg/controlplane/reconcilers"
	"k8s.io/kubernetes/pkg/kubeapiserver/authorizer/modes"
	kubeletconfig "k8s.io/kubernetes/pkg/kubelet/apis/config"
	"k8s.io/kubernetes/pkg/kubelet/cm/cpumanager"
	"k8s.io/kubernetes/pkg/kubelet/eviction/api"
	kubelettypes "k8s.io/kubernetes/pkg/kubelet/types"
	proxyconfig "k8s.io/kubernetes/pkg/proxy/apis/config"
)

// valuesOf are the texts that a flag takes, that each of its list's elements
// is, or that its map has as keys; none where any text is taken.
func valuesOf(component string, flag *pflag.Flag) []string {
	values := everywhere[flag.Name]
	if own, ok := known[component][flag.Name]; ok {
		values = own
	}
	return slices.Sorted(slices.Values(values))
}

var everywhere = map[string][]string{
	"tls-cipher-suites":          cliflag.TLSCipherPossibleValues(),
	"tls-min-version":            cliflag.TLSPossibleVersions(),
	"logging-format":             {"text", "json"},
	"leader-elect-resource-lock": {resourcelock.LeasesResourceLock},
}

var known = map[string]map[string][]string{
	"cloud-controller-manager": {
		"controllers": controllers(ccmapp.ControllerNames(ccmapp.DefaultInitFuncConstructors), names.CCMControllerAliases()),
	},
	"kube-apiserver": {
		"audit-log-format":          auditlog.AllowedFormats,
		"audit-log-mode":            auditoptions.AllowedModes,
		"audit-webhook-mode":        auditoptions.AllowedModes,
		"authorization-mode":        modes.AuthorizationModeChoices,
		"disable-admission-plugins": plugins(),
		"enable-admission-plugins":  plugins(),
		"endpoint-reconciler-type":  reconcilers.AllTypes.Names(),
		"storage-backend":           {"etcd3"},
	},
	"kube-controller-manager": {
		"controllers": controllers(manager.KnownControllers(), manager.ControllerAliases()),
	},
	"kube-proxy": {
		"detect-local-mode": {
			string(proxyconfig.LocalModeClusterCIDR), string(proxyconfig.LocalModeNodeCIDR),
			string(proxyconfig.LocalModeBridgeInterface), string(proxyconfig.LocalModeInterfaceNamePrefix),
		},
		"proxy-mode": {
			string(proxyconfig.ProxyModeIPTables), string(proxyconfig.ProxyModeIPVS), string(proxyconfig.ProxyModeNFTables),
		},
	},
	"kubelet": {
		"authorization-mode": {
			string(kubeletconfig.KubeletAuthorizationModeAlwaysAllow), string(kubeletconfig.KubeletAuthorizationModeWebhook),
		},
		"cgroup-driver":              {"cgroupfs", "systemd"},
		"cpu-manager-policy":         {string(cpumanager.PolicyNone), string(cpumanager.PolicyStatic)},
		"enforce-node-allocatable":   allocatable,
		"eviction-hard":              signals(),
		"eviction-minimum-reclaim":   signals(),
		"eviction-soft":              signals(),
		"eviction-soft-grace-period": signals(),
		"hairpin-mode": {
			kubeletconfig.HairpinNone, kubeletconfig.HairpinVeth, kubeletconfig.PromiscuousBridge,
		},
		"kube-reserved":         reservable,
		"memory-manager-policy": {"None", "Static"},
		"system-reserved":       reservable,
		"topology-manager-policy": {
			kubeletconfig.NoneTopologyManagerPolicy, kubeletconfig.BestEffortTopologyManagerPolicy,
			kubeletconfig.RestrictedTopologyManagerPolicy, kubeletconfig.SingleNumaNodeTopologyManagerPolicy,
		},
		"topology-manager-scope": {
			kubeletconfig.ContainerTopologyManagerScope, kubeletconfig.PodTopologyManagerScope,
		},
	},
}

// reservable is what the kubelet's parseResourceList takes.
var reservable = []string{"cpu", "memory", "ephemeral-storage", "pid"}

var allocatable = []string{
	"none",
	kubelettypes.NodeAllocatableEnforcementKey,
	kubelettypes.SystemReservedEnforcementKey, kubelettypes.SystemReservedCompressibleEnforcementKey,
	kubelettypes.KubeReservedEnforcementKey, kubelettypes.KubeReservedCompressibleEnforcementKey,
}

func controllers(all []string, aliases map[string]string) []string {
	return slices.Concat([]string{"*"}, all, slices.Collect(maps.Keys(aliases)))
}

func plugins() []string {
	return apiserver.NewServerRunOptions().Admission.GenericAdmission.Plugins.Registered()
}

func signals() []string {
	var out []string
	for signal := range api.OpForSignal {
		out = append(out, string(signal))
	}
	return out
}
