// Package leader lets one of several servers do a piece of work, by a lease in
// the cluster, with the durations and the end of the Kubernetes components.
package leader

import (
	"context"
	"fmt"
	"os"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/klog/v2"
)

// The defaults of the components' --leader-elect-* flags.
const (
	leaseDuration = 15 * time.Second
	renewDeadline = 10 * time.Second
	retryPeriod   = 2 * time.Second
)

// Run waits for the lease in kube-system and then calls work. When the lease is
// lost, or ctx ends, the process ends with status 1, because the work cannot be
// stopped in time by other means.
func Run(ctx context.Context, client kubernetes.Interface, lease string, work func(context.Context)) error {
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
		LeaseDuration: leaseDuration, RenewDeadline: renewDeadline, RetryPeriod: retryPeriod,
		Callbacks: leaderelection.LeaderCallbacks{OnStartedLeading: work, OnStoppedLeading: lost},
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
