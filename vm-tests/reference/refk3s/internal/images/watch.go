package images

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/sirupsen/logrus"
	"k8s.io/client-go/util/workqueue"
)

// settleTime passes between a change of a file and its import, as in K3s. A
// file that is still being written then fails, and is tried again at its last change.
const settleTime = 2 * time.Second

// watcher calls bring for each file below root that is new or changed.
type watcher struct {
	root   string
	settle time.Duration
	bring  func(ctx context.Context, path string) error
	notify *fsnotify.Watcher
	queue  workqueue.TypedDelayingInterface[string]
	cache  *cache
}

// newWatcher watches the directory above root too: root may be made later.
func newWatcher(root string, bring func(context.Context, string) error) (*watcher, error) {
	notify, err := fsnotify.NewWatcher()
	if err == nil {
		err = notify.Add(filepath.Dir(root))
	}
	if err != nil {
		return nil, fmt.Errorf("failed to create image import watcher for %s: %w", filepath.Dir(root), err)
	}
	return &watcher{
		root: root, settle: settleTime, bring: bring, notify: notify,
		queue: workqueue.NewTypedDelayingQueue[string](), cache: readCache(root),
	}, nil
}

// start handles what is there, and then what changes until ctx ends.
func (w *watcher) start(ctx context.Context) {
	context.AfterFunc(ctx, func() {
		w.queue.ShutDown()
		w.notify.Close()
	})
	go w.enqueueChanges()
	w.queue.Add(w.root)
	for w.queue.Len() > 0 && w.handleNext(ctx) {
	}
	w.cache.prune()
	go func() {
		for w.handleNext(ctx) {
		}
	}()
}

func (w *watcher) enqueueChanges() {
	for {
		select {
		case event, open := <-w.notify.Events:
			if !open {
				return
			}
			if event.Name == w.root || strings.HasPrefix(event.Name, w.root+"/") {
				w.queue.AddAfter(event.Name, w.settle)
			}
		case err, open := <-w.notify.Errors:
			if !open {
				return
			}
			logrus.Errorf("Image import watcher received an error: %v", err)
		}
	}
}

// handleNext waits for a path and is false at the end.
func (w *watcher) handleNext(ctx context.Context) bool {
	path, ended := w.queue.Get()
	if ended {
		return false
	}
	defer w.queue.Done(path)
	if err := w.handle(ctx, path); err != nil && ctx.Err() == nil {
		logrus.Errorf("Failed to process image event: %v", err)
	}
	return true
}

func (w *watcher) handle(ctx context.Context, path string) error {
	info, err := os.Stat(path)
	switch {
	case os.IsNotExist(err) && path == w.root:
		w.cache.forgetAll()
		return nil
	case os.IsNotExist(err) && isSupported(path):
		w.cache.forget(path)
		return nil
	case os.IsNotExist(err):
		return nil
	case err != nil:
		return fmt.Errorf("failed to get fileinfo for image event %s: %w", path, err)
	case info.IsDir():
		return w.enqueueDirectory(path)
	case !isSupported(path) || w.cache.isUnchanged(path, info):
		return nil
	}
	begun := time.Now()
	if err := w.bring(ctx, path); err != nil {
		return fmt.Errorf("failed to import %s: %w", path, err)
	}
	logrus.Infof("Imported images from %s in %s", path, time.Since(begun))
	w.cache.remember(path, info)
	return nil
}

// enqueueDirectory watches a directory, which notification does not do by
// itself for those below a watched one.
func (w *watcher) enqueueDirectory(path string) error {
	if err := w.notify.Add(path); err != nil {
		return fmt.Errorf("failed to add watch of %s: %w", path, err)
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return fmt.Errorf("unable to list contents of %s: %w", path, err)
	}
	for _, entry := range entries {
		w.queue.Add(filepath.Join(path, entry.Name()))
	}
	return nil
}
