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
	return args.Merge(defaults, s.Flags.List("kube-proxy-arg"))
}

// RunProxy runs until the component fails or ctx ends.
func RunProxy(ctx context.Context, s *settings.Server) error {
	arguments := ProxyArguments(s)
	logrus.Infof("Running kube-proxy %s", strings.Join(arguments, " "))
	options := proxy.NewOptions()
	flags := pflag.NewFlagSet("kube-proxy", pflag.ContinueOnError)
	flags.SetNormalizeFunc(cliflag.WordSepNormalizeFunc)
	flags.Usage = func() {}
	options.AddFlags(flags)
	if err := flags.Parse(arguments); err != nil {
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
	err := options.Run(ctx)
	if err == nil && ctx.Err() == nil {
		return fmt.Errorf("ended without an error")
	}
	return err
}
