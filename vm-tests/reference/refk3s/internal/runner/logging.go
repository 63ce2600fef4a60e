package runner

import (
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/textlogger"
)

// setLogger gives klog a logger before any component runs. The kubelet sets its
// own while the others are logging already, and klog.SetLoggerWithOptions says
// that there is a logger before it has stored it: without one from before,
// klog.Background dereferences nil in between (klog 2.130.1, contextual.go).
// What is written stays klog's own text on stderr.
func setLogger() {
	klog.SetLogger(textlogger.NewLogger(textlogger.NewConfig()))
}
