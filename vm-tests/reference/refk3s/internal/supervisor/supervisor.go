// Package supervisor is the listener that users reach: it answers K3s's own
// paths itself and hands everything else to the API server in this process.
package supervisor

import (
	"context"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"emts.dev/refk3s/internal/args"
	"emts.dev/refk3s/internal/settings"
	"github.com/sirupsen/logrus"
	cliflag "k8s.io/component-base/cli/flag"
)

// headerLimit is how long a client may take to send a request's header.
const headerLimit = 32 * time.Second

// Supervisor serves on the server's public port.
type Supervisor struct {
	settings *settings.Server
	secret   string
	api      atomic.Pointer[http.Handler]
	ended    chan error
}

// Listen starts to serve. Until SetAPI is called the API's paths answer 503.
func Listen(ctx context.Context, s *settings.Server, secret string) (*Supervisor, error) {
	config, err := tlsConfig(s)
	if err != nil {
		return nil, err
	}
	address := net.JoinHostPort(s.BindAddress, strconv.Itoa(s.Port))
	var listening net.ListenConfig
	listener, err := listening.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s for users of the API: %w", address, err)
	}
	supervisor := &Supervisor{settings: s, secret: secret, ended: make(chan error, 1)}
	server := &http.Server{
		Handler: supervisor, TLSConfig: config, ReadHeaderTimeout: headerLimit,
		ErrorLog: log.New(logrus.StandardLogger().WriterLevel(logrus.DebugLevel), "", 0),
	}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	go func() { supervisor.ended <- server.ServeTLS(listener, "", "") }()
	return supervisor, nil
}

// Ended reports the end of serving, once.
func (s *Supervisor) Ended() <-chan error { return s.ended }

// SetAPI hands the API's paths to the API server.
func (s *Supervisor) SetAPI(handler http.Handler) { s.api.Store(&handler) }

// ServeHTTP answers K3s's own paths and passes on the rest.
func (s *Supervisor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/ping":
		fmt.Fprint(w, "pong")
		return
	case "/cacerts":
		s.serveFile(w, s.settings.Folders.TLS("server-ca.crt"))
		return
	case "/v1-k3s/readyz":
		if !s.authenticated(r) {
			http.Error(w, "not authorized", http.StatusUnauthorized)
			return
		}
		if s.api.Load() == nil {
			http.Error(w, "apiserver not ready", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, "ok")
		return
	}
	if api := s.api.Load(); api != nil {
		(*api).ServeHTTP(w, r)
		return
	}
	http.Error(w, "apiserver not ready", http.StatusServiceUnavailable)
}

func (s *Supervisor) serveFile(w http.ResponseWriter, path string) {
	content, err := os.ReadFile(path)
	if err != nil {
		http.Error(w, "unreadable", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/plain")
	_, _ = w.Write(content)
}

// authenticated compares the request's password with the cluster's secret.
func (s *Supervisor) authenticated(r *http.Request) bool {
	_, password, ok := r.BasicAuth()
	return ok && subtle.ConstantTimeCompare([]byte(password), []byte(s.secret)) == 1
}

func tlsConfig(s *settings.Server) (*tls.Config, error) {
	certificate, err := tls.LoadX509KeyPair(s.Folders.TLS("serving-kube-apiserver.crt"), s.Folders.TLS("serving-kube-apiserver.key"))
	if err != nil {
		return nil, err
	}
	authority, err := os.ReadFile(s.Folders.TLS("client-ca.crt"))
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority)
	config := &tls.Config{
		Certificates: []tls.Certificate{certificate},
		ClientCAs:    pool,
		ClientAuth:   tls.RequestClientCert,
		NextProtos:   []string{"h2", "http/1.1"},
	}
	return config, applyUserTLS(config, s.Flags.List("kube-apiserver-arg"))
}

// applyUserTLS takes the API server's TLS arguments for this listener too, the
// first of each, as K3s does.
func applyUserTLS(config *tls.Config, elements []string) (err error) {
	if config.MinVersion, err = cliflag.TLSVersion(args.First(elements, "tls-min-version")); err != nil {
		return fmt.Errorf("invalid tls-min-version: %w", err)
	}
	suites := strings.Split(args.First(elements, "tls-cipher-suites"), ",")
	for index, suite := range suites {
		suites[index] = strings.TrimSpace(suite)
	}
	if suites[0] == "" {
		suites = strings.Split(settings.DefaultCipherSuites, ",")
	}
	if config.CipherSuites, err = cliflag.TLSCipherSuites(suites); err != nil {
		return fmt.Errorf("invalid tls-cipher-suites: %w", err)
	}
	return nil
}
