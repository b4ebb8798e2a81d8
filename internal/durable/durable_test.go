package durable_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/baton-db/baton/internal/durable"
)

func TestAFileIsReplacedAsAWhole(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "votes")
	if err := os.WriteFile(path+".tmp", []byte(strings.Repeat("left by an attempt that was cut off", 9)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, content := range []string{"a longer first content", "second"} {
		if err := durable.Replace(path, []byte(content)); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != content {
			t.Errorf("the file holds %q, %v, want %q", got, err, content)
		}
	}
	inside, err := os.ReadDir(dir)
	if err != nil || len(inside) != 1 {
		t.Errorf("beside the file there is %v, %v", inside, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v, want 0600", info.Mode(), err)
	}
}

func TestAFileThatCannotBeReplacedStaysAsItWas(t *testing.T) {
	path := filepath.Join(t.TempDir(), "votes")
	if err := durable.Replace(path, []byte("old")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path+".tmp", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := durable.Replace(path, []byte("new")); err == nil {
		t.Error("replaced without a place to prepare it")
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "old" {
		t.Errorf("the file holds %q, %v", got, err)
	}
}

func TestAFileIsCreatedOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	if err := durable.Create(path, []byte("mine")); err != nil {
		t.Fatal(err)
	}
	if err := durable.Create(path, []byte("yours")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("created a second time: %v", err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "mine" {
		t.Errorf("the file holds %q, %v", got, err)
	}
}

func TestNamesInADirectoryThatIsNotThereAreNotDurable(t *testing.T) {
	if err := durable.SyncDir(filepath.Join(t.TempDir(), "missing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("synced: %v", err)
	}
}
