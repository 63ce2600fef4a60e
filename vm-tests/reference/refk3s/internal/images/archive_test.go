package images

import (
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

const content = "what is inside"

func compressed(t *testing.T, begin func(io.Writer) io.WriteCloser) []byte {
	t.Helper()
	var out bytes.Buffer
	writer := begin(&out)
	if _, err := writer.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func withGzip(out io.Writer) io.WriteCloser { return gzip.NewWriter(out) }
func withLz4(out io.Writer) io.WriteCloser  { return lz4.NewWriter(out) }
func withZstd(out io.Writer) io.WriteCloser {
	writer, err := zstd.NewWriter(out)
	if err != nil {
		panic(err)
	}
	return writer
}

// bzipped is the content as bzip2 packs it, which Go only unpacks.
const bzipped = "425a6839314159265359bc918dfa0000069180400026610c8020002200c2100302810f846c34fc5dc914e14242f24637e8"

func TestArchivesAreUnpackedByTheirEnding(t *testing.T) {
	// A skippable frame at the start is no part of the content.
	skippable := append([]byte{0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 'a', 'b', 'c'}, compressed(t, withZstd)...)
	bzip2, err := hex.DecodeString(bzipped)
	if err != nil {
		t.Fatal(err)
	}
	for name, packed := range map[string][]byte{
		"a.tar.bz2": bzip2, "a.tbz": bzip2,
		"a.tar": []byte(content), "a.tar.gz": compressed(t, withGzip), "a.tgz": compressed(t, withGzip),
		"a.tar.lz4": compressed(t, withLz4), "a.tar.zst": compressed(t, withZstd), "a.tzst": skippable,
	} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, packed, 0o600); err != nil {
			t.Fatal(err)
		}
		err := readArchive(path, func(in io.Reader) error {
			got, err := io.ReadAll(in)
			if string(got) != content {
				t.Errorf("%s: got %q", name, got)
			}
			return err
		})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestImagesAreNamedByDigestAndForRegistries(t *testing.T) {
	names, err := namesOf("docker.io/rancher/mirrored-pause:3.6", "sha256:0123", []string{"reg.example", "docker.io"})
	want := []string{
		"docker.io/rancher/mirrored-pause@sha256:0123", "reg.example/rancher/mirrored-pause:3.6",
		"reg.example/rancher/mirrored-pause@sha256:0123", "docker.io/rancher/mirrored-pause@sha256:0123",
	}
	if err != nil || len(names) != len(want) {
		t.Fatalf("%q %v", names, err)
	}
	for index := range want {
		if names[index] != want[index] {
			t.Errorf("got %s, want %s", names[index], want[index])
		}
	}
}

func TestAnImageWithoutATagCannotBeNamed(t *testing.T) {
	if _, err := namesOf("docker.io/rancher/mirrored-pause", "sha256:0123", nil); err == nil {
		t.Error("no error")
	}
}
