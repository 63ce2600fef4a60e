package main

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"emts.dev/refk3s/internal/marker"
	"github.com/klauspost/compress/zstd"
)

// archive makes one with a single image and returns its path.
func archive(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "pause")
	if err := os.WriteFile(program, []byte("program"), 0o755); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "images.tar.zst")
	if err := write(out, []string{"docker.io/rancher/mirrored-pause:3.6=" + program}); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestTheMarkerIsAtTheStartOfTheCompressedArchive(t *testing.T) {
	content, err := os.ReadFile(archive(t))
	if err != nil || !bytes.HasPrefix(content[8:], []byte(marker.Text)) {
		t.Errorf("%q %v", content[:64], err)
	}
}

func TestTheArchiveIsADockerArchiveBehindTheMarker(t *testing.T) {
	file, err := os.Open(archive(t))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unpacked, err := zstd.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	defer unpacked.Close()
	last := ""
	for files := tar.NewReader(unpacked); ; {
		header, err := files.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		last = header.Name
	}
	if last != "manifest.json" {
		t.Errorf("the last file is %q", last)
	}
}
