// Package leader lets one of several servers do a piece of work, by a lease in
// the cluster, with the durations and the end of the Kubernetes components.
package leader

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spf13/pflag"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	componentbaseconfig "k8s.io/component-base/config"
	"k8s.io/component-base/config/options"
	"k8s.io/klog/v2"
)

// Times are those of a lease, as the components' --leader-elect-* flags set them.
type Times = componentbaseconfig.LeaderElectionConfiguration

// ParseTimes reads the arguments of a component that has no other flags than
// those of leader election. An unknown flag is an error that names it.
func ParseTimes(component string, arguments []string) (Times, error) {
	times := Times{LeaderElect: true}
	times.LeaseDuration.Duration = 15 * time.Second
	times.RenewDeadline.Duration = 10 * time.Second
	times.RetryPeriod.Duration = 2 * time.Second
	flags := pflag.NewFlagSet(component, pflag.ContinueOnError)
	options.BindLeaderElectionFlags(&times, flags)
	if err := flags.Parse(arguments); err != nil {
		return times, fmt.Errorf("refk3s has of %s's arguments those of leader election alone: %w", component, err)
	}
	return times, nil
}

// Run waits for the lease in kube-system and then calls work. When the lease is
// lost, or ctx ends, the process ends with status 1, because the work cannot be
// stopped in time by other means.
func Run(ctx context.Context, client kubernetes.Interface, lease string, times Times, work func(context.Context)) error {
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("host name for lease %s: %w", lease, err)
	}
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Name: lease,
		Lock: &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: lease},
			Client:     client.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: host + "_" + string(uuid.NewUUID())},
		},
		LeaseDuration: times.LeaseDuration.Duration,
		RenewDeadline: times.RenewDeadline.Duration,
		RetryPeriod:   times.RetryPeriod.Duration,
		Callbacks:     leaderelection.LeaderCallbacks{OnStartedLeading: work, OnStoppedLeading: lost},
	})
	if err != nil {
		return fmt.Errorf("lease %s: %w", lease, err)
	}
	elector.Run(ctx)
	return nil
}

func lost() {
	klog.ErrorS(nil, "leaderelection lost")
	klog.FlushAndExit(klog.ExitFlushTimeout, 1)
}
