package images

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// harness is a watcher whose files are only counted.
type harness struct {
	*watcher
	brought chan string
	failing bool
}

func watch(t *testing.T, root string) *harness {
	t.Helper()
	h := &harness{brought: make(chan string, 64)}
	w, err := newWatcher(root, func(_ context.Context, path string) error {
		h.brought <- filepath.Base(path)
		if h.failing {
			return errors.New("unreadable")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	w.settle = 10 * time.Millisecond
	h.watcher = w
	w.start(t.Context())
	return h
}

func (h *harness) expect(t *testing.T, names ...string) {
	t.Helper()
	for _, want := range names {
		select {
		case got := <-h.brought:
			if got != want {
				t.Fatalf("got %s, want %s", got, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%s was not imported within 10 s", want)
		}
	}
}

func (h *harness) expectNone(t *testing.T) {
	t.Helper()
	select {
	case got := <-h.brought:
		t.Fatalf("%s was imported", got)
	default:
	}
}

// put writes a file beside and renames it, so that it appears at once.
func put(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	temporary := filepath.Join(t.TempDir(), "new")
	if err := os.WriteFile(temporary, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(temporary, path); err != nil {
		t.Fatal(err)
	}
}

func root(t *testing.T) string { return filepath.Join(t.TempDir(), "images") }

func TestFilesOfAllKindsAreImportedAtTheStart(t *testing.T) {
	images := root(t)
	names := []string{"a.tar", "b.tar.bz2", "c.tar.gz", "d.tar.lz4", "e.tar.zst", "f.tbz", "g.tgz", "h.tzst", "i.txt"}
	for _, name := range names {
		put(t, filepath.Join(images, name), "x")
	}
	watch(t, images).expect(t, names...)
}

func TestFilesOfOtherKindsAreLeftAlone(t *testing.T) {
	images := root(t)
	for _, name := range []string{"a.tar.xz", "b.zip", "c.TAR", ".cache.json"} {
		put(t, filepath.Join(images, name), "")
	}
	watch(t, images).expectNone(t)
}

func TestAFilePutThereLaterIsImported(t *testing.T) {
	images := root(t)
	put(t, filepath.Join(images, "a.tar"), "x")
	h := watch(t, images)
	h.expect(t, "a.tar")
	put(t, filepath.Join(images, "b.tar"), "x")
	h.expect(t, "b.tar")
}

func TestTheDirectoryMayBeMadeLater(t *testing.T) {
	images := root(t)
	h := watch(t, images)
	put(t, filepath.Join(images, "a.tar"), "x")
	h.expect(t, "a.tar")
}

func TestDirectoriesBelowAreWatchedToo(t *testing.T) {
	images := root(t)
	put(t, filepath.Join(images, "sub", "a.tar"), "x")
	h := watch(t, images)
	h.expect(t, "a.tar")
	put(t, filepath.Join(images, "sub", "b.tar"), "x")
	h.expect(t, "b.tar")
}

func TestAFailedFileIsTriedAgainAtItsNextChange(t *testing.T) {
	images := root(t)
	put(t, filepath.Join(images, "a.tar"), "x")
	h := watch(t, images)
	h.expect(t, "a.tar")
	h.failing = true
	put(t, filepath.Join(images, "b.tar"), "x")
	h.expect(t, "b.tar")
	put(t, filepath.Join(images, "b.tar"), "x")
	h.expect(t, "b.tar")
}

func TestWithoutACacheFileARestartImportsAgain(t *testing.T) {
	images := root(t)
	put(t, filepath.Join(images, "a.tar"), "x")
	watch(t, images).expect(t, "a.tar")
	watch(t, images).expect(t, "a.tar")
}

func TestWithACacheFileARestartSkipsWhatIsUnchanged(t *testing.T) {
	images := root(t)
	put(t, filepath.Join(images, ".cache.json"), "")
	put(t, filepath.Join(images, "a.tar"), "x")
	watch(t, images).expect(t, "a.tar")
	watch(t, images).expectNone(t)
}

func TestAFileIsChangedWhenBothSizeAndTimeAre(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	for _, check := range []struct {
		content   string
		time      time.Time
		unchanged bool
	}{
		{"x", now, true}, {"y", now.Add(time.Hour), true}, {"longer", now.Add(-time.Hour), true},
		{"longer", now, true}, {"longer", now.Add(time.Hour), false},
	} {
		path := filepath.Join(t.TempDir(), "a.tar")
		c := readCache(filepath.Dir(path))
		c.remember(path, written(t, path, "x", now))
		if c.isUnchanged(path, written(t, path, check.content, check.time)) != check.unchanged {
			t.Errorf("%q at %v: unchanged is not %v", check.content, check.time, check.unchanged)
		}
	}
}

func written(t *testing.T, path, content string, at time.Time) os.FileInfo {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func TestTheCacheForgetsFilesThatAreGone(t *testing.T) {
	images := root(t)
	put(t, filepath.Join(images, ".cache.json"), `{"/gone.tar":{"size":1,"modTime":"2026-01-02T03:04:05Z"}}`)
	watch(t, images)
	content, err := os.ReadFile(filepath.Join(images, ".cache.json"))
	if err != nil || string(content) != "{}" {
		t.Errorf("%q %v", content, err)
	}
}
