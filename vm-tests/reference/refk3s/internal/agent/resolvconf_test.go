package agent

import "testing"

func TestAResolverFileIsUsableWhenPodsReachAllItsServers(t *testing.T) {
	for content, usable := range map[string]bool{
		"nameserver 192.0.2.1\n":                         true,
		"search x\nnameserver\t2001:db8::1 # comment\n":  true,
		"nameserver 169.254.169.254\n":                   true,
		"nameserver 127.0.0.53\n":                        false,
		"nameserver 192.0.2.1\nnameserver 127.0.0.53\n":  false,
		"nameserver fe80::1\n":                           false,
		"nameserver 224.0.0.1\n":                         false,
		"nameserver dns.example\n":                       false,
		"nameserver fe80::1%eth0\n":                      false,
		"# nameserver 192.0.2.1\n  nameserver 192.0.2.1": false,
		"": false,
	} {
		if namesReachableServers(content) != usable {
			t.Errorf("%q: usable is not %v", content, usable)
		}
	}
}
