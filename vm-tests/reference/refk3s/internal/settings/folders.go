package settings

import "path/filepath"

// Folders names the places under K3s's data folder.
type Folders struct {
	// Data is the data folder, /var/lib/rancher/k3s by default.
	Data string
}

// ContainerdSocket is where containerd listens; it does not depend on the data folder.
const ContainerdSocket = "/run/k3s/containerd/containerd.sock"

// ContainerdState is containerd's volatile folder.
const ContainerdState = "/run/k3s/containerd"

// Server returns a path under server/.
func (f Folders) Server(parts ...string) string {
	return filepath.Join(append([]string{f.Data, "server"}, parts...)...)
}

// TLS returns a path under server/tls/.
func (f Folders) TLS(parts ...string) string {
	return f.Server(append([]string{"tls"}, parts...)...)
}

// Etcd is where the data is when K3s has it in etcd.
func (f Folders) Etcd() string { return f.Server("db", "etcd") }

// InsteadOfSQLite is where the double's data is when K3s has it in SQLite.
func (f Folders) InsteadOfSQLite() string { return f.Server("db", "instead-of-sqlite") }

// Credentials returns a path under server/cred/.
func (f Folders) Credentials(parts ...string) string {
	return f.Server(append([]string{"cred"}, parts...)...)
}

// Agent returns a path under agent/.
func (f Folders) Agent(parts ...string) string {
	return filepath.Join(append([]string{f.Data, "agent"}, parts...)...)
}
