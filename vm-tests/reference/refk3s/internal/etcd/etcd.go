// Package etcd runs the cluster's etcd inside this process.
package etcd

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
)

// Endpoint is where the API server reaches etcd.
const Endpoint = "https://127.0.0.1:2379"

// slowRequest is from how long on etcd logs a request as slow.
const slowRequest = 2 * time.Second

const peer = "https://127.0.0.1:2380"

// Start runs a one-member etcd with its data in directory and its
// certificates in tls, and returns when it serves. Its end is reported on the
// returned channel.
func Start(ctx context.Context, directory, tls, name string) (<-chan error, error) {
	config, err := configuration(directory, tls, name)
	if err != nil {
		return nil, err
	}
	server, err := embed.StartEtcd(config)
	if err != nil {
		return nil, fmt.Errorf("start etcd in %s: %w", config.Dir, err)
	}
	select {
	case <-server.Server.ReadyNotify():
	case err := <-server.Err():
		return nil, fmt.Errorf("etcd ended before it served: %w", err)
	case <-ctx.Done():
		server.Close()
		return nil, context.Cause(ctx)
	}
	go func() {
		<-ctx.Done()
		server.Close()
	}()
	return server.Err(), nil
}

func configuration(directory, tls, name string) (*embed.Config, error) {
	config := embed.NewConfig()
	config.Name = name
	config.Dir = directory
	if err := os.MkdirAll(config.Dir, 0o700); err != nil {
		return nil, err
	}
	config.LogLevel = "warn"
	config.LogOutputs = []string{"stderr"}
	config.ExperimentalWarningApplyDuration = slowRequest
	clientURL, peerURL := mustURL(Endpoint), mustURL(peer)
	config.ListenClientUrls, config.AdvertiseClientUrls = []url.URL{clientURL}, []url.URL{clientURL}
	config.ListenPeerUrls, config.AdvertisePeerUrls = []url.URL{peerURL}, []url.URL{peerURL}
	config.InitialCluster = config.InitialClusterFromName(name)
	config.ClientTLSInfo.CertFile = filepath.Join(tls, "server-client.crt")
	config.ClientTLSInfo.KeyFile = filepath.Join(tls, "server-client.key")
	config.ClientTLSInfo.TrustedCAFile = filepath.Join(tls, "server-ca.crt")
	config.ClientTLSInfo.ClientCertAuth = true
	config.PeerTLSInfo.CertFile = filepath.Join(tls, "peer-server-client.crt")
	config.PeerTLSInfo.KeyFile = filepath.Join(tls, "peer-server-client.key")
	config.PeerTLSInfo.TrustedCAFile = filepath.Join(tls, "peer-ca.crt")
	config.PeerTLSInfo.ClientCertAuth = true
	return config, nil
}

func mustURL(text string) url.URL {
	parsed, err := url.Parse(text)
	if err != nil {
		panic(err)
	}
	return *parsed
}
