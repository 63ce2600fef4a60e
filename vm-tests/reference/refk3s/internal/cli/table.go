// Package cli reads what a user asks of `k3s server`: the command line, the
// config.yaml files and the environment, by K3s's rules. It decides nothing
// about what the values mean; package settings does.
package cli

import (
	_ "embed"
	"fmt"
	"strings"
)

// flagsTSV is the table of all K3s flags; its header names its source.
//
//go:embed flags.tsv
var flagsTSV string

// Kind is the type of a flag's value as K3s declares it.
type Kind string

// The kinds that occur in K3s's flag table.
const (
	KindBool     Kind = "bool"
	KindInt      Kind = "int"
	KindString   Kind = "string"
	KindSlice    Kind = "stringSlice"
	KindDuration Kind = "duration"
)

// Flag describes one flag of `k3s server`, which is one key of config.yaml.
type Flag struct {
	Name    string
	Aliases []string
	Kind    Kind
	// Env is the environment variable read when neither file nor command line sets the flag; may be empty.
	Env string
	// Default is the documented default; informative, its text is not always a value.
	Default string
}

// Table returns the flags that `k3s server` knows, in the table's order.
func Table() []Flag { return table }

var table = mustParseTable(flagsTSV)

func mustParseTable(text string) []Flag {
	var flags []Flag
	for number, line := range strings.Split(text, "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		columns := strings.Split(line, "\t")
		if len(columns) < 7 {
			panic(fmt.Sprintf("flags.tsv line %d has %d columns, 7 are needed", number+1, len(columns)))
		}
		if columns[6] == "agent" {
			continue
		}
		flag := Flag{Name: columns[0], Kind: Kind(columns[2]), Default: columns[3]}
		if columns[1] != "-" {
			flag.Aliases = strings.Split(columns[1], ",")
		}
		if columns[4] != "-" {
			flag.Env = columns[4]
		}
		flags = append(flags, flag)
	}
	return flags
}

// lookup finds a flag by its name or alias.
func lookup(name string) (Flag, bool) {
	for _, flag := range table {
		if flag.Name == name {
			return flag, true
		}
		for _, alias := range flag.Aliases {
			if alias == name {
				return flag, true
			}
		}
	}
	return Flag{}, false
}
