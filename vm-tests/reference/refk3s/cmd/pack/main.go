// Command pack makes the one executable `k3s`: the double's own binary with
// the programs it runs behind it. The output depends on the inputs only.
//
//	pack OUT BINARY FOLDER=PROGRAM...    FOLDER is bin or cni, PROGRAM a path
package main

import (
	"archive/zip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	if len(os.Args) < 4 {
		fmt.Fprintln(os.Stderr, "usage: pack OUT BINARY bin=PROGRAM|cni=PROGRAM...")
		os.Exit(2)
	}
	if err := pack(os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}

func pack(out, binary string, programs []string) error {
	target, err := os.OpenFile(out, os.O_CREATE|os.O_RDWR|os.O_TRUNC, 0o755)
	if err != nil {
		return err
	}
	defer target.Close()
	size, err := appendFile(target, binary)
	if err != nil {
		return err
	}
	archive := zip.NewWriter(target)
	archive.SetOffset(size)
	digest := sha256.New()
	for _, program := range programs {
		folder, path, ok := strings.Cut(program, "=")
		if !ok {
			return fmt.Errorf("%q is not FOLDER=PROGRAM", program)
		}
		if err := add(archive, digest, folder+"/"+filepath.Base(path), path); err != nil {
			return err
		}
	}
	if err := archive.SetComment(hex.EncodeToString(digest.Sum(nil))); err != nil {
		return err
	}
	if err := archive.Close(); err != nil {
		return err
	}
	return target.Close()
}

func appendFile(target io.Writer, path string) (int64, error) {
	source, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer source.Close()
	return io.Copy(target, source)
}

// add stores a program uncompressed, without time or owner.
func add(archive *zip.Writer, digest io.Writer, name, path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	fmt.Fprintf(digest, "%s %d\n", name, len(content))
	if _, err := digest.Write(content); err != nil {
		return err
	}
	header := &zip.FileHeader{
		Name: name, Method: zip.Store, CRC32: crc32.ChecksumIEEE(content),
		CompressedSize64: uint64(len(content)), UncompressedSize64: uint64(len(content)),
	}
	header.SetMode(0o755)
	writer, err := archive.CreateRaw(header)
	if err != nil {
		return err
	}
	_, err = writer.Write(content)
	return err
}
