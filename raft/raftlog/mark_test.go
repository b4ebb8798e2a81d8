package raftlog

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAnEmptiedDirectoryIsNotANewOne(t *testing.T) {
	home := t.TempDir()
	c := testConfig(t, filepath.Join(home, "raft"))
	c.Mark = filepath.Join(home, "voter")
	open := func() error {
		t.Helper()
		if err := os.MkdirAll(c.Dir, 0o700); err != nil {
			t.Fatal(err)
		}
		s, err := Open(c)
		if err != nil {
			return err
		}
		return s.Close()
	}
	if err := open(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(c.Mark); err != nil {
		t.Fatal("no mark was left:", err)
	}
	if err := open(); err != nil {
		t.Errorf("a directory that is older than marks: %v", err)
	}
	for _, harm := range []struct {
		name  string
		empty func() error
	}{
		{"emptied but for the lock", func() error {
			return errors.Join(os.RemoveAll(filepath.Join(c.Dir, logName)), os.Remove(filepath.Join(c.Dir, birthName)))
		}},
		{"removed", func() error { return os.RemoveAll(c.Dir) }},
	} {
		name := harm.name
		if err := harm.empty(); err != nil {
			t.Fatal(name, err)
		}
		if err := open(); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), c.Mark) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Lstat(filepath.Join(c.Dir, birthName)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: a refused directory got a certificate: %v", name, err)
		}
	}
	if err := errors.Join(os.RemoveAll(c.Dir), os.Remove(c.Mark)); err != nil {
		t.Fatal(err)
	}
	if err := open(); err != nil {
		t.Errorf("without the mark it begins anew: %v", err)
	}
}
