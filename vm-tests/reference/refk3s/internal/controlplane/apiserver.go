package controlplane

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"

	"emts.dev/refk3s/internal/args"
	"emts.dev/refk3s/internal/etcd"
	"emts.dev/refk3s/internal/settings"
	"github.com/sirupsen/logrus"
	"github.com/spf13/pflag"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/client-go/rest"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
)

// APIServerArguments are K3s's defaults with the user's kube-apiserver-arg.
func APIServerArguments(s *settings.Server) []string {
	f, user := s.Folders, s.Flags.List("kube-apiserver-arg")
	defaults := map[string]string{
		"advertise-address":                  s.AdvertiseIP.String(),
		"advertise-port":                     fmt.Sprint(s.AdvertisePort),
		"allow-privileged":                   "true",
		"api-audiences":                      issuer(s) + ",k3s",
		"bind-address":                       "127.0.0.1",
		"cert-dir":                           f.TLS("temporary-certs"),
		"client-ca-file":                     f.TLS("client-ca.crt"),
		"enable-admission-plugins":           "NodeRestriction",
		"enable-bootstrap-token-auth":        "true",
		"etcd-cafile":                        f.TLS("etcd", "server-ca.crt"),
		"etcd-certfile":                      f.TLS("etcd", "client.crt"),
		"etcd-keyfile":                       f.TLS("etcd", "client.key"),
		"etcd-servers":                       etcd.Endpoint,
		"kubelet-certificate-authority":      f.TLS("server-ca.crt"),
		"kubelet-client-certificate":         f.TLS("client-kube-apiserver.crt"),
		"kubelet-client-key":                 f.TLS("client-kube-apiserver.key"),
		"kubelet-preferred-address-types":    "InternalIP,ExternalIP,Hostname",
		"profiling":                          "false",
		"proxy-client-cert-file":             f.TLS("client-auth-proxy.crt"),
		"proxy-client-key-file":              f.TLS("client-auth-proxy.key"),
		"requestheader-allowed-names":        "system:auth-proxy",
		"requestheader-client-ca-file":       f.TLS("request-header-ca.crt"),
		"requestheader-extra-headers-prefix": "X-Remote-Extra-",
		"requestheader-group-headers":        "X-Remote-Group",
		"requestheader-username-headers":     "X-Remote-User",
		"secure-port":                        fmt.Sprint(s.APIPort),
		"service-account-issuer":             issuer(s),
		"service-account-key-file":           f.TLS("service.key"),
		"service-account-signing-key-file":   f.TLS("service.current.key"),
		"service-cluster-ip-range":           settings.JoinRanges(s.Network.ServiceCIDRs),
		"service-node-port-range":            s.Network.NodePorts.String(),
		"storage-backend":                    "etcd3",
		"tls-cert-file":                      f.TLS("serving-kube-apiserver.crt"),
		"tls-private-key-file":               f.TLS("serving-kube-apiserver.key"),
	}
	addAuthorization(defaults, user)
	if args.First(user, "tls-cipher-suites") == "" {
		user = append(slices.Clone(user), "tls-cipher-suites="+settings.DefaultCipherSuites)
	}
	if s.Flags.String("egress-selector-mode") != "disabled" {
		defaults["enable-aggregator-routing"] = "true"
	}
	s.AddVerbosity(defaults)
	return args.Merge(defaults, user)
}

// addAuthorization leaves out what the user's configuration files decide.
func addAuthorization(defaults map[string]string, user []string) {
	for _, flag := range []struct{ name, text, file string }{
		{"authorization-mode", "Node,RBAC", "authorization-config"},
		{"anonymous-auth", "false", "authentication-config"},
	} {
		if args.First(user, flag.file) == "" {
			defaults[flag.name] = flag.text
		} else {
			logrus.Warnf("Not setting kube-apiserver '%s' flag due to user-provided '%s' file.", flag.name, flag.file)
		}
	}
}

func issuer(s *settings.Server) string {
	return "https://kubernetes.default.svc." + s.Network.Domain
}

// APIServer is a prepared API server.
type APIServer struct {
	// Handler answers requests as the API server does, for the listener that users reach.
	Handler http.Handler
	run     func(context.Context) error
}

// NewAPIServer builds the API server. What needs no storage is done before
// awaitStorage is called, which returns when etcd serves.
func NewAPIServer(ctx context.Context, s *settings.Server, awaitStorage func() error) (*APIServer, error) {
	arguments := APIServerArguments(s)
	logrus.Infof("Running kube-apiserver %s", line(arguments))
	config, advertisePort, err := apiServerConfig(ctx, arguments)
	if err != nil {
		return nil, err
	}
	if err := awaitStorage(); err != nil {
		return nil, err
	}
	serving := config.KubeAPIs.ControlPlane.Generic.SecureServing
	serving.Listener = advertised{Listener: serving.Listener, port: advertisePort}
	completed, err := config.Complete()
	if err != nil {
		return nil, err
	}
	chain, err := app.CreateServerChain(completed)
	if err != nil {
		return nil, err
	}
	prepared, err := chain.PrepareRun()
	if err != nil {
		return nil, err
	}
	return &APIServer{Handler: chain.GenericAPIServer.Handler, run: prepared.Run}, nil
}

// Run serves until ctx ends.
func (a *APIServer) Run(ctx context.Context) error { return a.run(ctx) }

func apiServerConfig(ctx context.Context, arguments []string) (*app.Config, int, error) {
	rest.SetDefaultWarningHandler(rest.NoWarnings{})
	opts := options.NewServerRunOptions()
	sets := opts.Flags()
	options.AddCustomGlobalFlags(sets.FlagSet("generic"))
	var advertisePort int
	err := parse("kube-apiserver", sets, arguments, func(flags *pflag.FlagSet) {
		flags.IntVar(&advertisePort, "advertise-port", 6443, "The port under which the service `kubernetes` reaches this API server.")
	})
	if err != nil {
		return nil, 0, err
	}
	if err := opts.GenericServerRunOptions.ComponentGlobalsRegistry.Set(); err != nil {
		return nil, 0, err
	}
	completed, err := opts.Complete(ctx)
	if err != nil {
		return nil, 0, err
	}
	if errs := completed.Validate(); len(errs) != 0 {
		return nil, 0, utilerrors.NewAggregate(errs)
	}
	config, err := app.NewConfig(completed)
	return config, advertisePort, err
}

// advertised is a listener that names another port than its own. The API
// server publishes its listener's port as the endpoint of the service
// `kubernetes`; it listens on loopback only, behind the port that users reach.
type advertised struct {
	net.Listener
	port int
}

// Addr returns the listener's address with the advertised port.
func (a advertised) Addr() net.Addr {
	if address, ok := a.Listener.Addr().(*net.TCPAddr); ok {
		return &net.TCPAddr{IP: address.IP, Zone: address.Zone, Port: a.port}
	}
	return a.Listener.Addr()
}
