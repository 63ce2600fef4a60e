// Package storage decides where the cluster's data is.
package storage

import (
	"fmt"
	"os"

	"emts.dev/refk3s/internal/settings"
	"github.com/sirupsen/logrus"
)

// Directory returns where the cluster's data is. Data from a start
// without cluster-init moves over at the first start with it, as K3s moves its
// data from SQLite to etcd.
func Directory(s *settings.Server) (string, error) {
	etcd, other := s.Folders.Etcd(), s.Folders.InsteadOfSQLite()
	if !s.Etcd {
		logrus.Info("refk3s: keeping the cluster's data in etcd, where K3s without cluster-init uses SQLite")
		return other, nil
	}
	if _, err := os.Stat(etcd); err == nil {
		return etcd, nil
	}
	if err := os.Rename(other, etcd); err == nil {
		logrus.Info("Migrating content from sqlite to etcd")
	} else if !os.IsNotExist(err) {
		return "", fmt.Errorf("migrate the cluster's data: %w", err)
	}
	return etcd, nil
}
