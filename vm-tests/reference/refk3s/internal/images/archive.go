// Package images brings the archives and lists under agent/images into
// containerd, at the start and whenever one is put there.
package images

import (
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// zstdWindow is the largest window of a zstd archive, that of `zstd --long=25`.
const zstdWindow = 32 << 20

// listEnding is that of a file with the names of images to pull, one a line.
const listEnding = ".txt"

// opener unpacks one kind of archive.
type opener func(io.Reader) (io.Reader, error)

func openTar(in io.Reader) (io.Reader, error)   { return in, nil }
func openGzip(in io.Reader) (io.Reader, error)  { return gzip.NewReader(in) }
func openBzip2(in io.Reader) (io.Reader, error) { return bzip2.NewReader(in), nil }
func openLz4(in io.Reader) (io.Reader, error)   { return lz4.NewReader(in), nil }
func openZstd(in io.Reader) (io.Reader, error) {
	decoder, err := zstd.NewReader(in, zstd.WithDecoderMaxWindow(zstdWindow), zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	return decoder.IOReadCloser(), nil
}

// archiveKinds are the file name endings of archives, case-sensitive.
var archiveKinds = []struct {
	ending string
	open   opener
}{
	{".tar", openTar}, {".tar.gz", openGzip}, {".tgz", openGzip}, {".tar.bz2", openBzip2}, {".tbz", openBzip2},
	{".tar.zst", openZstd}, {".tzst", openZstd}, {".tar.lz4", openLz4},
}

func isList(path string) bool { return strings.HasSuffix(path, listEnding) }

// isSupported says whether a file of this name is an archive or a list.
func isSupported(path string) bool { return isList(path) || openerOf(path) != nil }

func openerOf(path string) opener {
	for _, kind := range archiveKinds {
		if strings.HasSuffix(path, kind.ending) {
			return kind.open
		}
	}
	return nil
}

// readArchive calls read with the unpacked content of an archive.
func readArchive(path string, read func(io.Reader) error) error {
	open := openerOf(path)
	if open == nil {
		return errors.New("unhandled file type")
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	content, err := open(file)
	if err != nil {
		return err
	}
	if closer, ok := content.(io.Closer); ok && content != io.Reader(file) {
		defer closer.Close()
	}
	return read(content)
}
