package agent

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"

	"emts.dev/refk3s/internal/settings"
)

// WriteNetwork writes the configuration of the bridge network for the node's
// pod ranges. Without it the node does not become Ready.
func WriteNetwork(s *settings.Server, podCIDRs []string) error {
	var ranges [][]map[string]string
	routes := []map[string]string{}
	for _, text := range podCIDRs {
		address, _, err := net.ParseCIDR(text)
		if err != nil {
			return err
		}
		ranges = append(ranges, []map[string]string{{"subnet": text}})
		if address.To4() != nil {
			routes = append(routes, map[string]string{"dst": "0.0.0.0/0"})
		} else {
			routes = append(routes, map[string]string{"dst": "::/0"})
		}
	}
	list := map[string]any{
		"cniVersion": "1.0.0",
		"name":       "cbr0",
		"plugins": []map[string]any{
			{
				"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
				"ipam": map[string]any{"type": "host-local", "ranges": ranges, "routes": routes},
			},
			{"type": "portmap", "capabilities": map[string]bool{"portMappings": true}},
		},
	}
	text, err := json.MarshalIndent(list, "", "  ")
	if err != nil {
		return err
	}
	folder := s.Folders.Agent("etc", "cni", "net.d")
	temporary := filepath.Join(folder, ".10-refk3s.conflist.new")
	if err := os.WriteFile(temporary, append(text, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, filepath.Join(folder, "10-refk3s.conflist"))
}
