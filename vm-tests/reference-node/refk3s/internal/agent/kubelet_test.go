package agent

import (
	"slices"
	"testing"
)

func TestConfigFilesAreTakenOutOfTheKubeletsArguments(t *testing.T) {
	configs, rest := splitKubeletConfig([]string{"max-pods=1", "--config=/a", "config-dir=/b"})
	if configs.file != "/a" || configs.folder != "/b" || !slices.Equal(rest, []string{"max-pods=1"}) {
		t.Errorf("%+v %q", configs, rest)
	}
}

func TestAnElementWithoutValueSwallowsTheNextAsInK3s(t *testing.T) {
	_, rest := splitKubeletConfig([]string{"--foo", "max-pods=250", "v=2"})
	if !slices.Equal(rest, []string{"--foo", "v=2"}) {
		t.Errorf("%q", rest)
	}
}
