package agent

import (
	"os"
	"path/filepath"

	"github.com/sirupsen/logrus"
)

// extraRuntime is a container runtime besides runc.
type extraRuntime struct{ RuntimeType, BinaryName string }

const runcShim = "io.containerd.runc.v2"

// offeredRuntimes are the runtimes that K3s adds when their program is there:
// name, program, type.
var offeredRuntimes = [][3]string{
	{"crun", "crun", runcShim},
	{"nvidia", "nvidia-container-runtime", runcShim},
	{"nvidia-experimental", "nvidia-container-runtime-experimental", runcShim},
	{"nvidia-cdi", "nvidia-container-runtime.cdi", runcShim},
	{"lunatic", "containerd-shim-lunatic-v1", "io.containerd.lunatic.v1"},
	{"slight", "containerd-shim-slight-v1", "io.containerd.slight.v1"},
	{"spin", "containerd-shim-spin-v2", "io.containerd.spin.v2"},
	{"wws", "containerd-shim-wws-v1", "io.containerd.wws.v1"},
	{"wasmedge", "containerd-shim-wasmedge-v1", "io.containerd.wasmedge.v1"},
	{"wasmer", "containerd-shim-wasmer-v1", "io.containerd.wasmer.v1"},
	{"wasmtime", "containerd-shim-wasmtime-v1", "io.containerd.wasmtime.v1"},
}

// runtimeDirectories are searched before the PATH.
const runtimeDirectories = "/usr/local/nvidia/toolkit:/opt/kwasm/bin"

// detectRuntimes returns the runtimes whose program is in one of the
// directories of the search path.
func detectRuntimes(searchPath string) map[string]extraRuntime {
	found := map[string]extraRuntime{}
	for _, offered := range offeredRuntimes {
		name, program, kind := offered[0], offered[1], offered[2]
		if path := lookUp(searchPath, program); path != "" {
			logrus.Infof("Found %s container runtime at %s", name, path)
			found[name] = extraRuntime{RuntimeType: kind, BinaryName: path}
		}
	}
	return found
}

func lookUp(searchPath, program string) string {
	for _, directory := range filepath.SplitList(searchPath) {
		path := filepath.Join(directory, program)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path
		}
	}
	return ""
}

// regularFile returns the path of a file that is there, else nothing.
func regularFile(directory, name string) string {
	path := filepath.Join(directory, name)
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return ""
	}
	return path
}
