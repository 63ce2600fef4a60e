// Command k3s is the small outer program of the reference double: it lays the
// programs inside it down in the data folder and becomes the one asked for.
// The server is a program of its own, so that `k3s kubectl` starts quickly.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"

	"emts.dev/refk3s/internal/cli"
	"emts.dev/refk3s/internal/marker"
	"emts.dev/refk3s/internal/payload"
	"github.com/sirupsen/logrus"
)

// version is set by the linker to that of the Kubernetes components.
var version = "unset"

const usage = `k3s (refk3s, a test double of K3s, not for use)

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
	case "--version", "-v":
		fmt.Printf("k3s version %s (refk3s, %s, not K3s)\ngo version %s\n", version, marker.Text, runtime.Version())
		return 0
	case "--help", "-h", "help":
		fmt.Print(usage)
		return 0
	case "kubectl":
		setDefault("KUBECONFIG", "/etc/rancher/k3s/k3s.yaml")
		return become("kubectl", "kubectl", arguments[1:], toolDataFolder())
	case "ctr":
		setDefault("CONTAINERD_ADDRESS", "/run/k3s/containerd/containerd.sock")
		setDefault("CONTAINERD_NAMESPACE", "k8s.io")
		return become("ctr", "ctr", arguments[1:], toolDataFolder())
	case "server":
		return server(arguments)
	case "crictl", "agent", "token", "etcd-snapshot", "secrets-encrypt", "certificate", "check-config", "completion":
		return fatal(fmt.Errorf("refk3s does not implement the sub-command %s", arguments[0]))
	}
	return fatal(fmt.Errorf("no such sub-command of k3s: %q", arguments[0]))
}

// server checks the flags, which the server program reads again, because the
// data folder is among them.
func server(arguments []string) int {
	values, err := cli.Parse(arguments[1:], func(string) {})
	var fault *cli.UsageError
	switch {
	case errors.Is(err, cli.ErrHelp):
		fmt.Print(usage)
		return 0
	case errors.As(err, &fault):
		fmt.Printf("Incorrect Usage: %v\n\n%s", fault, usage)
		return fatal(fmt.Errorf("Error: %w", fault))
	case err != nil:
		return fatal(err)
	}
	return become("k3s-server", os.Args[0], arguments, dataFolderOf(values))
}

// become replaces this process by one of the programs laid down.
func become(program, name string, arguments []string, data string) int {
	programs, err := payload.LayDown(data)
	if err != nil {
		return fatal(err)
	}
	path := filepath.Join(programs.Bin, program)
	err = syscall.Exec(path, append([]string{name}, arguments...), os.Environ())
	return fatal(fmt.Errorf("run %s: %w", path, err))
}

// toolDataFolder finds the data folder for the tools, which start even when the
// configuration is wrong.
func toolDataFolder() string {
	values, err := cli.Parse(nil, func(string) {})
	if err != nil {
		logrus.Warnf("Configuration: %v", err)
		return cli.DefaultDataFolder
	}
	return dataFolderOf(values)
}

func dataFolderOf(values *cli.Values) string {
	if folder := values.String("data-dir"); folder != "" {
		return folder
	}
	return cli.DefaultDataFolder
}

func setDefault(name, text string) {
	if os.Getenv(name) == "" {
		_ = os.Setenv(name, text)
	}
}

func fatal(err error) int {
	logrus.StandardLogger().Logf(logrus.FatalLevel, "%v", err)
	return 1
}
