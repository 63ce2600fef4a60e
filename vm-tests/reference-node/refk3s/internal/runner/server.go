// Package runner starts the parts of `k3s server` in their order and ends the
// process when one of them ends.
package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"time"

	"emts.dev/refk3s/internal/agent"
	"emts.dev/refk3s/internal/controlplane"
	"emts.dev/refk3s/internal/deploy"
	"emts.dev/refk3s/internal/etcd"
	"emts.dev/refk3s/internal/node"
	"emts.dev/refk3s/internal/payload"
	"emts.dev/refk3s/internal/pki"
	"emts.dev/refk3s/internal/settings"
	"emts.dev/refk3s/internal/supervisor"
	"github.com/sirupsen/logrus"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// apiLimit is how long the API server may take to become ready, as in K3s.
const apiLimit = 15 * time.Minute

// startGCPercent lets the heap grow during start-up, when most of it stays
// anyway; afterwards Go's default, 100, holds again.
const startGCPercent = 400

// Server is one run of `k3s server`.
type Server struct {
	settings *settings.Server
	// failed receives the first end of a part.
	failed chan error
	// notifySocket is where systemd waits for the server to be ready; may be empty.
	notifySocket string
}

// Run runs until ctx ends, which is no error, or a part fails.
func Run(ctx context.Context, s *settings.Server) error {
	debug.SetGCPercent(startGCPercent)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	server := &Server{settings: s, failed: make(chan error, 16), notifySocket: takeNotifySocket()}
	started := make(chan error, 1)
	go func() { started <- server.start(ctx) }()
	for {
		select {
		case err := <-started:
			if err != nil {
				return ignoreCanceled(ctx, err)
			}
			started = nil
		case err := <-server.failed:
			if ctx.Err() != nil {
				return nil
			}
			return err
		case <-ctx.Done():
			return nil
		}
	}
}

func ignoreCanceled(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// part runs a component in the background; its end ends the process.
func (r *Server) part(name string, run func() error) {
	go func() {
		if err := run(); err != nil {
			r.failed <- fmt.Errorf("%s exited: %w", name, err)
		} else {
			r.failed <- fmt.Errorf("%s exited", name)
		}
	}()
}

func (r *Server) start(ctx context.Context) error {
	s := r.settings
	secret, err := r.prepare()
	if err != nil {
		return err
	}
	// The runtime does not need the API: it starts, and loads the images, beside the control plane.
	runtime := make(chan error, 1)
	var containerd *agent.Containerd
	go func() {
		var err error
		containerd, err = r.startContainerd(ctx)
		runtime <- err
	}()
	admin, err := r.startControlPlane(ctx, secret)
	if err != nil {
		return err
	}
	if err := <-runtime; err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(admin)
	if err != nil {
		return err
	}
	r.part("kubelet", func() error { return agent.RunKubelet(ctx, s, containerd) })
	if !s.Flags.Bool("disable-kube-proxy") {
		r.part("kube-proxy", func() error { return agent.RunProxy(ctx, s) })
	}
	go node.NewKeeper(s, client).Run(ctx)
	return r.afterAPI(ctx, client, admin)
}

// prepare makes folders, certificates, kubeconfigs and the token.
func (r *Server) prepare() (secret string, err error) {
	s := r.settings
	for _, folder := range []string{s.Folders.Server(), s.Folders.Credentials(), s.Folders.Server("db")} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return "", err
		}
	}
	cluster, err := pki.EnsureCluster(pki.Subjects{
		TLS: s.Folders.TLS(), Agent: s.Folders.Agent(), NodeName: s.NodeName, NodeIPs: append(s.NodeIPs, s.AdvertiseIP),
		APIService: s.Network.APIService, Domain: s.Network.Domain, Extra: s.ExtraNames,
	})
	if err != nil {
		return "", fmt.Errorf("certificates: %w", err)
	}
	if err := r.writeKubeconfigs(); err != nil {
		return "", fmt.Errorf("kubeconfigs: %w", err)
	}
	return ensureToken(s, cluster)
}

func (r *Server) writeKubeconfigs() error {
	f := r.settings.Folders
	local := "https://127.0.0.1:" + strconv.Itoa(r.settings.APIPort)
	for _, one := range []struct{ path, base string }{
		{f.Credentials("controller.kubeconfig"), f.TLS("client-controller")},
		{f.Credentials("scheduler.kubeconfig"), f.TLS("client-scheduler")},
		{f.Credentials("supervisor.kubeconfig"), f.TLS("client-supervisor")},
		{f.Agent("kubelet.kubeconfig"), f.Agent("client-kubelet")},
		{f.Agent("kubeproxy.kubeconfig"), f.TLS("client-kube-proxy")},
	} {
		if err := pki.WriteKubeconfig(one.path, local, f.TLS("server-ca.crt"), one.base); err != nil {
			return err
		}
	}
	return writeUserKubeconfig(r.settings)
}

func (r *Server) startContainerd(ctx context.Context) (*agent.Containerd, error) {
	programs, err := payload.Beside()
	if err != nil {
		return nil, err
	}
	if err := os.Setenv("PATH", programs.Bin+":"+os.Getenv("PATH")); err != nil {
		return nil, err
	}
	containerd, err := agent.NewContainerd(r.settings, programs.Bin, programs.CNI)
	if err != nil {
		return nil, fmt.Errorf("containerd configuration: %w", err)
	}
	containerd.Start(ctx)
	client, err := containerd.Connect(ctx)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	if err := agent.ImportImages(ctx, r.settings, client); err != nil {
		return nil, fmt.Errorf("import images: %w", err)
	}
	go func() { r.failed <- <-containerd.Ended() }()
	return containerd, nil
}

// startControlPlane returns the supervisor's client configuration as soon as
// the API server answers.
func (r *Server) startControlPlane(ctx context.Context, secret string) (*rest.Config, error) {
	s := r.settings
	listener, err := supervisor.Listen(ctx, s, secret)
	if err != nil {
		return nil, err
	}
	go func() { r.failed <- fmt.Errorf("listener on port %d ended: %w", s.Port, <-listener.Ended()) }()
	if !s.ClusterInit {
		logrus.Info("refk3s: keeping the cluster's data in etcd, where K3s without cluster-init uses SQLite")
	}
	storage := make(chan error, 1)
	go func() { storage <- r.startEtcd(ctx) }()
	api, err := controlplane.NewAPIServer(ctx, s, func() error { return <-storage })
	if err != nil {
		return nil, fmt.Errorf("kube-apiserver exited: %w", err)
	}
	r.part("kube-apiserver", func() error { return api.Run(ctx) })
	listener.SetAPI(api.Handler)
	r.part("kube-controller-manager", func() error { return r.afterReady(ctx, controlplane.RunControllerManager) })
	if !s.Flags.Bool("disable-scheduler") {
		r.part("kube-scheduler", func() error { return r.afterReady(ctx, controlplane.RunScheduler) })
	}
	admin, err := clientcmd.BuildConfigFromFlags("", s.Folders.Credentials("supervisor.kubeconfig"))
	if err != nil {
		return nil, err
	}
	return admin, r.awaitAPI(ctx, "/livez/ping")
}

func (r *Server) startEtcd(ctx context.Context) error {
	ended, err := etcd.Start(ctx, r.settings.Folders.Server("db"), r.settings.Folders.TLS("etcd"), r.settings.NodeName)
	if err != nil {
		return err
	}
	go func() { r.failed <- fmt.Errorf("etcd exited: %w", <-ended) }()
	return nil
}

func (r *Server) afterReady(ctx context.Context, run func(context.Context, *settings.Server) error) error {
	if err := r.awaitAPI(ctx, "/readyz"); err != nil {
		return err
	}
	return run(ctx, r.settings)
}

// awaitAPI waits until the path answers "ok".
func (r *Server) awaitAPI(ctx context.Context, path string) error {
	config, err := clientcmd.BuildConfigFromFlags("", r.settings.Folders.Credentials("supervisor.kubeconfig"))
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, apiLimit)
	defer cancel()
	for {
		_, err := client.Discovery().RESTClient().Get().AbsPath(path).DoRaw(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the API server's %s did not answer ok: %w", path, err)
		case <-time.After(300 * time.Millisecond):
		}
	}
}

// afterAPI says that the server is up and then keeps the manifests applied.
func (r *Server) afterAPI(ctx context.Context, client kubernetes.Interface, admin *rest.Config) error {
	if err := r.awaitAPI(ctx, "/readyz"); err != nil {
		return err
	}
	logrus.Info("Kube API server is now running")
	if err := notifyReady(r.notifySocket); err != nil {
		return err
	}
	logrus.Info("k3s is up and running")
	if err := r.describeDNS(ctx, client); err != nil {
		logrus.Errorf("ConfigMap kube-system/cluster-dns: %v", err)
	}
	controller, err := deploy.New(r.settings, admin)
	if err != nil {
		return fmt.Errorf("manifests: %w", err)
	}
	go controller.Run(ctx)
	debug.SetGCPercent(100)
	return nil
}
