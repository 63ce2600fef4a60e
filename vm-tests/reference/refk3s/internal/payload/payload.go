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
	"syscall"
)

// ErrNone says that the executable was built without a payload.
var ErrNone = errors.New("this executable carries no programs; it was built by go build alone, use the packed one of `cargo xtask build k3s`")

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
		return programs, nil
	}
	unlock, err := lock(filepath.Join(data, "data"))
	if err != nil {
		return Programs{}, err
	}
	defer unlock()
	if _, err := os.Stat(root); err == nil {
		return programs, nil
	}
	temporary := root + "-tmp"
	if err := os.RemoveAll(temporary); err != nil {
		return Programs{}, err
	}
	source, err := os.Open(executable)
	if err != nil {
		return Programs{}, err
	}
	defer source.Close()
	for _, file := range archive.File {
		if err := layDownOne(filepath.Join(temporary, filepath.Clean("/"+file.Name)), file, source); err != nil {
			return Programs{}, fmt.Errorf("lay down %s: %w", file.Name, err)
		}
	}
	if err := pointCurrent(data, archive.Comment); err != nil {
		return Programs{}, err
	}
	return programs, os.Rename(temporary, root)
}

// lock lets one process at a time lay programs down: `k3s server` and a tool
// may start at the same moment.
func lock(folder string) (unlock func(), err error) {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(folder, ".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		file.Close()
		return nil, fmt.Errorf("lock %s: %w", file.Name(), err)
	}
	return func() { file.Close() }, nil
}

// Beside returns the programs laid down together with this one.
func Beside() (Programs, error) {
	executable, err := os.Executable()
	if err != nil {
		return Programs{}, err
	}
	bin := filepath.Dir(executable)
	programs := Programs{Bin: bin, CNI: filepath.Join(filepath.Dir(bin), "cni")}
	if _, err := os.Stat(filepath.Join(bin, "containerd")); err != nil {
		return Programs{}, fmt.Errorf("containerd belongs beside %s; start the double as `k3s server`: %w", executable, err)
	}
	return programs, nil
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

func layDownOne(path string, file *zip.File, executable *os.File) error {
	if file.Method != zip.Store {
		return errors.New("it is compressed")
	}
	offset, err := file.DataOffset()
	if err != nil {
		return err
	}
	if _, err := executable.Seek(offset, io.SeekStart); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	target, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	// Between two files the kernel copies by itself; unpacking would read every byte here.
	if _, err := target.ReadFrom(io.LimitReader(executable, int64(file.UncompressedSize64))); err != nil {
		target.Close()
		return err
	}
	return target.Close()
}
