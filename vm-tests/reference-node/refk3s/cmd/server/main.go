// Command server is `k3s server` of the reference double: real Kubernetes
// components, etcd and containerd behind K3s's own interface. It is for tests
// and says so.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"emts.dev/refk3s/internal/cli"
	"emts.dev/refk3s/internal/marker"
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
	resolved, err := settings.Resolve(values)
	if err != nil {
		return fatal(fmt.Errorf("Error: %w", err))
	}
	logrus.Infof("Starting k3s %s (refk3s, %s, not K3s)", version.Get().GitVersion, marker.Text)
	if err := resolved.CheckFamilies(); err != nil {
		return fatal(fmt.Errorf("Error: %w", err))
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	return status(runner.Run(ctx, resolved))
}

// status is that of the process at the server's end. K3s logs a part's end and
// ends with 0 when it had come up.
func status(err error) int {
	var shutdown *runner.Shutdown
	switch {
	case err == nil:
		return 0
	case !errors.As(err, &shutdown):
		return fatal(fmt.Errorf("Error: %w", err))
	case shutdown.Reason == nil:
		logrus.Info("Shutdown request received")
	default:
		logrus.Errorf("Shutdown request received: %q", shutdown.Reason.Error())
	}
	if shutdown.WasUp {
		return 0
	}
	return 1
}

func fatal(err error) int {
	logrus.StandardLogger().Logf(logrus.FatalLevel, "%v", err)
	return 1
}
