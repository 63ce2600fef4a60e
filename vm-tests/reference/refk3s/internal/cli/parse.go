package cli

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

// Values are the flags of one `k3s server` call after file, command line and
// environment were put together.
type Values struct {
	set map[string]*value
	// Expanded is the argument list with the config file's keys in it, as
	// shown in the node annotation k3s.io/node-args (not yet masked).
	Expanded []string
}

// value collects one flag's occurrences and checks their text by kind.
type value struct {
	kind Kind
	text []string
	// given is true when file, command line or environment set the flag.
	given bool
}

// IsBoolFlag lets the flag package accept `--flag` for `--flag=true`.
func (v *value) IsBoolFlag() bool { return v.kind == KindBool }

// String satisfies flag.Value.
func (v *value) String() string { return strings.Join(v.text, ",") }

// Set checks and keeps one occurrence; the last one wins except for lists.
func (v *value) Set(text string) error {
	switch v.kind {
	case KindBool:
		if _, err := strconv.ParseBool(text); err != nil {
			return errParse
		}
	case KindInt:
		if _, err := strconv.ParseInt(text, 0, 64); err != nil {
			return errParse
		}
	case KindDuration:
		if _, err := time.ParseDuration(text); err != nil {
			return errParse
		}
	}
	v.given = true
	if v.kind == KindSlice {
		v.text = append(v.text, text)
	} else {
		v.text = []string{text}
	}
	return nil
}

// ErrHelp says that the user asked for help.
var ErrHelp = flag.ErrHelp

// UsageError is a fault of the flags: the usage is printed with it.
type UsageError struct{ Err error }

func (u *UsageError) Error() string { return u.Err.Error() }

// Unwrap returns the fault.
func (u *UsageError) Unwrap() error { return u.Err }

// errParse has the wording of Go's own flag package.
var errParse = fmt.Errorf("parse error")

// Parse reads the arguments that follow `server`, with the config file's keys
// put before them. warn receives one line for each unknown key of the file.
func Parse(arguments []string, warn func(string)) (*Values, error) {
	file := configFileOf(arguments)
	fromFile, err := ReadConfigFiles(file)
	if err != nil {
		return nil, err
	}
	expanded := append(append([]string{"server"}, fromFile...), arguments...)
	known := withoutUnknown(fromFile, warn)

	values := &Values{set: map[string]*value{}, Expanded: expanded}
	flags := flag.NewFlagSet("server", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	for _, entry := range table {
		target := &value{kind: entry.Kind}
		values.set[entry.Name] = target
		for _, name := range append([]string{entry.Name}, entry.Aliases...) {
			flags.Var(target, name, "")
		}
	}
	if err := flags.Parse(append(known, arguments...)); errors.Is(err, ErrHelp) {
		return nil, err
	} else if err != nil {
		return nil, &UsageError{err}
	}
	// As in K3s, what follows the first argument that is no flag counts for nothing.
	if err := values.readEnvironment(); err != nil {
		return nil, &UsageError{err}
	}
	return values, nil
}

// configFileOf finds the config file's name before the flags are parsed.
func configFileOf(arguments []string) string {
	if path := os.Getenv("K3S_CONFIG_FILE"); path != "" {
		return path
	}
	for index, argument := range arguments {
		name, text, hasText := strings.Cut(strings.TrimLeft(argument, "-"), "=")
		if !strings.HasPrefix(argument, "-") || (name != "config" && name != "c") {
			continue
		}
		if hasText {
			return text
		}
		if index+1 < len(arguments) {
			return arguments[index+1]
		}
	}
	return DefaultConfigFile
}

func withoutUnknown(arguments []string, warn func(string)) []string {
	var known []string
	for _, argument := range arguments {
		name, _, _ := strings.Cut(strings.TrimLeft(argument, "-"), "=")
		if _, ok := lookup(name); ok {
			known = append(known, argument)
			continue
		}
		shown, _, _ := strings.Cut(argument, "=")
		// The line feed is K3s' own; logrus prints it as \n.
		warn(fmt.Sprintf("Unknown flag %s found in config.yaml, skipping\n", shown))
	}
	return known
}

func (v *Values) readEnvironment() error {
	for _, entry := range table {
		target := v.set[entry.Name]
		if entry.Env == "" || target.given || entry.Name == "config" {
			continue
		}
		text, ok := os.LookupEnv(entry.Env)
		if !ok || text == "" {
			continue
		}
		if err := target.Set(text); err != nil {
			return fmt.Errorf("could not parse %q from environment variable %s for flag %s: %w", text, entry.Env, entry.Name, err)
		}
	}
	return nil
}

// Given says whether file, command line or environment set the flag.
func (v *Values) Given(name string) bool { return v.must(name).given }

// String returns a flag's text, empty when not set.
func (v *Values) String(name string) string {
	if text := v.must(name).text; len(text) > 0 {
		return text[len(text)-1]
	}
	return ""
}

// Bool returns a flag's truth, false when not set.
func (v *Values) Bool(name string) bool {
	truth, err := strconv.ParseBool(v.String(name))
	return err == nil && truth
}

// Int returns a flag's number, or fallback when not set.
func (v *Values) Int(name string, fallback int) int {
	number, err := strconv.ParseInt(v.String(name), 0, 64)
	if err != nil {
		return fallback
	}
	return int(number)
}

// List returns all occurrences of a flag, commas untouched.
func (v *Values) List(name string) []string { return v.must(name).text }

// SplitList returns all occurrences of a flag, each split at its commas,
// without outer spaces and empty parts.
func (v *Values) SplitList(name string) []string {
	var parts []string
	for _, text := range v.List(name) {
		for _, part := range strings.Split(text, ",") {
			if part = strings.TrimSpace(part); part != "" {
				parts = append(parts, part)
			}
		}
	}
	return parts
}

func (v *Values) must(name string) *value {
	target, ok := v.set[name]
	if !ok {
		panic("flags.tsv has no flag " + name)
	}
	return target
}
