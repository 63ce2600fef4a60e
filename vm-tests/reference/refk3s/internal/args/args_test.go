package args

import (
	"slices"
	"testing"
)

func expect(t *testing.T, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestLeadingDashesMakeNoDifference(t *testing.T) {
	expect(t, Merge(nil, []string{"--max-pods=250"}), []string{"--max-pods=250"})
	expect(t, Merge(nil, []string{"max-pods=250"}), []string{"--max-pods=250"})
}

func TestOneDashIsKeptAndFailsLater(t *testing.T) {
	expect(t, Merge(nil, []string{"-v=2"}), []string{"---v=2"})
}

func TestCommasAndLaterEqualSignsStay(t *testing.T) {
	expect(t, Merge(nil, []string{"tls-cipher-suites=A,B", "feature-gates=X=true"}),
		[]string{"--feature-gates=X=true", "--tls-cipher-suites=A,B"})
}

func TestAnElementWithoutValueIsTrue(t *testing.T) {
	expect(t, Merge(nil, []string{"feature"}), []string{"--feature=true"})
}

func TestAnEmptyElementBecomesAFlagThatNoComponentTakes(t *testing.T) {
	expect(t, Merge(nil, []string{""}), []string{"--=true"})
}

func TestAPlainKeyReplacesTheDefault(t *testing.T) {
	defaults := map[string]string{"anonymous-auth": "false", "profiling": "false"}
	expect(t, Merge(defaults, []string{"anonymous-auth=true"}), []string{"--anonymous-auth=true", "--profiling=false"})
}

func TestPlusAppendsAndMinusPrepends(t *testing.T) {
	defaults := map[string]string{"enable-admission-plugins": "NodeRestriction"}
	expect(t, Merge(defaults, []string{"enable-admission-plugins+=PodSecurity"}),
		[]string{"--enable-admission-plugins=NodeRestriction", "--enable-admission-plugins=PodSecurity"})
	expect(t, Merge(defaults, []string{"enable-admission-plugins-=PodSecurity"}),
		[]string{"--enable-admission-plugins=PodSecurity", "--enable-admission-plugins=NodeRestriction"})
}

func TestRepeatsStayInOrder(t *testing.T) {
	expect(t, Merge(nil, []string{"b=1", "a=1", "b=2"}), []string{"--a=1", "--b=1", "--b=2"})
}

func TestAnAppendedDefaultIsNotReplacedByALaterPlainKey(t *testing.T) {
	expect(t, Merge(map[string]string{"a": "0"}, []string{"a+=1", "a=2"}), []string{"--a=0", "--a=1", "--a=2"})
}

func TestAReplacedDefaultDoesNotComeBack(t *testing.T) {
	expect(t, Merge(map[string]string{"a": "0"}, []string{"a=1", "a+=2"}), []string{"--a=1", "--a=2"})
}

func TestFirstFindsWithAndWithoutDashes(t *testing.T) {
	for _, element := range []string{"--tls-min-version=VersionTLS12", "tls-min-version=VersionTLS12"} {
		text := First([]string{"other=1", element, "tls-min-version=later"}, "tls-min-version")
		if text != "VersionTLS12" {
			t.Errorf("%s: got %q", element, text)
		}
	}
}

func TestAnElementWithoutTextThatK3sLooksUpIsItsPanic(t *testing.T) {
	err := CheckFirst([]string{"tls-min-version"}, "tls-min-version")
	if err == nil || err.Error() != "server panicked: runtime error: index out of range [1] with length 1" {
		t.Errorf("got %v", err)
	}
}

func TestALaterElementWithoutTextIsNotLookedAt(t *testing.T) {
	if err := CheckFirst([]string{"tls-min-version=VersionTLS12", "tls-min-version"}, "tls-min-version"); err != nil {
		t.Error(err)
	}
}

func TestSecretsAreMasked(t *testing.T) {
	expect(t, Masked([]string{"server", "--token=abc", "--agent-token", "def", "--node-label=token=x"}),
		[]string{"server", "--token=********", "--agent-token", "********", "--node-label=token=x"})
}

func TestSplitParts(t *testing.T) {
	expect(t, Split([]string{"server", "--kubelet-arg=--max-pods=1"}), []string{"server", "--kubelet-arg", "--max-pods=1"})
}
