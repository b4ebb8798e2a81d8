// Package durable writes files that a loss of power leaves whole: with the old content or with the new one, never without a
// name and never half.
package durable

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Replace gives the file at path new content, as a whole, and returns when content and name are on the disk. It prepares
// path + ".tmp", which it overwrites when an attempt that was cut off left one: one writer at a time. The file can be read by
// its owner only. After an error before the rename the file is as it was, after one behind it the file is new, and may be old
// again after a loss of power.
func Replace(path string, content []byte) error {
	next := path + ".tmp"
	if err := write(next, content, os.O_TRUNC); err != nil {
		return err
	}
	if err := os.Rename(next, path); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// Create writes a file that is not there yet, else the error is fs.ErrExist. Its content is on the disk when Create returns;
// its name is only after SyncDir. It can be read by its owner only.
func Create(path string, content []byte) error { return write(path, content, os.O_EXCL) }

func write(path string, content []byte, how int) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|how, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// SyncDir makes the names in dir durable: which files there are, not what is in them.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("open a directory to sync it: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}
