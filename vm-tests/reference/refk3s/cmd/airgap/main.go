// Command airgap makes the archive of preloaded images: one docker archive,
// zstd-compressed, of images with a single static program each. No container
// engine is needed, and the output depends on the inputs only.
//
//	airgap OUT NAME=PROGRAM...    NAME is the image's full name with tag
package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"emts.dev/refk3s/internal/marker"
	"github.com/klauspost/compress/zstd"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: airgap OUT NAME=PROGRAM...")
		os.Exit(2)
	}
	if err := write(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "airgap:", err)
		os.Exit(1)
	}
}

// manifestEntry is one image in a docker archive's manifest.json.
type manifestEntry struct {
	Config   string
	RepoTags []string
	Layers   []string
}

func write(out string, images []string) error {
	file, err := os.Create(out)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := file.Write(skippable(marker.Text)); err != nil {
		return err
	}
	compressed, err := zstd.NewWriter(file, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(8<<20))
	if err != nil {
		return err
	}
	archive := tar.NewWriter(compressed)
	var manifest []manifestEntry
	for _, image := range images {
		name, program, ok := strings.Cut(image, "=")
		if !ok {
			return fmt.Errorf("%q is not NAME=PROGRAM", image)
		}
		entry, err := addImage(archive, name, program)
		if err != nil {
			return fmt.Errorf("image %s: %w", name, err)
		}
		manifest = append(manifest, entry)
	}
	text, err := json.Marshal(manifest)
	if err != nil {
		return err
	}
	if err := addFile(archive, "manifest.json", 0o644, text); err != nil {
		return err
	}
	for _, closer := range []io.Closer{archive, compressed, file} {
		if err := closer.Close(); err != nil {
			return err
		}
	}
	return nil
}

// skippable is a frame that every zstd decoder passes over: what it holds can
// be found in the compressed archive.
func skippable(text string) []byte {
	frame := []byte{0x50, 0x2a, 0x4d, 0x18}
	frame = binary.LittleEndian.AppendUint32(frame, uint32(len(text)))
	return append(frame, text...)
}

func addImage(archive *tar.Writer, name, program string) (manifestEntry, error) {
	layer, err := layerOf(program)
	if err != nil {
		return manifestEntry{}, err
	}
	config, err := configOf(name, "/"+filepath.Base(program), layer)
	if err != nil {
		return manifestEntry{}, err
	}
	entry := manifestEntry{
		Config: digest(config) + ".json", RepoTags: []string{name}, Layers: []string{digest(layer) + "/layer.tar"},
	}
	if err := addFile(archive, entry.Config, 0o644, config); err != nil {
		return entry, err
	}
	return entry, addFile(archive, entry.Layers[0], 0o644, layer)
}

func layerOf(program string) ([]byte, error) {
	content, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	layer := tar.NewWriter(&out)
	for _, folder := range []string{"etc/", "proc/", "sys/", "dev/", "tmp/"} {
		header := &tar.Header{Typeflag: tar.TypeDir, Name: folder, Mode: 0o755, ModTime: epoch, Format: tar.FormatUSTAR}
		if err := layer.WriteHeader(header); err != nil {
			return nil, err
		}
	}
	if err := addFile(layer, filepath.Base(program), 0o755, content); err != nil {
		return nil, err
	}
	return out.Bytes(), layer.Close()
}

func configOf(name, entrypoint string, layer []byte) ([]byte, error) {
	return json.Marshal(map[string]any{
		"architecture": "amd64",
		"os":           "linux",
		"created":      epoch.Format(time.RFC3339),
		"config": map[string]any{
			"Entrypoint": []string{entrypoint},
			"Env":        []string{"PATH=/"},
			"WorkingDir": "/",
			"Labels": map[string]string{
				"org.opencontainers.image.title":       name,
				"org.opencontainers.image.description": marker.Text + ": stands in for the image of this name in tests",
			},
		},
		"rootfs":  map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + digest(layer)}},
		"history": []map[string]string{{"created": epoch.Format(time.RFC3339), "created_by": "refk3s airgap"}},
	})
}

var epoch = time.Unix(0, 0).UTC()

func addFile(archive *tar.Writer, name string, mode int64, content []byte) error {
	header := &tar.Header{
		Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(content)), ModTime: epoch, Format: tar.FormatUSTAR,
	}
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	_, err := archive.Write(content)
	return err
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}
