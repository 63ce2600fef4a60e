package main

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"emts.dev/refk3s/internal/cli"
	"emts.dev/refk3s/internal/payload"
	"emts.dev/refk3s/internal/settings"
	"k8s.io/klog/v2"
	"k8s.io/kubectl/pkg/cmd"
)

// kubectl runs kubectl's own command, with the server's kubeconfig by default.
func kubectl(arguments []string) int {
	klog.LogToStderr(true)
	if os.Getenv("KUBECONFIG") == "" {
		_ = os.Setenv("KUBECONFIG", "/etc/rancher/k3s/k3s.yaml")
	}
	os.Args = append([]string{"kubectl"}, arguments...)
	if err := cmd.NewDefaultKubectlCommand().Execute(); err != nil {
		return 1
	}
	return 0
}

// ctr becomes containerd's client from the programs laid down.
func ctr(arguments []string) int {
	programs, err := payload.LayDown(dataFolder())
	if err != nil {
		return fatal(err)
	}
	setDefault("CONTAINERD_ADDRESS", settings.ContainerdSocket)
	setDefault("CONTAINERD_NAMESPACE", "k8s.io")
	program := filepath.Join(programs.Bin, "ctr")
	err = syscall.Exec(program, append([]string{"ctr"}, arguments...), os.Environ())
	return fatal(fmt.Errorf("run %s: %w", program, err))
}

// dataFolder finds the data folder for the sub-commands that take no flags of their own.
func dataFolder() string {
	values, err := cli.Parse(nil, func(string) {})
	if err == nil && values.String("data-dir") != "" {
		return values.String("data-dir")
	}
	return "/var/lib/rancher/k3s"
}

func setDefault(name, text string) {
	if os.Getenv(name) == "" {
		_ = os.Setenv(name, text)
	}
}
