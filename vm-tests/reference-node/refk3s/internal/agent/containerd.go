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

// NewContainerd writes containerd's configuration. bin is the folder of the
// programs that came with the double, cni the one of the network plugins.
func NewContainerd(s *settings.Server, bin, cni string) (*Containerd, error) {
	c := &Containerd{
		settings:      s,
		program:       filepath.Join(bin, "containerd"),
		systemdCgroup: s.SystemdUnit && cpusetAvailable(),
		ended:         make(chan error, 1),
	}
	folder := s.Folders.Agent("etc", "containerd")
	for _, path := range []string{folder, c.cniFolder(), c.optFolder(), s.Folders.Agent("containerd")} {
		if err := os.MkdirAll(path, 0o700); err != nil {
			return nil, err
		}
	}
	found, err := readRegistries(orDefault(s.Flags.String("private-registry"), "/etc/rancher/k3s/registries.yaml"))
	if err != nil {
		return nil, err
	}
	noDefault := s.Flags.Bool("disable-default-registry-endpoint")
	if err := found.writeHosts(filepath.Join(folder, "certs.d"), noDefault); err != nil {
		return nil, err
	}
	if c.template, err = chooseTemplate(folder); err != nil {
		return nil, err
	}
	data, err := c.templateData(folder, cni, found)
	if err != nil {
		return nil, err
	}
	text, err := c.template.render(data)
	if err != nil {
		return nil, err
	}
	return c, os.WriteFile(filepath.Join(folder, "config.toml"), []byte(text), 0o644)
}

func (c *Containerd) cniFolder() string { return c.settings.Folders.Agent("etc", "cni", "net.d") }
func (c *Containerd) optFolder() string { return c.settings.Folders.Agent("containerd") }

func (c *Containerd) templateData(folder, cni string, found registries) (templateData, error) {
	s := c.settings
	extra := detectRuntimes()
	chosen := s.Flags.String("default-runtime")
	if _, ok := extra[chosen]; chosen != "" && !ok {
		return templateData{}, fmt.Errorf("default runtime %s was not found", chosen)
	}
	imports := filepath.Join(folder, fmt.Sprintf("config-v%d.toml.d", c.template.version), "*.toml")
	if c.template.version == 2 {
		imports = filepath.Join(folder, "config.toml.d", "*.toml")
	}
	return templateData{
		Program:               "k3s",
		Imports:               imports,
		SystemdCgroup:         c.systemdCgroup,
		EnableUnprivileged:    true,
		NoDefaultEndpoint:     s.Flags.Bool("disable-default-registry-endpoint"),
		NonrootDevices:        s.Flags.Bool("nonroot-devices"),
		PrivateRegistryConfig: found.auths(),
		ExtraRuntimes:         extra,
		NodeConfig: templateNode{
			DefaultRuntime: chosen,
			Containerd: templateContainerd{
				Root: s.Folders.Agent("containerd"), State: settings.ContainerdState,
				Address: settings.ContainerdSocket, Opt: c.optFolder(), Template: folder,
				Registry: filepath.Join(folder, "certs.d"), Log: c.logFile(), Config: filepath.Join(folder, "config.toml"),
			},
			AgentConfig: templateAgent{
				PauseImage: s.PauseImage, Snapshotter: s.Snapshotter, NodeName: s.NodeName,
				CNIBinDir: cni, CNIConfDir: c.cniFolder(),
			},
		},
	}, nil
}

// detectRuntimes looks for the runtimes that K3s offers when their program is in the path.
func detectRuntimes() map[string]extraRuntime {
	const runcShim = "io.containerd.runc.v2"
	found := map[string]extraRuntime{}
	search := "/usr/local/nvidia/toolkit:/opt/kwasm/bin:" + os.Getenv("PATH")
	for _, candidate := range []struct{ name, binary, kind string }{
		{"crun", "crun", runcShim},
		{"nvidia", "nvidia-container-runtime", runcShim},
		{"nvidia-experimental", "nvidia-container-runtime-experimental", runcShim},
		{"nvidia-cdi", "nvidia-container-runtime.cdi", runcShim},
	} {
		for _, folder := range strings.Split(search, ":") {
			path := filepath.Join(folder, candidate.binary)
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
				logrus.Infof("Found container runtime %s at %s", candidate.name, path)
				found[candidate.name] = extraRuntime{RuntimeType: candidate.kind, BinaryName: path}
				break
			}
		}
	}
	return found
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
	log := &lumberjack.Logger{Filename: c.logFile(), MaxSize: 50, MaxBackups: 3, Compress: true}
	command := exec.CommandContext(ctx, c.program, arguments...)
	command.Stdout, command.Stderr = log, log
	command.Env = containerdEnvironment()
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	logrus.Infof("Logging containerd to %s", c.logFile())
	logrus.Infof("Running containerd %s", strings.Join(arguments, " "))
	go func() {
		// The parent-death signal follows the thread that started the child.
		runtime.LockOSThread()
		c.ended <- fmt.Errorf("containerd exited: %w", orEnded(command.Run()))
	}()
}

// Ended reports containerd's end, once.
func (c *Containerd) Ended() <-chan error { return c.ended }

func orEnded(err error) error {
	if err == nil {
		return fmt.Errorf("exit status 0")
	}
	return err
}

// containerdEnvironment passes CONTAINERD_X on as X and puts the double's own
// programs first in the path.
func containerdEnvironment() []string {
	var environment []string
	for _, pair := range os.Environ() {
		if name, ok := strings.CutPrefix(pair, "CONTAINERD_"); ok && !strings.HasPrefix(name, "LOG_LEVEL=") {
			environment = append(environment, name)
			continue
		}
		if !strings.HasPrefix(pair, "NOTIFY_SOCKET=") {
			environment = append(environment, pair)
		}
	}
	return environment
}

// Connect waits until containerd answers.
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
		case err := <-c.ended:
			c.ended <- err
			return nil, fmt.Errorf("%w; see %s", err, c.logFile())
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
