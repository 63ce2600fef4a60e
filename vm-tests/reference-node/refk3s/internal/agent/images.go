package agent

import (
	"compress/bzip2"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/klauspost/compress/zstd"
	"github.com/sirupsen/logrus"

	"emts.dev/refk3s/internal/settings"
)

// zstdWindow is the largest window of a zstd archive, that of `zstd --long=25`.
const zstdWindow = 32 << 20

// opener unpacks one kind of archive; nil means it is a plain tar.
type opener func(io.Reader) (io.Reader, error)

func openGzip(in io.Reader) (io.Reader, error)  { return gzip.NewReader(in) }
func openBzip2(in io.Reader) (io.Reader, error) { return bzip2.NewReader(in), nil }
func openZstd(in io.Reader) (io.Reader, error) {
	return zstd.NewReader(in, zstd.WithDecoderMaxWindow(zstdWindow), zstd.WithDecoderConcurrency(1))
}
func openTar(in io.Reader) (io.Reader, error) { return in, nil }

// archiveKinds are the file name endings of archives, case-sensitive.
var archiveKinds = []struct {
	ending string
	open   opener
}{
	{".tar", openTar}, {".tar.gz", openGzip}, {".tgz", openGzip}, {".tar.bz2", openBzip2}, {".tbz", openBzip2},
	{".tar.zst", openZstd}, {".tzst", openZstd},
}

// imported remembers an archive by what changes when it changes.
type imported struct {
	Size    int64     `json:"size"`
	ModTime time.Time `json:"modTime"`
}

// ImportImages loads every archive under agent/images into containerd. An
// unreadable archive is logged and skipped, as in K3s.
func ImportImages(ctx context.Context, s *settings.Server, client *containerd.Client) error {
	folder := s.Folders.Agent("images")
	seen, cacheFile := readImportCache(folder)
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		state := imported{Size: info.Size(), ModTime: info.ModTime().UTC()}
		if earlier, ok := seen[path]; ok && cacheFile != "" && earlier == state {
			logrus.Infof("Skipping import of unchanged %s", path)
			return nil
		}
		if err := importFile(ctx, s, client, path); err != nil {
			logrus.Errorf("Unable to import %s: %v", path, err)
			return nil
		}
		seen[path] = state
		return nil
	})
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return writeImportCache(cacheFile, seen)
}

// readImportCache reads agent/images/.cache.json; only a user who made that
// file wants unchanged archives to be skipped.
func readImportCache(folder string) (map[string]imported, string) {
	seen := map[string]imported{}
	path := filepath.Join(folder, ".cache.json")
	content, err := os.ReadFile(path)
	if err != nil {
		return seen, ""
	}
	if len(content) > 0 {
		if err := json.Unmarshal(content, &seen); err != nil {
			logrus.Warnf("Ignoring unreadable %s: %v", path, err)
			seen = map[string]imported{}
		}
	}
	return seen, path
}

func writeImportCache(path string, seen map[string]imported) error {
	if path == "" {
		return nil
	}
	content, err := json.Marshal(seen)
	if err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o600)
}

func importFile(ctx context.Context, s *settings.Server, client *containerd.Client, path string) error {
	name := filepath.Base(path)
	if strings.HasPrefix(name, ".cache.json") {
		return nil
	}
	if strings.HasSuffix(name, ".txt") || strings.HasSuffix(name, ".tar.lz4") {
		return fmt.Errorf("refk3s does not implement image files of this kind")
	}
	for _, kind := range archiveKinds {
		if strings.HasSuffix(name, kind.ending) {
			return importArchive(ctx, s, client, path, kind.open)
		}
	}
	return nil
}

func importArchive(ctx context.Context, s *settings.Server, client *containerd.Client, path string, open opener) error {
	start := time.Now()
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	content, err := open(file)
	if err != nil {
		return err
	}
	loaded, err := client.Import(ctx, content, containerd.WithAllPlatforms(true), containerd.WithSkipMissing())
	if err != nil {
		return err
	}
	for _, image := range loaded {
		if err := pin(ctx, s, client, image); err != nil {
			return fmt.Errorf("image %s: %w", image.Name, err)
		}
	}
	logrus.Infof("Imported images from %s in %s", path, time.Since(start).Round(time.Millisecond))
	return nil
}

// pin keeps the image from being collected, names it for the private system
// registry too, and unpacks it.
func pin(ctx context.Context, s *settings.Server, client *containerd.Client, image images.Image) error {
	image.Labels = map[string]string{
		"io.cattle.k3s.pinned":     "pinned",
		"io.cri-containerd.pinned": "pinned",
		"io.cri-containerd.image":  "managed",
	}
	names := []string{image.Name}
	if s.Registry != "" {
		if _, rest, ok := strings.Cut(image.Name, "/"); ok {
			names = append(names, s.Registry+"/"+rest)
		}
	}
	for _, name := range names {
		image.Name = name
		if err := createOrUpdate(ctx, client.ImageService(), image); err != nil {
			return err
		}
		logrus.Infof("Imported %s", name)
	}
	return containerd.NewImage(client, image).Unpack(ctx, s.Snapshotter)
}

func createOrUpdate(ctx context.Context, store images.Store, image images.Image) error {
	if _, err := store.Get(ctx, image.Name); err == nil {
		_, err = store.Update(ctx, image)
		return err
	}
	_, err := store.Create(ctx, image)
	return err
}
