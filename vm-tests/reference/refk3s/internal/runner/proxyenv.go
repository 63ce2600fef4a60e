package runner

import (
	"os"
	"strings"

	"emts.dev/refk3s/internal/settings"
)

// exemptCluster adds the cluster's names and ranges to NO_PROXY, for the parts
// of the process and for containerd.
func exemptCluster(s *settings.Server) error {
	n := &s.Network
	var exempt []string
	for _, name := range []string{"NO_PROXY", "no_proxy"} {
		exempt = append(exempt, strings.FieldsFunc(os.Getenv(name), func(r rune) bool { return r == ',' })...)
	}
	exempt = append(exempt, ".svc", "."+n.Domain, settings.JoinRanges(n.ClusterCIDRs), settings.JoinRanges(n.ServiceCIDRs))
	if err := os.Unsetenv("no_proxy"); err != nil {
		return err
	}
	return os.Setenv("NO_PROXY", strings.Join(exempt, ","))
}
