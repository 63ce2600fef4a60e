package images

import (
	"encoding/json"
	"os"
	"path/filepath"

	"github.com/sirupsen/logrus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// fileState is what K3s remembers of an imported file.
type fileState struct {
	Size    int64       `json:"size"`
	ModTime metav1.Time `json:"modTime"`
	// seen is true for a file that was there since the start.
	seen bool
}

// cache is agent/images/.cache.json. It outlives a restart only where the user
// made the file.
type cache struct {
	path  string
	files map[string]*fileState
}

func readCache(directory string) *cache {
	c := &cache{path: filepath.Join(directory, ".cache.json"), files: map[string]*fileState{}}
	content, err := os.ReadFile(c.path)
	if err != nil {
		if !os.IsNotExist(err) {
			logrus.Errorf("Failed to open image import fileinfo cache: %v", err)
		}
		return c
	}
	if len(content) == 0 {
		return c
	}
	if err := json.Unmarshal(content, &c.files); err != nil {
		logrus.Errorf("Failed to unmarshal image import fileinfo cache: %v", err)
	}
	return c
}

// isUnchanged says whether the file was imported before. As in K3s a change is
// one of both size and time, to a later one.
func (c *cache) isUnchanged(path string, info os.FileInfo) bool {
	state := c.files[path]
	if state == nil {
		return false
	}
	state.seen = true
	return info.Size() == state.Size || !info.ModTime().After(state.ModTime.Time)
}

func (c *cache) remember(path string, info os.FileInfo) {
	c.files[path] = &fileState{Size: info.Size(), ModTime: metav1.NewTime(info.ModTime()), seen: true}
	c.write()
}

func (c *cache) forget(path string) {
	delete(c.files, path)
	c.write()
}

func (c *cache) forgetAll() {
	clear(c.files)
	c.write()
}

// prune drops the files that are not there any more.
func (c *cache) prune() {
	for path, state := range c.files {
		if !state.seen {
			delete(c.files, path)
		}
	}
	c.write()
}

func (c *cache) write() {
	file, err := os.OpenFile(c.path, os.O_WRONLY|os.O_TRUNC, 0)
	if os.IsNotExist(err) {
		return
	}
	if err != nil {
		logrus.Errorf("Failed to truncate image import fileinfo cache: %v", err)
		return
	}
	defer file.Close()
	content, err := json.Marshal(c.files)
	if err == nil {
		_, err = file.Write(content)
	}
	if err != nil {
		logrus.Errorf("Failed to write image import fileinfo cache: %v", err)
	}
}
