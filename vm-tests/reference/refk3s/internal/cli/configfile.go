package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"time"

	yaml "gopkg.in/yaml.v2"
)

// DefaultConfigFile is where `k3s server` looks for its configuration.
const DefaultConfigFile = "/etc/rancher/k3s/config.yaml"

// DefaultDataFolder holds everything that K3s keeps.
const DefaultDataFolder = "/var/lib/rancher/k3s"

// ReadConfigFiles turns a config file and its drop-ins into command-line
// arguments, in the order in which the keys are first seen. A key in a later
// file replaces the earlier value; a key written `key+` appends to it. Neither
// file nor drop-ins existing is no error.
func ReadConfigFiles(file string) ([]string, error) {
	if strings.HasPrefix(file, "http://") || strings.HasPrefix(file, "https://") {
		return nil, fmt.Errorf("refk3s does not implement a config file from a URL (%s)", file)
	}
	files, err := configFiles(file)
	if err != nil {
		return nil, err
	}
	merged := mergedKeys{values: map[string]any{}}
	for _, path := range files {
		if err := merged.read(path); err != nil {
			return nil, err
		}
	}
	return merged.arguments(), nil
}

// configFiles lists the main file, if there, and its drop-ins by name.
func configFiles(file string) ([]string, error) {
	var files []string
	if _, err := os.Stat(file); err == nil {
		files = append(files, file)
	} else if !os.IsNotExist(err) {
		return nil, fmt.Errorf("config file %s: %w", file, err)
	}
	entries, err := os.ReadDir(file + ".d")
	if err != nil && !os.IsNotExist(err) {
		return nil, fmt.Errorf("config drop-ins %s.d: %w", file, err)
	}
	var names []string
	for _, entry := range entries {
		extension := strings.ToLower(filepath.Ext(entry.Name()))
		if !entry.IsDir() && (extension == ".yaml" || extension == ".yml") {
			names = append(names, entry.Name())
		}
	}
	sort.Strings(names)
	for _, name := range names {
		files = append(files, filepath.Join(file+".d", name))
	}
	return files, nil
}

// mergedKeys holds the keys of all files read so far, in order of first sight.
type mergedKeys struct {
	order  []string
	values map[string]any
}

func (m *mergedKeys) read(path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	document := yaml.MapSlice{}
	if err := yaml.Unmarshal(content, &document); err != nil {
		return err
	}
	for _, item := range document {
		key, appends := strings.CutSuffix(scalarText(item.Key), "+")
		earlier, seen := m.values[key]
		if !seen {
			m.order = append(m.order, key)
		}
		if seen && appends {
			m.values[key] = append(asList(earlier), asList(item.Value)...)
		} else {
			m.values[key] = item.Value
		}
	}
	return nil
}

func (m *mergedKeys) arguments() []string {
	var arguments []string
	for _, key := range m.order {
		prefix := "--"
		if len(key) == 1 {
			prefix = "-"
		}
		elements, isList := m.values[key].([]any)
		if !isList {
			elements = []any{m.values[key]}
		}
		for _, element := range elements {
			arguments = append(arguments, prefix+key+"="+scalarText(element))
		}
	}
	return arguments
}

// asList is what `key+` appends to and appends: text stays as it is, anything
// else becomes text, and nothing stays nothing.
func asList(value any) []any {
	switch typed := value.(type) {
	case string:
		return []any{typed}
	case []any:
		return slices.Clone(typed)
	}
	if text := scalarText(value); text != "" {
		return []any{text}
	}
	return nil
}

// scalarText prints a YAML value as K3s passes it on: null is empty, a list
// inside a list its first element, everything else Go's own text without
// outer spaces.
func scalarText(value any) string {
	if list, isList := value.([]any); isList {
		if len(list) == 0 {
			return ""
		}
		value = list[0]
	}
	switch typed := value.(type) {
	case nil:
		return ""
	case time.Time:
		return typed.Format(time.RFC3339)
	default:
		return strings.TrimSpace(fmt.Sprint(typed))
	}
}
