// Package args puts together the command line of one Kubernetes component from
// K3s's defaults and a user's `*-arg` elements, by K3s's rules.
package args

import (
	"errors"
	"sort"
	"strings"
)

// Merge returns the sorted flags of a component.
//
// An element loses one leading "--" and is split at its first "="; without one
// its value is "true". A plain key replaces the default, `key+=v` puts v after
// it and `key-=v` before it; what was replaced or used does not come again.
// Repeats stay, in order. An element without a key becomes "--=true", which no
// component accepts.
func Merge(defaults map[string]string, elements []string) []string {
	merged := map[string][]string{}
	for _, element := range elements {
		key, text := split(element)
		base := strings.TrimRight(key, "-+")
		earlier, seen := merged[base]
		if unused, ok := defaults[base]; ok && !seen && base != key {
			earlier = []string{unused}
		}
		if strings.HasSuffix(key, "-") {
			merged[base] = append([]string{text}, earlier...)
		} else {
			merged[base] = append(earlier, text)
		}
	}
	for key, text := range defaults {
		if _, seen := merged[key]; !seen {
			merged[key] = []string{text}
		}
	}
	return render(merged)
}

func split(element string) (key, text string) {
	key, text, hasText := strings.Cut(strings.TrimPrefix(element, "--"), "=")
	if !hasText {
		text = "true"
	}
	return key, text
}

func render(merged map[string][]string) []string {
	keys := make([]string, 0, len(merged))
	for key := range merged {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	var flags []string
	for _, key := range keys {
		for _, text := range merged[key] {
			flags = append(flags, "--"+strings.TrimPrefix(key, "--")+"="+text)
		}
	}
	return flags
}

// First returns the text of the first element with the given key, with or
// without "--" in front, as K3s looks up what it needs itself.
func First(elements []string, key string) string {
	text, _ := find(elements, key)
	return text
}

// CheckFirst is the panic with which K3s ends when the element that it looks
// up has no "=".
func CheckFirst(elements []string, key string) error {
	if _, ok := find(elements, key); !ok {
		return errors.New("server panicked: runtime error: index out of range [1] with length 1")
	}
	return nil
}

func find(elements []string, key string) (text string, ok bool) {
	for _, element := range elements {
		if name, text, hasText := strings.Cut(strings.TrimPrefix(element, "--"), "="); name == key {
			return text, hasText
		}
	}
	return "", true
}

// Masked returns arguments fit for logs and annotations: the values of flags
// that carry secrets are replaced.
func Masked(arguments []string) []string {
	masked := make([]string, 0, len(arguments))
	hideNext := false
	for _, argument := range arguments {
		if hideNext {
			masked, hideNext = append(masked, mask), false
			continue
		}
		name, _, hasText := strings.Cut(argument, "=")
		if !secret[strings.TrimLeft(name, "-")] || !strings.HasPrefix(argument, "-") {
			masked = append(masked, argument)
			continue
		}
		if hasText {
			masked = append(masked, name+"="+mask)
		} else {
			masked, hideNext = append(masked, name), true
		}
	}
	return masked
}

// Split returns arguments with `--name=text` as two elements, the form of the
// annotation k3s.io/node-args.
func Split(arguments []string) []string {
	var parts []string
	for _, argument := range arguments {
		name, text, hasText := strings.Cut(argument, "=")
		if hasText && strings.HasPrefix(argument, "-") {
			parts = append(parts, name, text)
		} else {
			parts = append(parts, argument)
		}
	}
	return parts
}

const mask = "********"

var secret = map[string]bool{
	"token": true, "t": true, "agent-token": true, "datastore-endpoint": true,
	"etcd-s3-access-key": true, "etcd-s3-secret-key": true, "etcd-s3-session-token": true,
	"vpn-auth": true,
}
