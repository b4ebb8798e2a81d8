package hostsgen

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/baton-db/baton/registry"
)

// File keeps the block of one cluster in one hosts file. One goroutine uses it at a time.
type File struct {
	// Path is the hosts file. A symbolic link is followed and stays.
	Path string
	// Options say what the block shows; Domain and Cluster must be set.
	Options Options
	// Journal is a directory of baton's own, for what must survive a kill in the middle of an in-place write.
	Journal string
	Logger  *slog.Logger

	lastIndex registry.Index // newest that was shown, also when nothing had to be written for it
	lastEpoch registry.Epoch
}

// maxTries is how often a file that others keep changing is read again.
const maxTries = 5

// errMoved says that somebody else changed the file between reading and replacing it.
var errMoved = errors.New("changed by another program meanwhile")

// errInUse says that another process keeps a hosts file in the same directory.
var errInUse = errors.New("locked by another process that keeps a hosts file in this directory")

// Update makes the block show records, which belong to the state at index, and reports whether the file was written.
// The file is left as it is, with an error, when it is damaged (ErrDamaged), when the block would go back (ErrBackwards)
// or lose all its lines (ErrEmpty), and when it cannot be replaced with its owner, mode and attributes.
func (f *File) Update(ctx context.Context, records []registry.Record, index registry.Index) (changed bool, err error) {
	b := Render(records, index, f.Options)
	if b.Index < f.lastIndex || b.Epoch < f.lastEpoch {
		return false, fmt.Errorf("update %s: gen %d epoch %d after gen %d epoch %d: %w",
			f.Path, b.Index, b.Epoch, f.lastIndex, f.lastEpoch, ErrBackwards)
	}
	next, changed, err := f.edit(ctx, func(old []byte) ([]byte, error) { return Merge(old, b) })
	if err != nil {
		return false, fmt.Errorf("update %s: %w", f.Path, err)
	}
	f.lastIndex, f.lastEpoch = b.Index, b.Epoch
	if changed {
		f.report(b, next)
	}
	return changed, nil
}

// Remove takes the block out of the file and reports whether there was one.
func (f *File) Remove(ctx context.Context) (changed bool, err error) {
	_, changed, err = f.edit(ctx, func(old []byte) ([]byte, error) { return Strip(old, f.Options.Cluster) })
	if err != nil {
		return false, fmt.Errorf("remove the block from %s: %w", f.Path, err)
	}
	return changed, nil
}

// report logs a written block and what is wrong with it.
func (f *File) report(b Block, next []byte) {
	log := f.logger().With("path", f.Path)
	log.Info("hosts file written", "gen", b.Index, "epoch", b.Epoch, "lines", len(b.Lines))
	for _, p := range b.Problems {
		log.Warn("not shown in the hosts file", "problem", p)
	}
	for _, c := range Conflicts(next, b) {
		log.Warn("a line outside of the block names the same host and may win", "line", c.Line, "name", c.Name)
	}
}

func (f *File) logger() *slog.Logger {
	if f.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return f.Logger
}

// edit replaces the file's content by change of it, unless that is the same. It begins again when another program writes
// the file in between.
func (f *File) edit(ctx context.Context, change func([]byte) ([]byte, error)) (next []byte, changed bool, err error) {
	target, err := resolve(f.Path)
	if err != nil {
		return nil, false, err
	}
	unlock, err := lock(ctx, filepath.Dir(target))
	if err != nil {
		return nil, false, err
	}
	defer unlock()
	if err := f.recover(target); err != nil {
		return nil, false, err
	}
	if err := os.Remove(f.tempName(target)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, false, fmt.Errorf("remove what a killed write left: %w", err)
	}
	for range maxTries {
		if err := ctx.Err(); err != nil {
			return nil, false, err
		}
		old, err := read(target)
		if err != nil {
			return nil, false, err
		}
		next, err := change(old.content)
		if err != nil || bytes.Equal(next, old.content) {
			return next, false, err
		}
		err = f.replace(target, old, next)
		if !errors.Is(err, errMoved) {
			return next, err == nil, err
		}
	}
	return nil, false, fmt.Errorf("%d times in a row: %w", maxTries, errMoved)
}

// replace writes next by rename, or in place where rename cannot work.
func (f *File) replace(target string, old *snapshot, next []byte) error {
	if !isMountPoint(target) {
		err := renameOver(target, f.tempName(target), old, next)
		if !errors.Is(err, unix.EBUSY) {
			return err
		}
	}
	if !old.exists {
		return fmt.Errorf("%s is a mount point without a file", target)
	}
	return f.overwrite(target, old, next)
}

// tempName is the one temporary file of this cluster beside target; a kill leaves at most one behind, which the next
// edit takes away.
func (f *File) tempName(target string) string {
	return filepath.Join(filepath.Dir(target), fmt.Sprintf(".%s.baton-%s", filepath.Base(target), f.Options.Cluster))
}

// snapshot is the file as it was read.
type snapshot struct {
	exists  bool
	content []byte
	stat    unix.Stat_t
}

// same reports whether the file is still the one that was read.
func (s *snapshot) same(st *unix.Stat_t) bool {
	return s.exists && s.stat.Dev == st.Dev && s.stat.Ino == st.Ino && s.stat.Size == st.Size &&
		s.stat.Mtim == st.Mtim && s.stat.Ctim == st.Ctim
}

// read takes a snapshot of target, which may be missing. Anything but a regular file is refused without opening it for
// longer than it takes to see that: opening a FIFO must not block.
func read(target string) (*snapshot, error) {
	file, err := os.OpenFile(target, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return &snapshot{}, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	s := &snapshot{exists: true}
	if err := unix.Fstat(int(file.Fd()), &s.stat); err != nil {
		return nil, fmt.Errorf("stat %s: %w", target, err)
	}
	if s.stat.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, fmt.Errorf("%s is not a regular file", target)
	}
	s.content, err = io.ReadAll(io.LimitReader(file, maxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", target, err)
	}
	return s, nil
}

// resolve follows path to the file to write. What is no place for a hosts file is refused.
func resolve(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	target, err := filepath.EvalSymlinks(abs)
	if errors.Is(err, fs.ErrNotExist) {
		if _, lerr := os.Lstat(abs); lerr == nil {
			return "", fmt.Errorf("%s is a symbolic link to nothing", path)
		}
		dir, derr := filepath.EvalSymlinks(filepath.Dir(abs))
		target, err = filepath.Join(dir, filepath.Base(abs)), derr
	}
	if err != nil {
		return "", err
	}
	for _, dir := range []string{"/proc/", "/sys/", "/dev/"} {
		if strings.HasPrefix(target, dir) && !strings.HasPrefix(target, "/dev/shm/") {
			return "", fmt.Errorf("%s leads to %s: there is no hosts file in %s", path, target, dir)
		}
	}
	return target, nil
}

// lock keeps other batons from writing in dir until the returned function is called. It waits until ctx ends, at most a
// second.
func lock(ctx context.Context, dir string) (unlock func(), err error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		err := unix.Flock(int(d.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { _ = d.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", dir, err), d.Close())
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("lock %s: %w", dir, errInUse), d.Close())
		}
	}
}
