package images

import (
	"bufio"
	"context"
	"errors"
	"os"
	"strings"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/distribution/reference"
	"github.com/sirupsen/logrus"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// pullList pulls each image of a list that is not there.
func (i *importer) pullList(ctx context.Context, path string) ([]images.Image, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var pulled []images.Image
	var failures []error
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		name := strings.TrimSpace(lines.Text())
		if name == "" {
			continue
		}
		if _, err := reference.ParseNormalizedNamed(name); err != nil {
			logrus.Errorf("Failed to parse image reference %q: %v", name, err)
			continue
		}
		found, err := i.pull(ctx, name)
		if err != nil {
			failures = append(failures, err)
		}
		pulled = append(pulled, found...)
	}
	return pulled, errors.Join(append(failures, lines.Err())...)
}

func (i *importer) pull(ctx context.Context, name string) ([]images.Image, error) {
	spec := &cri.ImageSpec{Image: name}
	names := []string{name}
	status, err := i.puller.ImageStatus(ctx, &cri.ImageStatusRequest{Image: spec})
	if tags := status.GetImage().GetRepoTags(); err == nil && len(tags) > 0 {
		logrus.Infof("Image %s has already been pulled", name)
		names = tags
	} else {
		logrus.Infof("Pulling image %s", name)
		if _, err := i.puller.PullImage(ctx, &cri.PullImageRequest{Image: spec}); err != nil {
			return nil, err
		}
	}
	var found []images.Image
	for _, name := range names {
		image, err := i.store.Get(ctx, name)
		if err != nil {
			return found, err
		}
		found = append(found, image)
	}
	return found, nil
}
