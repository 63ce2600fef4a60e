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
	"emts.dev/refk3s/internal/marker"
	"emts.dev/refk3s/internal/runner"
	"emts.dev/refk3s/internal/settings"
	"emts.dev/refk3s/internal/shutdown"
	"github.com/sirupsen/logrus"
	"k8s.io/component-base/version"
)

func main() {
	logrus.SetFormatter(&logrus.TextFormatter{DisableColors: true, FullTimestamp: true})
	if len(os.Args) < 2 || os.Args[1] != "server" {
		os.Exit(shutdown.Fatal(fmt.Errorf("this program is started by `k3s server`")))
	}
	os.Exit(server(os.Args[2:]))
}

func server(arguments []string) int {
	values, err := cli.Parse(arguments, func(text string) { logrus.Warn(text) })
	if err != nil {
		return shutdown.Fatal(err)
	}
	if values.Bool("debug") {
		logrus.SetLevel(logrus.DebugLevel)
	}
	notes, err := cli.CheckSupport(values)
	for _, note := range notes {
		logrus.Info(note)
	}
	if err != nil {
		return shutdown.Fatal(err)
	}
	resolved, err := settings.Resolve(values)
	if err != nil {
		return shutdown.Fatal(fmt.Errorf("Error: %w", err))
	}
	logrus.Infof("Starting k3s %s (refk3s, %s, not K3s)", version.Get().GitVersion, marker.Text)
	if err := resolved.CheckFamilies(); err != nil {
		return shutdown.Fatal(fmt.Errorf("Error: %w", err))
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	return shutdown.Status(runner.Run(ctx, resolved))
}
