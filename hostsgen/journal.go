package hostsgen

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// journalVersion is the version of the journal on disk.
const journalVersion = 1

// journal is what an in-place write wants to do, on disk before it begins.
type journal struct {
	Version int    `json:"version"`
	Path    string `json:"path"`
	Old     []byte `json:"old"`
	New     []byte `json:"new"`
}

func (f *File) journalName(target string) string {
	sum := sha256.Sum256([]byte(target))
	return filepath.Join(f.Journal, "hosts-"+hex.EncodeToString(sum[:8])+".journal")
}

// writeJournal makes the intention durable.
func (f *File) writeJournal(target string, old, next []byte) error {
	if f.Journal == "" {
		return fmt.Errorf("%s must be written in place, which needs a journal directory", target)
	}
	body, err := json.Marshal(journal{Version: journalVersion, Path: target, Old: old, New: next})
	if err != nil {
		return fmt.Errorf("encode the journal: %w", err)
	}
	if err := os.MkdirAll(f.Journal, 0o700); err != nil {
		return fmt.Errorf("make the journal directory: %w", err)
	}
	name := f.journalName(target)
	if err := renameOver(name, name+".new", nil, body); err != nil {
		return fmt.Errorf("write the journal: %w", err)
	}
	return nil
}

// dropJournal says that the write is done.
func (f *File) dropJournal(target string) error {
	if err := os.Remove(f.journalName(target)); err != nil {
		return fmt.Errorf("drop the journal: %w", err)
	}
	return nil
}

// recover finishes an in-place write that was interrupted, when the file is still what that write can have left; a file
// that somebody else has written since is left to Merge.
func (f *File) recover(target string) error {
	if f.Journal == "" {
		return nil
	}
	body, err := os.ReadFile(f.journalName(target))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the journal: %w", err)
	}
	var j journal
	if err := json.Unmarshal(body, &j); err != nil || j.Version != journalVersion || j.Path != target {
		return fmt.Errorf("journal %s: version %d for %s, want version %d for %s: %w; delete it after looking at the file",
			f.journalName(target), j.Version, j.Path, journalVersion, target, errors.Join(err, ErrDamaged))
	}
	present, err := read(target)
	if err != nil {
		return err
	}
	if !present.exists || !between(present.content, j.Old, j.New) {
		f.logger().Warn("an interrupted write of the hosts file is given up: the file was changed since", "path", target)
		return f.dropJournal(target)
	}
	file, err := os.OpenFile(target, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	if err := patch(file, present.content, j.New); err != nil {
		return fmt.Errorf("finish an interrupted write: %w", err)
	}
	if err := finish(file, present, j.New); err != nil {
		return fmt.Errorf("finish an interrupted write: %w", err)
	}
	f.logger().Info("an interrupted write of the hosts file is finished", "path", target)
	return f.dropJournal(target)
}

// between reports whether content can be seen while patch turns old into next: every byte is the old one, the new one
// or, behind the new end, padding.
func between(content, old, next []byte) bool {
	if len(content) < min(len(old), len(next)) || len(content) > max(len(old), len(next)) {
		return false
	}
	for i, c := range content {
		switch {
		case i < len(old) && c == old[i], i < len(next) && c == next[i], i >= len(next) && c == '\n':
		default:
			return false
		}
	}
	return !bytes.Contains(content, []byte{0})
}
