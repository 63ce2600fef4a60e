// Command server is `k3s server` of the reference double: real Kubernetes
// components, etcd and containerd behind K3s's own interface. It is for tests
// and says so.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"emts.dev/refk3s/internal/cli"
	"emts.dev/refk3s/internal/runner"
	"emts.dev/refk3s/internal/settings"
	"github.com/sirupsen/logrus"
	"k8s.io/component-base/version"
)

func main() {
	logrus.SetFormatter(&logrus.TextFormatter{DisableColors: true, FullTimestamp: true})
	if len(os.Args) < 2 || os.Args[1] != "server" {
		os.Exit(fatal(fmt.Errorf("this program is started by `k3s server`")))
	}
	os.Exit(server(os.Args[2:]))
}

func server(arguments []string) int {
	values, err := cli.Parse(arguments, func(text string) { logrus.Warn(text) })
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
