// Package runner starts the parts of `k3s server` in their order and ends the
// process when one of them ends.
package runner

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"emts.dev/refk3s/internal/agent"
	"emts.dev/refk3s/internal/args"
	"emts.dev/refk3s/internal/controlplane"
	"emts.dev/refk3s/internal/deploy"
	"emts.dev/refk3s/internal/etcd"
	"emts.dev/refk3s/internal/images"
	"emts.dev/refk3s/internal/leader"
	"emts.dev/refk3s/internal/node"
	"emts.dev/refk3s/internal/payload"
	"emts.dev/refk3s/internal/pki"
	"emts.dev/refk3s/internal/settings"
	"emts.dev/refk3s/internal/shutdown"
	"emts.dev/refk3s/internal/storage"
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
	// requests receives the first end of a part.
	requests chan *shutdown.Request
	// notifySocket is where systemd waits for the server to be ready; may be empty.
	notifySocket string
	up           atomic.Bool
	keeper       *node.Keeper
}

// Run runs until ctx ends, which is no error, or the start fails. The end of a
// part is a *shutdown.Request.
func Run(ctx context.Context, s *settings.Server) error {
	setLogger()
	debug.SetGCPercent(startGCPercent)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	server := &Server{settings: s, requests: make(chan *shutdown.Request, 16), notifySocket: takeNotifySocket()}
	started := make(chan error, 1)
	go func() { started <- server.start(ctx) }()
	for {
		select {
		case err := <-started:
			if err != nil && ctx.Err() == nil {
				return err
			}
			started = nil
		case request := <-server.requests:
			if ctx.Err() != nil {
				return nil
			}
			request.WasUp = server.up.Load()
			return request
		case <-ctx.Done():
			return nil
		}
	}
}

// part runs a component in the background; its end ends the process.
func (r *Server) part(name string, run func() error) {
	go func() { r.requests <- shutdown.Of(name+" exited", run()) }()
}

// elected runs a component that may hold a lease.
func (r *Server) elected(ctx context.Context, name string, run func(context.Context, *settings.Server) error) {
	r.part(name, func() error {
		if err := r.awaitAPI(ctx, "/readyz"); err != nil {
			return err
		}
		return run(delayed(ctx, electedDelay), r.settings)
	})
}

func (r *Server) start(ctx context.Context) error {
	s := r.settings
	secret, err := r.prepare()
	if err != nil {
		return fmt.Errorf("preparing server: %w", err)
	}
	listener, err := supervisor.Listen(ctx, s, secret)
	if err != nil {
		return fmt.Errorf("preparing server: failed to start supervisor listener: %w", err)
	}
	go func() { r.requests <- shutdown.Of("server stopped", <-listener.Ended()) }()
	if err := agent.CheckProxyArguments(s); err != nil {
		return err
	}
	admin, err := clientcmd.BuildConfigFromFlags("", s.Folders.Credentials("supervisor.kubeconfig"))
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(admin)
	if err != nil {
		return err
	}
	r.keeper = node.NewKeeper(s, client)
	// The runtime does not need the API: it starts, and loads the images, beside the control plane.
	containerd := make(chan *agent.Containerd, 1)
	go r.startContainerd(ctx, containerd)
	if err := r.startControlPlane(ctx, listener); err != nil {
		return err
	}
	select {
	case started := <-containerd:
		r.startNode(ctx, started)
	case <-ctx.Done():
		return ctx.Err()
	}
	return r.afterAPI(ctx, client, admin)
}

// startNode starts what needs the API server and containerd.
func (r *Server) startNode(ctx context.Context, containerd *agent.Containerd) {
	s := r.settings
	if run, err := agent.NewKubelet(s, containerd); err != nil {
		r.requests <- shutdown.Of("failed to start kubelet", err)
	} else {
		r.part("kubelet", func() error { return run(ctx) })
	}
	if !s.Flags.Bool("disable-kube-proxy") {
		r.part("kube-proxy", func() error { return agent.RunProxy(ctx, s) })
	}
	go r.keeper.Run(ctx)
	if s.CloudController {
		r.elected(ctx, "cloud-controller-manager", r.runCloudController)
	}
}

func (r *Server) runCloudController(ctx context.Context, s *settings.Server) error {
	user := append(slices.Clone(s.Flags.List("kube-cloud-controller-arg")), s.Flags.List("kube-cloud-controller-manager-arg")...)
	times, err := leader.ParseTimes("cloud-controller-manager", args.Merge(nil, user))
	if err != nil {
		return err
	}
	if !s.Etcd || !times.LeaderElect {
		r.keeper.RunCloud(ctx)
		return nil
	}
	client, err := r.client()
	if err != nil {
		return err
	}
	return leader.Run(ctx, client, "k3s-cloud-controller-manager", times, r.keeper.RunCloud)
}

// prepare makes directories, certificates, kubeconfigs and the token.
func (r *Server) prepare() (secret string, err error) {
	s := r.settings
	if err := exemptCluster(s); err != nil {
		return "", err
	}
	for _, directory := range []string{s.Folders.Server(), s.Folders.Credentials(), s.Folders.Server("db")} {
		if err := os.MkdirAll(directory, 0o700); err != nil {
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

func (r *Server) startContainerd(ctx context.Context, started chan<- *agent.Containerd) {
	containerd, err := r.runContainerd(ctx)
	if err != nil {
		r.requests <- shutdown.Of("failed to start container runtime", err)
		return
	}
	started <- containerd
}

// runContainerd returns when containerd answers and has the preloaded images.
func (r *Server) runContainerd(ctx context.Context) (*agent.Containerd, error) {
	programs, err := payload.Beside()
	if err != nil {
		return nil, err
	}
	if err := os.Setenv("PATH", programs.Bin+":"+os.Getenv("PATH")); err != nil {
		return nil, err
	}
	containerd, err := agent.NewContainerd(r.settings, programs.Bin, programs.CNI)
	if err != nil {
		return nil, err
	}
	containerd.Start(ctx)
	go func() {
		if err := <-containerd.Ended(); err != nil {
			r.requests <- &shutdown.Request{Reason: err}
		} else {
			r.requests <- &shutdown.Request{}
		}
	}()
	client, err := containerd.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return containerd, images.ImportAndWatch(ctx, r.settings, client)
}

// startControlPlane returns as soon as the API server answers.
func (r *Server) startControlPlane(ctx context.Context, listener *supervisor.Supervisor) error {
	stored := make(chan error, 1)
	go func() { stored <- r.startEtcd(ctx) }()
	api, err := controlplane.NewAPIServer(ctx, r.settings, func() error { return <-stored })
	if err != nil {
		return shutdown.Of("apiserver exited", err)
	}
	r.part("apiserver", func() error { return api.Run(ctx) })
	listener.SetAPI(api.Handler)
	r.elected(ctx, "controller-manager", controlplane.RunControllerManager)
	if !r.settings.Flags.Bool("disable-scheduler") {
		r.elected(ctx, "scheduler", r.runScheduler)
	}
	if err := r.awaitAPI(ctx, "/livez/ping"); err != nil {
		return shutdown.Of("failed to wait for API server to become ready", err)
	}
	return nil
}

// runScheduler waits for a node that takes pods when the cloud controller has
// to initialize it first.
func (r *Server) runScheduler(ctx context.Context, s *settings.Server) error {
	if s.CloudController {
		logrus.Info("Waiting for untainted node")
		select {
		case <-r.keeper.Usable():
		case <-ctx.Done():
			return nil
		}
	}
	return controlplane.RunScheduler(ctx, s)
}

func (r *Server) startEtcd(ctx context.Context) error {
	directory, err := storage.Directory(r.settings)
	if err != nil {
		return err
	}
	ended, err := etcd.Start(ctx, directory, r.settings.Folders.TLS("etcd"), r.settings.NodeName)
	if err != nil {
		return err
	}
	go func() { r.requests <- shutdown.Of("etcd exited", <-ended) }()
	return nil
}

func (r *Server) client() (kubernetes.Interface, error) {
	config, err := clientcmd.BuildConfigFromFlags("", r.settings.Folders.Credentials("supervisor.kubeconfig"))
	if err != nil {
		return nil, err
	}
	return kubernetes.NewForConfig(config)
}

// awaitAPI waits until the path answers "ok".
func (r *Server) awaitAPI(ctx context.Context, path string) error {
	client, err := r.client()
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
	logrus.Info("ETCD server is now running")
	logrus.Info("Kube API server is now running")
	if err := notifyReady(r.notifySocket); err != nil {
		return err
	}
	logrus.Info("k3s is up and running")
	r.up.Store(true)
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
