package storage

import (
	"os"
	"path/filepath"
	"testing"

	"emts.dev/refk3s/internal/settings"
)

func TestDataMovesOverAtTheFirstStartWithClusterInit(t *testing.T) {
	s := &settings.Server{Folders: settings.Folders{Data: t.TempDir()}}
	without, err := Directory(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(without, "member"), 0o700); err != nil {
		t.Fatal(err)
	}
	s.Etcd = true
	with, err := Directory(s)
	if err != nil || with == without {
		t.Fatalf("%s %v", with, err)
	}
	if _, err := os.Stat(filepath.Join(with, "member")); err != nil {
		t.Error(err)
	}
}

func TestANewServerWithClusterInitHasNothingToMove(t *testing.T) {
	s := &settings.Server{Folders: settings.Folders{Data: t.TempDir()}, Etcd: true}
	if directory, err := Directory(s); err != nil || directory != s.Folders.Etcd() {
		t.Errorf("%s %v", directory, err)
	}
}
