package controlplane

import (
	"context"
	"fmt"
	"strings"

	"emts.dev/refk3s/internal/args"
	"emts.dev/refk3s/internal/settings"
	"github.com/sirupsen/logrus"
	manager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	manageroptions "k8s.io/kubernetes/cmd/kube-controller-manager/app/options"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	scheduleroptions "k8s.io/kubernetes/cmd/kube-scheduler/app/options"
)

// leaderElect is off: no other server can join the double. K3s elects when its
// data is in etcd, and ends when a slow machine makes it miss a renewal.
const leaderElect = "false"

// ControllerManagerArguments are K3s's defaults with the user's kube-controller-manager-arg.
func ControllerManagerArguments(s *settings.Server) []string {
	f := s.Folders
	kubeconfig := f.Credentials("controller.kubeconfig")
	defaults := map[string]string{
		"allocate-node-cidrs":              "true",
		"authentication-kubeconfig":        kubeconfig,
		"authorization-kubeconfig":         kubeconfig,
		"bind-address":                     "127.0.0.1",
		"cert-dir":                         f.TLS("kube-controller-manager"),
		"cluster-cidr":                     settings.JoinRanges(s.Network.ClusterCIDRs),
		"controllers":                      "*,tokencleaner",
		"kubeconfig":                       kubeconfig,
		"leader-elect":                     leaderElect,
		"profiling":                        "false",
		"root-ca-file":                     f.TLS("server-ca.crt"),
		"secure-port":                      "10257",
		"service-account-private-key-file": f.TLS("service.current.key"),
		"service-cluster-ip-range":         settings.JoinRanges(s.Network.ServiceCIDRs),
		"tls-cert-file":                    f.TLS("kube-controller-manager", "kube-controller-manager.crt"),
		"tls-private-key-file":             f.TLS("kube-controller-manager", "kube-controller-manager.key"),
		"use-service-account-credentials":  "true",
	}
	for _, signer := range []struct{ name, authority string }{
		{"kube-apiserver-client", "client-ca"}, {"kubelet-client", "client-ca"},
		{"kubelet-serving", "server-ca"}, {"legacy-unknown", "server-ca"},
	} {
		defaults["cluster-signing-"+signer.name+"-cert-file"] = f.TLS(signer.authority + ".crt")
		defaults["cluster-signing-"+signer.name+"-key-file"] = f.TLS(signer.authority + ".key")
	}
	if s.CloudController {
		defaults["configure-cloud-routes"] = "false"
		defaults["controllers"] = "*,tokencleaner,-service,-route,-cloud-node-lifecycle"
	}
	user := append(append([]string{}, s.Flags.List("kube-controller-arg")...), s.Flags.List("kube-controller-manager-arg")...)
	return args.Merge(defaults, user)
}

// RunControllerManager runs until ctx ends or the component fails.
func RunControllerManager(ctx context.Context, s *settings.Server) error {
	arguments := ControllerManagerArguments(s)
	logrus.Infof("Running kube-controller-manager %s", line(arguments))
	opts, err := manageroptions.NewKubeControllerManagerOptions()
	if err != nil {
		return err
	}
	known, off, aliases := manager.KnownControllers(), manager.ControllersDisabledByDefault(), manager.ControllerAliases()
	sets := opts.Flags(known, off, aliases)
	opts.ParsedFlags = &sets
	if err := parse("kube-controller-manager", sets, arguments, nil); err != nil {
		return err
	}
	if err := opts.ComponentGlobalsRegistry.Set(); err != nil {
		return err
	}
	config, err := opts.Config(known, off, aliases)
	if err != nil {
		return err
	}
	return ended(ctx, manager.Run(ctx, config.Complete()))
}

// SchedulerArguments are K3s's defaults with the user's kube-scheduler-arg.
func SchedulerArguments(s *settings.Server) []string {
	kubeconfig := s.Folders.Credentials("scheduler.kubeconfig")
	defaults := map[string]string{
		"authentication-kubeconfig": kubeconfig,
		"authorization-kubeconfig":  kubeconfig,
		"bind-address":              "127.0.0.1",
		"cert-dir":                  s.Folders.TLS("kube-scheduler"),
		"kubeconfig":                kubeconfig,
		"leader-elect":              leaderElect,
		"profiling":                 "false",
		"secure-port":               "10259",
		"tls-cert-file":             s.Folders.TLS("kube-scheduler", "kube-scheduler.crt"),
		"tls-private-key-file":      s.Folders.TLS("kube-scheduler", "kube-scheduler.key"),
	}
	return args.Merge(defaults, s.Flags.List("kube-scheduler-arg"))
}

// RunScheduler runs until ctx ends or the component fails.
func RunScheduler(ctx context.Context, s *settings.Server) error {
	arguments := SchedulerArguments(s)
	logrus.Infof("Running kube-scheduler %s", line(arguments))
	opts := scheduleroptions.NewOptions()
	if err := parse("kube-scheduler", *opts.Flags, arguments, nil); err != nil {
		return err
	}
	if err := opts.ComponentGlobalsRegistry.Set(); err != nil {
		return err
	}
	config, instance, err := scheduler.Setup(ctx, opts)
	if err != nil {
		return err
	}
	return ended(ctx, scheduler.Run(ctx, config, instance))
}

// ended makes an end without a reason an error, unless ctx asked for it.
func ended(ctx context.Context, err error) error {
	if err == nil && ctx.Err() == nil {
		return fmt.Errorf("ended without an error")
	}
	return err
}

func line(arguments []string) string { return strings.Join(args.Masked(arguments), " ") }
