// Command flags writes the table of the components' flags that the config-file
// is checked against: `go run ./cmd/flags [--check] [FILE]`.
package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// table is where the checks of the config-file read it, seen from the module.
const table = "../../../bootstrapper/src/check/arguments/flags.tsv"

const header = `# The flags of the components of Kubernetes that refk3s links, and its feature gates, in the order of the lines.
# Made by: cd vm-tests/reference/refk3s && go run ./cmd/flags
# component	flag	type	values
`

func main() {
	arguments := os.Args[1:]
	check := len(arguments) > 0 && arguments[0] == "--check"
	if check {
		arguments = arguments[1:]
	}
	path := table
	if len(arguments) > 0 {
		path = arguments[0]
	}
	if err := run(path, check); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(path string, check bool) error {
	lines, err := lines()
	if err != nil {
		return err
	}
	slices.Sort(lines)
	text := header + strings.Join(lines, "\n") + "\n"
	if !check {
		return os.WriteFile(path, []byte(text), 0o644)
	}
	there, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if string(there) != text {
		return fmt.Errorf("%s is not what the components have: run `go run ./cmd/flags`, and read the difference", path)
	}
	return nil
}
