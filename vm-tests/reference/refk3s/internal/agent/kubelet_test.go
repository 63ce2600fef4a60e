package agent

import (
	"slices"
	"testing"
)

func TestConfigFilesAreTakenOutOfTheKubeletsArguments(t *testing.T) {
	configs, rest, err := splitKubeletConfig([]string{"max-pods=1", "--config=/a", "config-dir=/b"})
	if err != nil || configs.file != "/a" || configs.directory != "/b" || !slices.Equal(rest, []string{"max-pods=1"}) {
		t.Errorf("%+v %q", configs, rest)
	}
}

func TestAnElementWithoutValueSwallowsTheNextAsInK3s(t *testing.T) {
	_, rest, _ := splitKubeletConfig([]string{"--foo", "max-pods=250", "v=2"})
	if !slices.Equal(rest, []string{"--foo", "v=2"}) {
		t.Errorf("%q", rest)
	}
}

func TestAConfigFileWithoutANameIsAnError(t *testing.T) {
	_, _, err := splitKubeletConfig([]string{"config="})
	if err == nil || err.Error() != "value required for kubelet-arg --config" {
		t.Errorf("got %v", err)
	}
}
