package images

import (
	"context"
	"errors"
	"fmt"
	"io"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/sirupsen/logrus"
	"google.golang.org/grpc"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"emts.dev/refk3s/internal/settings"
)

// The labels by which K3s keeps an image from being collected.
const (
	pinnedByK3s = "io.cattle.k3s.pinned"
	pinnedInCRI = "io.cri-containerd.pinned"
	pinned      = "pinned"
)

// ImportAndWatch imports what is under agent/images and, until ctx ends, what
// is put there. It returns after the first round. A file that cannot be
// imported is logged and skipped, as in K3s.
func ImportAndWatch(ctx context.Context, s *settings.Server, client *containerd.Client) error {
	connection, ok := client.Conn().(*grpc.ClientConn)
	if !ok {
		return fmt.Errorf("containerd's client has a %T for a connection, not one of gRPC", client.Conn())
	}
	i := &importer{
		client: client, store: client.ImageService(), puller: cri.NewImageServiceClient(connection),
		registries: s.ImageRegistries,
	}
	if err := i.unpinAll(ctx); err != nil {
		return fmt.Errorf("failed to clear pinned labels: %w", err)
	}
	w, err := newWatcher(s.Folders.Agent("images"), i.bring)
	if err != nil {
		return err
	}
	w.start(ctx)
	return nil
}

// importer brings one file into containerd.
type importer struct {
	client *containerd.Client
	store  images.Store
	// puller is CRI's: mirrors and rewrites count for nothing else.
	puller cri.ImageServiceClient
	// registries get a name of every image.
	registries []string
}

// unpinAll takes the labels of earlier starts away: what is still there gets them again.
func (i *importer) unpinAll(ctx context.Context) error {
	found, err := i.store.List(ctx, fmt.Sprintf("labels.%q==%s", pinnedByK3s, pinned))
	if err != nil {
		return err
	}
	var failures []error
	for _, image := range found {
		delete(image.Labels, pinnedByK3s)
		delete(image.Labels, pinnedInCRI)
		if _, err := i.store.Update(ctx, image, "labels"); err != nil {
			failures = append(failures, fmt.Errorf("failed to delete labels from image %s: %w", image.Name, err))
		}
	}
	return errors.Join(failures...)
}

func (i *importer) bring(ctx context.Context, path string) error {
	var brought []images.Image
	var err error
	if isList(path) {
		logrus.Infof("Pulling images from %s", path)
		if brought, err = i.pullList(ctx, path); err != nil {
			return fmt.Errorf("failed to pull images from %s: %w", path, err)
		}
	} else {
		logrus.Infof("Importing images from %s", path)
		err = readArchive(path, func(content io.Reader) (err error) {
			brought, err = i.client.Import(ctx, content, containerd.WithAllPlatforms(true), containerd.WithSkipMissing())
			return err
		})
		if err != nil {
			return fmt.Errorf("failed to import images from %s: %w", path, err)
		}
	}
	if err := i.pin(ctx, brought); err != nil {
		return fmt.Errorf("failed to add pinned label to images: %w", err)
	}
	if err := i.tag(ctx, brought); err != nil {
		return fmt.Errorf("failed to retag images: %w", err)
	}
	return nil
}

func (i *importer) pin(ctx context.Context, brought []images.Image) error {
	var failures []error
	for index, image := range brought {
		if image.Labels == nil {
			image.Labels = map[string]string{}
		}
		image.Labels[pinnedByK3s], image.Labels[pinnedInCRI] = pinned, pinned
		updated, err := i.store.Update(ctx, image, "labels")
		if err != nil {
			failures = append(failures, fmt.Errorf("failed to add labels to image %s: %w", image.Name, err))
			continue
		}
		brought[index] = updated
	}
	return errors.Join(failures...)
}

// tag names the images by their digest, and for the registries.
func (i *importer) tag(ctx context.Context, brought []images.Image) error {
	var failures []error
	for _, image := range brought {
		names, err := namesOf(image.Name, image.Target.Digest.String(), i.registries)
		if err != nil {
			failures = append(failures, fmt.Errorf("failed to parse tag for image %s: %w", image.Name, err))
			continue
		}
		logrus.Infof("Imported %s", image.Name)
		for _, name := range names {
			image.Name = name
			if err := i.replace(ctx, image); err != nil {
				failures = append(failures, fmt.Errorf("failed to tag image %s: %w", name, err))
				continue
			}
			logrus.Infof("Tagged %s", name)
		}
	}
	return errors.Join(failures...)
}

// namesOf are the further names of an image that has a tag.
func namesOf(image, digest string, registries []string) ([]string, error) {
	parsed, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return nil, err
	}
	tagged, ok := parsed.(reference.NamedTagged)
	if !ok {
		return nil, fmt.Errorf("can't cast %T to NamedTagged", parsed)
	}
	names := []string{tagged.Name() + "@" + digest}
	for _, registry := range registries {
		path := registry + "/" + reference.Path(tagged)
		names = append(names, path+":"+tagged.Tag(), path+"@"+digest)
	}
	var others []string
	for _, name := range names {
		if name != image {
			others = append(others, name)
		}
	}
	return others, nil
}

func (i *importer) replace(ctx context.Context, image images.Image) error {
	_, err := i.store.Create(ctx, image)
	if !errdefs.IsAlreadyExists(err) {
		return err
	}
	if err := i.store.Delete(ctx, image.Name); err != nil {
		return err
	}
	_, err = i.store.Create(ctx, image)
	return err
}
