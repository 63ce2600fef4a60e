package main

import (
	"strings"

	"github.com/spf13/pflag"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	ccmapp "k8s.io/cloud-provider/app"
	ccmoptions "k8s.io/cloud-provider/options"
	cliflag "k8s.io/component-base/cli/flag"
	"k8s.io/component-base/cli/globalflag"
	"k8s.io/component-base/logs"
	logsapi "k8s.io/component-base/logs/api/v1"
	"k8s.io/component-base/version/verflag"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app/options"
	manager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	manageroptions "k8s.io/kubernetes/cmd/kube-controller-manager/app/options"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app/options"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app/options"
)

// lines are the rows of the table, in no order.
func lines() ([]string, error) {
	var out []string
	for component, flagsOf := range map[string]func() (*pflag.FlagSet, error){
		"cloud-controller-manager": cloudFlags,
		"kube-apiserver":           apiServerFlags,
		"kube-controller-manager":  managerFlags,
		"kube-proxy":               proxyFlags,
		"kube-scheduler":           schedulerFlags,
		"kubelet":                  kubeletFlags,
	} {
		flags, err := flagsOf()
		if err != nil {
			return nil, err
		}
		flags.VisitAll(func(flag *pflag.Flag) {
			values := valuesOf(component, flag)
			out = append(out, row(component, flag.Name, kindOf(flag), values))
		})
	}
	for name, gate := range utilfeature.DefaultMutableFeatureGate.GetAll() {
		var fixed []string
		if gate.LockToDefault {
			fixed = []string{text(gate.Default)}
		}
		out = append(out, row("feature-gates", string(name), "gate", fixed))
	}
	return out, nil
}

// kindOf is the type of a flag's value; of three kinds of maps Kubernetes says
// the same.
func kindOf(flag *pflag.Flag) string {
	switch value := flag.Value.(type) {
	case *cliflag.LangleSeparatedMapStringString:
		return "mapByLess"
	case *cliflag.ConfigurationMap:
		return "mapOfAny"
	case *cliflag.MapStringString:
		if value.NoSplit {
			return "pair"
		}
	}
	return flag.Value.Type()
}

func row(component, flag, kind string, values []string) string {
	return strings.Join([]string{component, flag, kind, strings.Join(values, ",")}, "\t")
}

func text(flag bool) string {
	if flag {
		return "true"
	}
	return "false"
}

// joined are the flags of a component that has them in sets.
func joined(component string, sets cliflag.NamedFlagSets) *pflag.FlagSet {
	verflag.AddFlags(sets.FlagSet("global"))
	globalflag.AddGlobalFlags(sets.FlagSet("global"), component, logs.SkipLoggingConfigurationFlags())
	flags := newSet(component)
	for _, set := range sets.FlagSets {
		flags.AddFlagSet(set)
	}
	return flags
}

func newSet(component string) *pflag.FlagSet {
	flags := pflag.NewFlagSet(component, pflag.ContinueOnError)
	flags.SetNormalizeFunc(cliflag.WordSepNormalizeFunc)
	return flags
}

// advertise-port is K3s' own.
func apiServerFlags() (*pflag.FlagSet, error) {
	sets := apiserver.NewServerRunOptions().Flags()
	apiserver.AddCustomGlobalFlags(sets.FlagSet("generic"))
	flags := joined("kube-apiserver", sets)
	flags.Int("advertise-port", 0, "")
	return flags, nil
}

func managerFlags() (*pflag.FlagSet, error) {
	options, err := manageroptions.NewKubeControllerManagerOptions()
	if err != nil {
		return nil, err
	}
	sets := options.Flags(manager.KnownControllers(), manager.ControllersDisabledByDefault(), manager.ControllerAliases())
	return joined("kube-controller-manager", sets), nil
}

func schedulerFlags() (*pflag.FlagSet, error) {
	return joined("kube-scheduler", *scheduler.NewOptions().Flags), nil
}

func cloudFlags() (*pflag.FlagSet, error) {
	options, err := ccmoptions.NewCloudControllerManagerOptions()
	if err != nil {
		return nil, err
	}
	sets := options.Flags(ccmapp.ControllerNames(ccmapp.DefaultInitFuncConstructors), nil, nil, nil, nil)
	logsapi.AddFlags(logs.NewOptions(), sets.FlagSet("global"))
	return joined("cloud-controller-manager", sets), nil
}

func proxyFlags() (*pflag.FlagSet, error) {
	flags := newSet("kube-proxy")
	proxy.NewOptions().AddFlags(flags)
	verflag.AddFlags(flags)
	globalflag.AddGlobalFlags(flags, "kube-proxy", logs.SkipLoggingConfigurationFlags())
	return flags, nil
}

func kubeletFlags() (*pflag.FlagSet, error) {
	configuration, err := kubelet.NewKubeletConfiguration()
	if err != nil {
		return nil, err
	}
	flags := newSet("kubelet")
	kubelet.NewKubeletFlags().AddFlags(flags)
	kubelet.AddKubeletConfigFlags(flags, configuration)
	kubelet.AddGlobalFlags(flags)
	flags.Bool("help", false, "")
	return flags, nil
}
