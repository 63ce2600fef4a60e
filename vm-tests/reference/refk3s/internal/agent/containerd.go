package agent

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"emts.dev/refk3s/internal/settings"
	containerd "github.com/containerd/containerd/v2/client"
	"github.com/sirupsen/logrus"
	"gopkg.in/natefinch/lumberjack.v2"
)

// startLimit is how long containerd may take to answer.
const startLimit = 3 * time.Minute

// Containerd is the container runtime as a child process.
type Containerd struct {
	settings      *settings.Server
	program       string
	systemdCgroup bool
	template      templateChoice
	ended         chan error
}

// NewContainerd writes containerd's configuration. bin is the directory of the
// programs that came with the double, cni the one of the network plugins.
func NewContainerd(s *settings.Server, bin, cni string) (*Containerd, error) {
	c := &Containerd{
		settings:      s,
		program:       filepath.Join(bin, "containerd"),
		systemdCgroup: s.SystemdUnit && cpusetAvailable(),
		ended:         make(chan error, 1),
	}
	directory := s.Folders.Agent("etc", "containerd")
	for _, path := range []string{directory, s.Folders.Agent("etc", "cni", "net.d"), s.Folders.Agent("containerd")} {
		if err := os.MkdirAll(path, 0o700); err != nil {
			return nil, err
		}
	}
	found, err := readRegistries(orDefault(s.Flags.String("private-registry"), "/etc/rancher/k3s/registries.yaml"))
	if err != nil {
		return nil, err
	}
	if c.template, err = chooseTemplate(directory); err != nil {
		return nil, err
	}
	data, err := c.templateData(cni, &found)
	if err != nil {
		return nil, err
	}
	text, err := c.template.render(data)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(directory, "config.toml"), []byte(text), 0o644); err != nil {
		return nil, err
	}
	return c, found.writeHosts(filepath.Join(directory, "certs.d"), data.NoDefaultEndpoint)
}

func (c *Containerd) templateData(cni string, found *registries) (templateData, error) {
	s := c.settings
	extra := detectRuntimes(runtimeDirectories + ":" + os.Getenv("PATH"))
	chosen := s.Flags.String("default-runtime")
	if _, ok := extra[chosen]; chosen != "" && !ok {
		return templateData{}, fmt.Errorf("default runtime %s was not found", chosen)
	}
	node := nodeOfTemplate(s, cni)
	node.Containerd = containerdOfTemplate(s, c.template.version)
	node.AgentConfig.Systemd = c.systemdCgroup
	return templateData{
		Program:               "k3s",
		NodeConfig:            node,
		SystemdCgroup:         c.systemdCgroup,
		EnableUnprivileged:    true,
		NoDefaultEndpoint:     node.Containerd.NoDefault,
		NonrootDevices:        node.Containerd.NonrootDevices,
		PrivateRegistryConfig: found,
		ExtraRuntimes:         extra,
	}, nil
}

func (c *Containerd) logFile() string {
	return c.settings.Folders.Agent("containerd", "containerd.log")
}

// Start runs containerd until ctx ends. Ended reports when it ends by itself.
func (c *Containerd) Start(ctx context.Context) {
	arguments := []string{"-c", c.settings.Folders.Agent("etc", "containerd", "config.toml")}
	if c.template.version == 2 {
		arguments = append(arguments, "-a", settings.ContainerdSocket, "--state", settings.ContainerdState,
			"--root", c.settings.Folders.Agent("containerd"))
	}
	environment, level := containerdEnvironment(os.Environ())
	if level != "" {
		arguments = append(arguments, "--log-level", level)
	}
	log := &lumberjack.Logger{Filename: c.logFile(), MaxSize: 50, MaxBackups: 3, MaxAge: 28, Compress: true}
	command := exec.CommandContext(ctx, c.program, arguments...)
	command.Stdout, command.Stderr = log, log
	command.Env = environment
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	logrus.Infof("Logging containerd to %s", c.logFile())
	logrus.Infof("Running containerd %s", strings.Join(arguments, " "))
	go func() {
		// The parent-death signal follows the thread that started the child.
		runtime.LockOSThread()
		err := command.Run()
		if err != nil {
			err = fmt.Errorf("containerd exited: %w", err)
		}
		c.ended <- err
		close(c.ended)
	}()
}

// Ended reports containerd's end, once; nil stands for exit status 0.
func (c *Containerd) Ended() <-chan error { return c.ended }

// containerdEnvironment passes CONTAINERD_X on as X, except for the log level,
// which becomes an argument.
func containerdEnvironment(environment []string) (passed []string, level string) {
	var own []string
	for _, pair := range environment {
		name, isOwn := strings.CutPrefix(pair, "CONTAINERD_")
		text, isLevel := strings.CutPrefix(name, "LOG_LEVEL=")
		switch {
		case isOwn && isLevel:
			level = text
		case isOwn:
			own = append(own, name)
		case !strings.HasPrefix(pair, "NOTIFY_SOCKET="):
			passed = append(passed, pair)
		}
	}
	return append(passed, own...), level
}

// Connect waits until containerd answers. Its end is not noticed here: who
// reads Ended ends ctx.
func (c *Containerd) Connect(ctx context.Context) (*containerd.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	var last error
	for {
		client, err := containerd.New(settings.ContainerdSocket, containerd.WithDefaultNamespace("k8s.io"), containerd.WithTimeout(time.Second))
		if err == nil {
			if _, err = client.Version(ctx); err == nil {
				logrus.Info("containerd is now running")
				return client, nil
			}
			client.Close()
		}
		last = err
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("containerd did not answer on %s within %v: %w", settings.ContainerdSocket, startLimit, last)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// cpusetAvailable says whether the cpuset controller can be used, which K3s
// makes a condition of the systemd cgroup driver.
func cpusetAvailable() bool {
	for _, path := range []string{"/sys/fs/cgroup/cgroup.controllers", "/proc/cgroups"} {
		content, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(content), "cpuset") {
			return true
		}
	}
	return false
}
