package identity

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/baton-db/baton/internal/durable"
)

// SaveNew is Save for a directory that is to be there complete or not at all, at whatever moment the machine stops. dir
// must be missing or empty, and nobody else may write beside it: the files are prepared in dir + ".new", which is removed
// first when an earlier attempt left it.
func (a *Authority) SaveNew(dir string) error {
	key, err := encodeKey(a.key)
	if err == nil {
		err = writeNew(dir, file{caKeyFile, key, 0o600}, file{caCertFile, a.CertPEM(), 0o644})
	}
	if err != nil {
		return fmt.Errorf("save the authority of %s: %w", a.cluster, err)
	}
	return nil
}

// SaveNew writes a node's identity as Save does, to a directory that is to be there complete or not at all: see
// Authority.SaveNew.
func SaveNew(dir string, caPEM, certPEM, keyPEM []byte) error {
	_, err := New(caPEM, certPEM, keyPEM)
	if err == nil {
		err = writeNew(dir, file{caCertFile, caPEM, 0o644}, file{nodeKeyFile, keyPEM, 0o600}, file{nodeCertFile, certPEM, 0o644})
	}
	if err != nil {
		return fmt.Errorf("save the identity: %w", err)
	}
	return nil
}

// writeNew makes a directory of files appear at once. An empty one makes room first; another one stays, and the error is
// fs.ErrExist.
func writeNew(dir string, files ...file) error {
	next := dir + ".new"
	if err := os.RemoveAll(next); err != nil {
		return fmt.Errorf("remove what an earlier attempt left: %w", err)
	}
	if err := writeAll(next, files...); err != nil {
		return err
	}
	if err := syscall.Rmdir(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return &fs.PathError{Op: "replace", Path: dir, Err: err}
	}
	if err := os.Rename(next, dir); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(dir))
}
