// Package node completes the node object after the kubelet registered it: role
// labels, K3s's annotations, the network configuration for its pod range and,
// as the cloud controller does, its addresses.
package node

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"emts.dev/refk3s/internal/agent"
	"emts.dev/refk3s/internal/args"
	"emts.dev/refk3s/internal/settings"
	"github.com/sirupsen/logrus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/retry"
)

const (
	rolePrefix         = "node-role.kubernetes.io/"
	uninitializedTaint = "node.cloudprovider.kubernetes.io/uninitialized"
	// retryAfter is the pause after a failed watch or patch.
	retryAfter = time.Second
)

// Keeper does the work of the package for one node.
type Keeper struct {
	settings *settings.Server
	client   kubernetes.Interface
	// networkFor is the pod range that the network was last configured for.
	networkFor string
	// usable is closed when the node has no uninitialized taint.
	usable    chan struct{}
	wasUsable sync.Once
}

// NewKeeper returns the keeper of the node that s describes.
func NewKeeper(s *settings.Server, client kubernetes.Interface) *Keeper {
	return &Keeper{settings: s, client: client, usable: make(chan struct{})}
}

// Usable is closed as soon as the node is registered and, by the cloud
// controller, initialized.
func (k *Keeper) Usable() <-chan struct{} { return k.usable }

// Run sets labels, annotations and the network until ctx ends.
func (k *Keeper) Run(ctx context.Context) { k.follow(ctx, k.complete) }

// RunCloud is the cloud controller, which K3s elects, until ctx ends.
func (k *Keeper) RunCloud(ctx context.Context) { k.follow(ctx, k.initialize) }

// follow calls handle with the node and again at each change.
func (k *Keeper) follow(ctx context.Context, handle func(context.Context, *corev1.Node) error) {
	for ctx.Err() == nil {
		if err := k.followOnce(ctx, handle); err != nil && ctx.Err() == nil {
			logrus.Warnf("Node %s: %v; trying again", k.settings.NodeName, err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(retryAfter):
		}
	}
}

func (k *Keeper) followOnce(ctx context.Context, handle func(context.Context, *corev1.Node) error) error {
	nodes := k.client.CoreV1().Nodes()
	name := fields.OneTermEqualSelector("metadata.name", k.settings.NodeName).String()
	list, err := nodes.List(ctx, metav1.ListOptions{FieldSelector: name})
	if err != nil {
		return fmt.Errorf("list: %w", err)
	}
	for index := range list.Items {
		if err := handle(ctx, &list.Items[index]); err != nil {
			return err
		}
	}
	watch, err := nodes.Watch(ctx, metav1.ListOptions{FieldSelector: name, ResourceVersion: list.ResourceVersion})
	if err != nil {
		return fmt.Errorf("watch: %w", err)
	}
	defer watch.Stop()
	for event := range watch.ResultChan() {
		if node, ok := event.Object.(*corev1.Node); ok {
			if err := handle(ctx, node); err != nil {
				return err
			}
		}
	}
	return nil
}

func (k *Keeper) complete(ctx context.Context, node *corev1.Node) error {
	if !isUninitialized(node) {
		k.wasUsable.Do(func() { close(k.usable) })
	}
	if err := k.configureNetwork(node); err != nil {
		return err
	}
	patch, err := k.metadataPatch(node)
	if err != nil || patch == nil {
		return err
	}
	if _, err := k.client.CoreV1().Nodes().Patch(ctx, node.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}); err != nil {
		return fmt.Errorf("set labels and annotations: %w", err)
	}
	logrus.Infof("Labels and annotations have been set successfully on node: %s", node.Name)
	return nil
}

func (k *Keeper) configureNetwork(node *corev1.Node) error {
	podCIDRs := strings.Join(node.Spec.PodCIDRs, ",")
	if !k.settings.Bridge || podCIDRs == "" || podCIDRs == k.networkFor {
		return nil
	}
	if err := agent.WriteNetwork(k.settings, node.Spec.PodCIDRs); err != nil {
		return fmt.Errorf("network configuration: %w", err)
	}
	logrus.Infof("Pod network of this node is %s on the bridge cni0", podCIDRs)
	k.networkFor = podCIDRs
	return nil
}

// metadataPatch returns what is missing on the node, nil when nothing is.
func (k *Keeper) metadataPatch(node *corev1.Node) ([]byte, error) {
	labels := missing(k.labels(), node.Labels)
	annotations, err := k.annotations()
	if err != nil {
		return nil, err
	}
	annotations = missing(annotations, node.Annotations)
	if len(labels) == 0 && len(annotations) == 0 {
		return nil, nil
	}
	return json.Marshal(map[string]any{"metadata": map[string]any{"labels": labels, "annotations": annotations}})
}

func (k *Keeper) labels() map[string]string {
	labels := map[string]string{rolePrefix + "control-plane": "true", rolePrefix + "master": "true"}
	if k.settings.Etcd {
		labels[rolePrefix+"etcd"] = "true"
	}
	if k.settings.CloudController {
		labels["node.kubernetes.io/instance-type"] = "k3s"
	}
	return labels
}

func (k *Keeper) annotations() (map[string]string, error) {
	expanded := k.settings.Flags.Expanded
	text, err := json.Marshal(args.Split(args.Masked(expanded)))
	if err != nil {
		return nil, err
	}
	environment, err := json.Marshal(nodeEnvironment())
	if err != nil {
		return nil, err
	}
	annotations := map[string]string{
		"k3s.io/node-args": string(text),
		"k3s.io/node-env":  string(environment),
	}
	if k.settings.CloudController {
		annotations["k3s.io/hostname"] = k.settings.NodeName
		annotations["k3s.io/internal-ip"] = settings.JoinAddresses(k.settings.NodeIPs)
	}
	return annotations, nil
}

func nodeEnvironment() map[string]string {
	found := map[string]string{}
	for _, pair := range os.Environ() {
		name, text, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(name, "K3S_") {
			continue
		}
		if strings.Contains(name, "TOKEN") || strings.Contains(name, "DATASTORE") || strings.Contains(name, "AUTH") {
			text = "********"
		}
		found[name] = text
	}
	return found
}

func missing(wanted, have map[string]string) map[string]string {
	absent := map[string]string{}
	for key, text := range wanted {
		if current, ok := have[key]; !ok || current != text {
			absent[key] = text
		}
	}
	return absent
}

// initialize does what K3s's embedded cloud controller does for a new node.
func (k *Keeper) initialize(ctx context.Context, node *corev1.Node) error {
	if !isUninitialized(node) {
		return nil
	}
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error { return k.writeInitialized(ctx, node.Name) })
	if err != nil {
		return fmt.Errorf("initialize: %w", err)
	}
	return nil
}

// writeInitialized sets the addresses first: without the taint pods may come.
func (k *Keeper) writeInitialized(ctx context.Context, name string) error {
	nodes := k.client.CoreV1().Nodes()
	node, err := nodes.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	if !isUninitialized(node) {
		return nil
	}
	node.Status.Addresses = k.addresses()
	if node, err = nodes.UpdateStatus(ctx, node, metav1.UpdateOptions{}); err != nil {
		return err
	}
	node.Spec.ProviderID = "k3s://" + name
	node.Spec.Taints = withoutUninitialized(node.Spec.Taints)
	if _, err = nodes.Update(ctx, node, metav1.UpdateOptions{}); err == nil {
		logrus.Infof("Successfully initialized node %s with the double's cloud controller", name)
	}
	return err
}

func isUninitialized(node *corev1.Node) bool {
	return slices.ContainsFunc(node.Spec.Taints, func(taint corev1.Taint) bool { return taint.Key == uninitializedTaint })
}

func withoutUninitialized(taints []corev1.Taint) []corev1.Taint {
	var rest []corev1.Taint
	for _, taint := range taints {
		if taint.Key != uninitializedTaint {
			rest = append(rest, taint)
		}
	}
	return rest
}

func (k *Keeper) addresses() []corev1.NodeAddress {
	var addresses []corev1.NodeAddress
	for _, address := range k.settings.NodeIPs {
		addresses = append(addresses, corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: address.String()})
	}
	return append(addresses, corev1.NodeAddress{Type: corev1.NodeHostName, Address: k.settings.NodeName})
}
