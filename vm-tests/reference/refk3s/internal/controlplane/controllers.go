package controlplane

import (
	"context"
	"slices"
	"strings"

	"emts.dev/refk3s/internal/args"
	"emts.dev/refk3s/internal/settings"
	"github.com/sirupsen/logrus"
	manager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	manageroptions "k8s.io/kubernetes/cmd/kube-controller-manager/app/options"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	scheduleroptions "k8s.io/kubernetes/cmd/kube-scheduler/app/options"
)

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
	addCommon(s, defaults)
	user := append(slices.Clone(s.Flags.List("kube-controller-arg")), s.Flags.List("kube-controller-manager-arg")...)
	return args.Merge(defaults, user)
}

// RunControllerManager runs until the component fails. As a leader it ends the
// process when its lease is lost or ctx ends.
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
	return manager.Run(ctx, config.Complete())
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
		"profiling":                 "false",
		"secure-port":               "10259",
		"tls-cert-file":             s.Folders.TLS("kube-scheduler", "kube-scheduler.crt"),
		"tls-private-key-file":      s.Folders.TLS("kube-scheduler", "kube-scheduler.key"),
	}
	addCommon(s, defaults)
	return args.Merge(defaults, s.Flags.List("kube-scheduler-arg"))
}

// addCommon turns the election of leaders off where K3s has its data in SQLite:
// no other server can be there. With etcd the components' own default holds,
// and a component that cannot renew its lease in time ends the whole process.
func addCommon(s *settings.Server, defaults map[string]string) {
	if !s.Etcd {
		defaults["leader-elect"] = "false"
	}
	s.AddVerbosity(defaults)
}

// RunScheduler runs until the component fails. As a leader it ends the process
// when its lease is lost or ctx ends.
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
	return scheduler.Run(ctx, config, instance)
}

func line(arguments []string) string { return strings.Join(args.Masked(arguments), " ") }
