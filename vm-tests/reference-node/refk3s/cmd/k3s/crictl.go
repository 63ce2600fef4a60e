package main

import "fmt"

// crictlCommand refuses: the double has no crictl yet.
func crictlCommand(arguments []string) int {
	return fatal(fmt.Errorf("refk3s does not implement the sub-command crictl; `k3s ctr` and `k3s kubectl` are there"))
}
