package agent

import (
	"context"
	"fmt"
	"strings"

	"emts.dev/refk3s/internal/args"
	"emts.dev/refk3s/internal/settings"
	"github.com/sirupsen/logrus"
	"github.com/spf13/pflag"
	cliflag "k8s.io/component-base/cli/flag"
	"k8s.io/component-base/cli/globalflag"
	"k8s.io/component-base/logs"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
)

// ProxyArguments are K3s's defaults with the user's kube-proxy-arg.
func ProxyArguments(s *settings.Server) []string {
	defaults := map[string]string{
		"cluster-cidr":                      settings.JoinRanges(s.Network.ClusterCIDRs),
		"conntrack-max-per-core":            "0",
		"conntrack-tcp-timeout-close-wait":  "0s",
		"conntrack-tcp-timeout-established": "0s",
		"healthz-bind-address":              "127.0.0.1",
		"hostname-override":                 s.NodeName,
		"kubeconfig":                        s.Folders.Agent("kubeproxy.kubeconfig"),
		"proxy-mode":                        "iptables",
	}
	if s.NodeIPs[0].To4() == nil {
		defaults["healthz-bind-address"] = "::1"
	}
	s.AddVerbosity(defaults)
	return args.Merge(defaults, s.Flags.List("kube-proxy-arg"))
}

// CheckProxyArguments parses the user's kube-proxy-arg as K3s does before it
// starts anything, for the connection tracking settings among them.
func CheckProxyArguments(s *settings.Server) error {
	if _, _, err := parseProxy(args.Merge(nil, s.Flags.List("kube-proxy-arg"))); err != nil {
		return fmt.Errorf("failed to validate kube-proxy conntrack configuration: %w", err)
	}
	return nil
}

func parseProxy(arguments []string) (*proxy.Options, *pflag.FlagSet, error) {
	options := proxy.NewOptions()
	flags := pflag.NewFlagSet("kube-proxy", pflag.ContinueOnError)
	flags.SetNormalizeFunc(cliflag.WordSepNormalizeFunc)
	flags.Usage = func() {}
	options.AddFlags(flags)
	globalflag.AddGlobalFlags(flags, "kube-proxy", logs.SkipLoggingConfigurationFlags())
	return options, flags, flags.Parse(arguments)
}

// RunProxy runs until the component fails or ctx ends.
func RunProxy(ctx context.Context, s *settings.Server) error {
	arguments := ProxyArguments(s)
	logrus.Infof("Running kube-proxy %s", strings.Join(arguments, " "))
	options, flags, err := parseProxy(arguments)
	if err != nil {
		return err
	}
	if rest := flags.Args(); len(rest) > 0 {
		return fmt.Errorf("kube-proxy does not take any arguments, got %q", rest)
	}
	if err := options.Complete(flags); err != nil {
		return err
	}
	if err := options.Validate(); err != nil {
		return err
	}
	return options.Run(ctx)
}
