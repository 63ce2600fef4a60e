// Package payload carries the programs that the double runs besides itself.
// They are a zip archive, uncompressed, behind the executable's own end, and
// are laid down under data/<hash>/ in the data folder at first use.
package payload

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// ErrNone says that the executable was built without a payload.
var ErrNone = errors.New("this executable carries no programs; it was built by go build alone, use the packed one of `cargo xtask stage k3s`")

// Programs are the folders of the programs laid down.
type Programs struct {
	// Bin has containerd and its companions, CNI the network plugins.
	Bin, CNI string
}

// LayDown makes sure that the programs of this executable are under
// data/<hash>/bin and returns where. Earlier ones are left alone.
func LayDown(data string) (Programs, error) {
	executable, err := os.Executable()
	if err != nil {
		return Programs{}, err
	}
	archive, err := zip.OpenReader(executable)
	if errors.Is(err, zip.ErrFormat) {
		return Programs{}, ErrNone
	}
	if err != nil {
		return Programs{}, fmt.Errorf("programs inside %s: %w", executable, err)
	}
	defer archive.Close()
	root := filepath.Join(data, "data", archive.Comment)
	programs := Programs{Bin: filepath.Join(root, "bin"), CNI: filepath.Join(root, "cni")}
	if _, err := os.Stat(root); err == nil {
		return programs, pointCurrent(data, archive.Comment)
	}
	temporary := root + "-tmp"
	if err := os.RemoveAll(temporary); err != nil {
		return Programs{}, err
	}
	for _, file := range archive.File {
		if err := layDownOne(filepath.Join(temporary, filepath.Clean("/"+file.Name)), file); err != nil {
			return Programs{}, fmt.Errorf("lay down %s: %w", file.Name, err)
		}
	}
	if err := os.Rename(temporary, root); err != nil {
		return Programs{}, err
	}
	return programs, pointCurrent(data, archive.Comment)
}

// pointCurrent keeps data/current pointing at the programs in use.
func pointCurrent(data, hash string) error {
	link := filepath.Join(data, "data", "current")
	if target, err := os.Readlink(link); err == nil && target == hash {
		return nil
	}
	if err := os.Remove(link); err != nil && !os.IsNotExist(err) {
		return err
	}
	return os.Symlink(hash, link)
}

func layDownOne(path string, file *zip.File) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	source, err := file.Open()
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(target, source); err != nil {
		target.Close()
		return err
	}
	return target.Close()
}
