package leader

import (
	"strings"
	"testing"
	"time"
)

func TestTimesWithoutArgumentsAreTheComponents(t *testing.T) {
	times, err := ParseTimes("cloud-controller-manager", nil)
	if err != nil {
		t.Fatal(err)
	}
	if !times.LeaderElect || times.LeaseDuration.Duration != 15*time.Second {
		t.Errorf("got %+v", times)
	}
}

func TestArgumentsSetTheTimes(t *testing.T) {
	times, err := ParseTimes("cloud-controller-manager", []string{
		"--leader-elect-lease-duration=60s", "--leader-elect-renew-deadline=40s", "--leader-elect-retry-period=5s",
	})
	if err != nil {
		t.Fatal(err)
	}
	got := []time.Duration{times.LeaseDuration.Duration, times.RenewDeadline.Duration, times.RetryPeriod.Duration}
	want := []time.Duration{60 * time.Second, 40 * time.Second, 5 * time.Second}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("got %v, want %v", got, want)
			break
		}
	}
}

func TestAnotherArgumentIsRefusedByName(t *testing.T) {
	_, err := ParseTimes("cloud-controller-manager", []string{"--bind-address=0.0.0.0"})
	if err == nil || !strings.Contains(err.Error(), "bind-address") {
		t.Errorf("got %v", err)
	}
}
