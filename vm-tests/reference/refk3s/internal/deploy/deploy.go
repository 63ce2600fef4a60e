// Package deploy applies the manifests under server/manifests to the cluster,
// and again whenever one changes. Files of disabled names are removed together
// with what they made. It keeps no Addon objects, which K3s does.
package deploy

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"time"

	"emts.dev/refk3s/internal/settings"
	"github.com/sirupsen/logrus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
)

const (
	// scanEvery is how often the folder is looked at, as in K3s.
	scanEvery = 15 * time.Second
	// retryAfter is the pause after a manifest that was not taken. Right after
	// the start that is usual: pods are refused before their service account is there.
	retryAfter = 3 * time.Second
)

//go:embed manifests/rolebindings.yaml
var roleBindings []byte

//go:embed manifests/runtimes.yaml
var runtimeClasses []byte

// packaged are the components that K3s brings and the double does not have.
var packaged = []string{"coredns", "local-storage", "metrics-server", "servicelb", "traefik"}

// Controller applies manifests.
type Controller struct {
	folder   string
	disabled map[string]bool
	objects  dynamic.Interface
	mapper   *restmapper.DeferredDiscoveryRESTMapper
	applied  map[string][sha256.Size]byte
}

// New writes the packaged manifests and returns the controller of the folder.
func New(s *settings.Server, config *rest.Config) (*Controller, error) {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	objects, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	controller := &Controller{
		folder:   s.Folders.Server("manifests"),
		disabled: s.Disabled,
		objects:  objects,
		mapper:   restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(client.Discovery())),
		applied:  map[string][sha256.Size]byte{},
	}
	for _, name := range packaged {
		if !s.Disabled[name] {
			logrus.Warnf("refk3s: packaged component %s is not part of the reference double", name)
		}
	}
	return controller, controller.writePackaged()
}

func (c *Controller) writePackaged() error {
	if err := os.MkdirAll(c.folder, 0o700); err != nil {
		return err
	}
	for name, content := range map[string][]byte{"rolebindings.yaml": roleBindings, "runtimes.yaml": runtimeClasses} {
		if c.disabled[name] || c.disabled[strings.TrimSuffix(name, filepath.Ext(name))] {
			continue
		}
		path := filepath.Join(c.folder, name)
		logrus.Infof("Writing manifest: %s", path)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// Run applies what is there and what changes, until ctx ends.
func (c *Controller) Run(ctx context.Context) {
	for {
		pause := scanEvery
		if !c.scan(ctx) {
			pause = retryAfter
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// scan handles every file and says whether all were taken.
func (c *Controller) scan(ctx context.Context) bool {
	files, err := c.manifests()
	if err != nil {
		logrus.Errorf("Manifests in %s: %v", c.folder, err)
		return false
	}
	taken := true
	for _, file := range files {
		if err := c.handle(ctx, file); err != nil && ctx.Err() == nil {
			logrus.Errorf("Failed to process config: failed to process %s: %v", file, err)
			taken = false
		}
	}
	return taken
}

// manifests lists the files by name. A `<name>.skip` hides every file of that
// name unless it is disabled.
func (c *Controller) manifests() ([]string, error) {
	var files []string
	skipped := map[string]bool{}
	err := filepath.WalkDir(c.folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if name, isSkip := strings.CutSuffix(entry.Name(), ".skip"); isSkip {
			skipped[name] = true
		}
		files = append(files, path)
		return nil
	})
	files = slices.DeleteFunc(files, func(path string) bool {
		name := filepath.Base(path)
		isHidden := strings.HasPrefix(name, ".") || skipped[name] || !isManifest(name)
		return isHidden && !c.isDisabledPath(path)
	})
	sort.Strings(files)
	return files, err
}

func isManifest(name string) bool {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".yaml", ".yml", ".json":
		return true
	}
	return false
}

func (c *Controller) isDisabledPath(path string) bool {
	relative, err := filepath.Rel(c.folder, path)
	return err == nil && c.isDisabled(relative)
}

// isDisabled compares the names in `disable` with a manifest's base name and
// with its directories: a, a/b and so on. The empty name is that of the whole
// directory.
func (c *Controller) isDisabled(relative string) bool {
	if c.disabled[""] {
		return true
	}
	for directory := filepath.Dir(relative); directory != "."; directory = filepath.Dir(directory) {
		if c.disabled[directory] {
			return true
		}
	}
	base := filepath.Base(relative)
	return isManifest(base) && c.disabled[strings.TrimSuffix(base, filepath.Ext(base))]
}

func (c *Controller) handle(ctx context.Context, file string) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if c.isDisabledPath(file) {
		return c.remove(ctx, file, content)
	}
	sum := sha256.Sum256(content)
	if c.applied[file] == sum {
		return nil
	}
	objects, err := decode(content)
	if err != nil {
		return err
	}
	var failures []error
	for _, object := range objects {
		if err := c.apply(ctx, object); err != nil {
			failures = append(failures, fmt.Errorf("%s %s: %w", object.GetKind(), object.GetName(), err))
		}
	}
	if len(failures) > 0 {
		return errors.Join(failures...)
	}
	logrus.Infof("Applied manifest %s", file)
	c.applied[file] = sum
	return nil
}

func (c *Controller) remove(ctx context.Context, file string, content []byte) error {
	objects, err := decode(content)
	if err != nil {
		logrus.Warnf("Objects of disabled manifest %s stay, it cannot be read: %v", file, err)
	}
	for _, object := range objects {
		target, err := c.target(object)
		if err != nil {
			return err
		}
		if err := target.Delete(ctx, object.GetName(), metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return err
		}
	}
	logrus.Infof("Deleted disabled manifest %s", file)
	return os.Remove(file)
}

func (c *Controller) apply(ctx context.Context, object *unstructured.Unstructured) error {
	target, err := c.target(object)
	if err != nil {
		return err
	}
	_, err = target.Apply(ctx, object.GetName(), object, metav1.ApplyOptions{FieldManager: "deploy@refk3s", Force: true})
	return err
}

func (c *Controller) target(object *unstructured.Unstructured) (dynamic.ResourceInterface, error) {
	kind := object.GroupVersionKind()
	mapping, err := c.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if meta.IsNoMatchError(err) {
		c.mapper.Reset()
		mapping, err = c.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	}
	if err != nil {
		return nil, err
	}
	if mapping.Scope.Name() != meta.RESTScopeNameNamespace {
		return c.objects.Resource(mapping.Resource), nil
	}
	namespace := object.GetNamespace()
	if namespace == "" {
		namespace = metav1.NamespaceDefault
	}
	return c.objects.Resource(mapping.Resource).Namespace(namespace), nil
}

// decode reads all objects of a file, those inside lists too.
func decode(content []byte) ([]*unstructured.Unstructured, error) {
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(content), 4096)
	var objects []*unstructured.Unstructured
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(&object.Object)
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, err
		}
		if len(object.Object) == 0 {
			continue
		}
		if !object.IsList() {
			objects = append(objects, object)
			continue
		}
		err = object.EachListItem(func(item runtime.Object) error {
			objects = append(objects, item.(*unstructured.Unstructured))
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
}
