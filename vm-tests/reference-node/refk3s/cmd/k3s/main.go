// Command k3s is the reference double of K3s: real Kubernetes components, etcd
// and containerd behind K3s's own interface. It is for tests and says so.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"emts.dev/refk3s/internal/cli"
	"emts.dev/refk3s/internal/runner"
	"emts.dev/refk3s/internal/settings"
	"github.com/sirupsen/logrus"
	"k8s.io/component-base/version"
)

const usage = `k3s (refk3s reference double, not K3s)

Usage:
  k3s server [flags]      run the control plane and a node; flags as in K3s
  k3s kubectl ...         kubectl with the server's kubeconfig
  k3s ctr ...             containerd's own client

  k3s --version           print the version

Flags of ` + "`k3s server`" + ` come from /etc/rancher/k3s/config.yaml, its drop-ins in
config.yaml.d/, the command line and K3S_* variables. A flag of K3s that the
double does not implement is refused by name.
`

func main() {
	os.Exit(run(filepath.Base(os.Args[0]), os.Args[1:]))
}

func run(called string, arguments []string) int {
	logrus.SetFormatter(&logrus.TextFormatter{DisableColors: true, FullTimestamp: true})
	switch called {
	case "kubectl", "ctr", "crictl":
		arguments = append([]string{called}, arguments...)
	}
	if len(arguments) == 0 {
		fmt.Print(usage)
		return 0
	}
	switch arguments[0] {
	case "--version", "-v", "version":
		fmt.Printf("k3s version %s (refk3s reference double, not K3s)\ngo version %s\n", version.Get().GitVersion, version.Get().GoVersion)
		return 0
	case "--help", "-h", "help":
		fmt.Print(usage)
		return 0
	case "kubectl":
		return kubectl(arguments[1:])
	case "ctr":
		return ctr(arguments[1:])
	case "crictl":
		return crictlCommand(arguments[1:])
	case "server":
		return server(arguments[1:])
	case "agent", "token", "etcd-snapshot", "secrets-encrypt", "certificate", "check-config", "completion":
		return fatal(fmt.Errorf("refk3s does not implement the sub-command %s", arguments[0]))
	}
	return fatal(fmt.Errorf("no such sub-command of k3s: %q", arguments[0]))
}

func server(arguments []string) int {
	values, err := cli.Parse(arguments, func(text string) { logrus.Warn(text) })
	if errors.Is(err, cli.ErrHelp) {
		fmt.Print(usage)
		return 0
	}
	if err != nil {
		return fatal(err)
	}
	if values.Bool("debug") {
		logrus.SetLevel(logrus.DebugLevel)
	}
	notes, err := cli.CheckSupport(values)
	for _, note := range notes {
		logrus.Info(note)
	}
	if err != nil {
		return fatal(err)
	}
	logrus.Infof("Starting k3s %s (refk3s reference double, not K3s)", version.Get().GitVersion)
	resolved, err := settings.Resolve(values)
	if err != nil {
		return fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := runner.Run(ctx, resolved); err != nil {
		logrus.Errorf("Shutdown request received: %q", err.Error())
		return fatal(err)
	}
	return 0
}

func fatal(err error) int {
	logrus.StandardLogger().Logf(logrus.FatalLevel, "%v", err)
	return 1
}
