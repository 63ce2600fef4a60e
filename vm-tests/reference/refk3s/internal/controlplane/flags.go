// Package controlplane runs the Kubernetes API server, controller manager and
// scheduler in this process, from the code of Kubernetes itself.
package controlplane

import (
	"fmt"
	"sort"

	"github.com/spf13/pflag"
	cliflag "k8s.io/component-base/cli/flag"
	"k8s.io/component-base/cli/globalflag"
	"k8s.io/component-base/logs"
	"k8s.io/component-base/version/verflag"
)

// parse reads a component's arguments with all its flags, as the component's
// own command would. further adds flags that only the double knows.
func parse(component string, sets cliflag.NamedFlagSets, arguments []string, further func(*pflag.FlagSet)) error {
	verflag.AddFlags(sets.FlagSet("global"))
	globalflag.AddGlobalFlags(sets.FlagSet("global"), component, logs.SkipLoggingConfigurationFlags())
	flags := pflag.NewFlagSet(component, pflag.ContinueOnError)
	flags.SetNormalizeFunc(cliflag.WordSepNormalizeFunc)
	flags.Usage = func() {}
	if further != nil {
		further(flags)
	}
	names := make([]string, 0, len(sets.FlagSets))
	for name := range sets.FlagSets {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		flags.AddFlagSet(sets.FlagSets[name])
	}
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if rest := flags.Args(); len(rest) > 0 {
		return fmt.Errorf("%q does not take any arguments, got %q", component, rest)
	}
	return nil
}
