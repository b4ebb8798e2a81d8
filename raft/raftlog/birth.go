package raftlog

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/baton-db/baton/internal/durable"
)

// ErrDamaged is wrapped by errors about stored state that is incomplete, older than it was or has wrong checksums. A
// server never votes from such state: it could have promised something that it no longer remembers.
var ErrDamaged = errors.New("stored state is damaged or incomplete")

// ErrForeign is wrapped by errors about a directory that belongs to another node or cluster.
var ErrForeign = errors.New("stored state belongs to somebody else")

// ErrNewer is wrapped by errors about a directory that a newer baton has written.
var ErrNewer = errors.New("stored state has a newer format")

// ErrLocked is wrapped when another process uses the directory.
var ErrLocked = errors.New("directory is in use")

// Names in the data directory. They are part of the format and must not change.
const (
	birthName     = "birth"
	lockName      = "lock"
	logName       = "log"
	snapshotsName = "snapshots"
)

// A certificate is the birth certificate of a data directory: whose it is, and marks below which it must never be found.
// It lives beside the log, so that a log which is emptied, truncated between frames or restored from a backup is
// recognised although each of its bytes is in order. The marks may lag behind the log but never lead it.
type certificate struct {
	Format    int    `json:"format"`
	Cluster   string `json:"cluster"`
	Node      string `json:"node"`
	Segment   uint64 `json:"segment"`    // newest segment
	LastIndex uint64 `json:"last_index"` // last log entry
	Snapshot  uint64 `json:"snapshot"`   // newest snapshot
	Term      uint64 `json:"term"`       // highest term seen
	VoteTerm  uint64 `json:"vote_term"`  // highest term voted in
}

// birthHeader is the first line of the file; the second is JSON, the third its CRC32C.
const birthHeader = "baton raft birth certificate, do not edit or copy"

func encodeCertificate(c certificate) ([]byte, error) {
	body, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encode birth certificate: %w", err)
	}
	return fmt.Appendf(nil, "%s\n%s\n%08x\n", birthHeader, body, checksum(body)), nil
}

func decodeCertificate(b []byte) (certificate, error) {
	var c certificate
	lines := strings.Split(string(b), "\n")
	if len(lines) != 4 || lines[0] != birthHeader || lines[2] != fmt.Sprintf("%08x", checksum([]byte(lines[1]))) {
		return c, fmt.Errorf("birth certificate: checksum or shape is wrong: %w", ErrDamaged)
	}
	if err := json.Unmarshal([]byte(lines[1]), &c); err != nil {
		return c, fmt.Errorf("birth certificate: %w: %w", err, ErrDamaged)
	}
	return c, nil
}

// belongs reports whether the certificate is that of a node and readable by this baton.
func (c certificate) belongs(cluster string, node string) error {
	if c.Format > formatVersion {
		return fmt.Errorf("birth certificate: format %d, this baton reads up to %d: %w", c.Format, formatVersion, ErrNewer)
	}
	if c.Cluster != cluster || c.Node != node {
		return fmt.Errorf("birth certificate: node %s of cluster %s, this is node %s of cluster %s: %w",
			c.Node, c.Cluster, node, cluster, ErrForeign)
	}
	return nil
}

// below reports in which respect c, read from the log, is behind the marks.
func (c certificate) below(marks certificate) error {
	for _, m := range []struct {
		what        string
		found, want uint64
	}{
		{"newest segment", c.Segment, marks.Segment},
		{"last index", c.LastIndex, marks.LastIndex},
		{"newest snapshot", c.Snapshot, marks.Snapshot},
		{"term", c.Term, marks.Term},
		{"last vote", c.VoteTerm, marks.VoteTerm},
	} {
		if m.found < m.want {
			return fmt.Errorf("%s is %d but was at least %d, as if emptied or restored from a backup: %w",
				m.what, m.found, m.want, ErrDamaged)
		}
	}
	return nil
}

// birth keeps the certificate of a directory on disk.
type birth struct {
	dir  string
	mu   sync.Mutex
	have certificate // on disk
	want certificate
	// nudge holds one token when want should be written soon.
	nudge chan struct{}
}

// markEvery is by how many entries the mark of the last index may lag in a running server.
const markEvery = 1024

// raise moves marks up. The write happens in the background: a mark that lags is still true.
func (b *birth) raise(change func(*certificate)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(&b.want)
	soon := b.want
	soon.LastIndex = b.have.LastIndex
	if soon != b.have || b.want.LastIndex >= b.have.LastIndex+markEvery {
		select {
		case b.nudge <- struct{}{}:
		default:
		}
	}
}

// lower moves the mark of the last index down and is durable when it returns, because the log is about to be cut.
func (b *birth) lower(last uint64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.want.LastIndex = min(b.want.LastIndex, last)
	if b.have.LastIndex <= last {
		return nil
	}
	return b.writeLocked()
}

// write makes the marks durable.
func (b *birth) write() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.writeLocked()
}

func (b *birth) writeLocked() error {
	if b.have == b.want {
		return nil
	}
	bytes, err := encodeCertificate(b.want)
	if err != nil {
		return err
	}
	if err := durable.Replace(filepath.Join(b.dir, birthName), bytes); err != nil {
		return fmt.Errorf("write birth certificate: %w", err)
	}
	b.have = b.want
	return nil
}

// Begun reports whether dir holds anything else than a lock, or mark is there.
func Begun(dir, mark string) (bool, error) {
	if _, err := os.Lstat(mark); err == nil {
		return true, nil
	}
	inside, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return false, fmt.Errorf("look for earlier state: %w", err)
	}
	return len(inside) > 1 || len(inside) == 1 && inside[0].Name() != lockName, nil
}

// bornBefore refuses an empty directory whose mark says that it was not empty.
func (s *Store) bornBefore(dir string) error {
	if s.mark == "" {
		return nil
	}
	switch _, err := os.Lstat(s.mark); {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("look for earlier state: %w", err)
	}
	return fmt.Errorf("%s is empty, but %s says that this server has voted from it: %w", dir, s.mark, ErrDamaged)
}

// leaveMark makes the file outside the directory, after the certificate: a crash in between leaves a server that never
// voted and may begin.
func (s *Store) leaveMark() error {
	if s.mark == "" {
		return nil
	}
	if _, err := os.Lstat(s.mark); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	says := fmt.Appendf(nil, "Server %s of cluster %s votes, and keeps its votes in the directory beside this file. Do not remove it.\n", s.node, s.cluster)
	if err := durable.Replace(s.mark, says); err != nil {
		return fmt.Errorf("leave a mark outside the data directory: %w", err)
	}
	return nil
}

// lockDir takes the directory for this process. The lock ends with the process, however it ends.
func lockDir(dir string) (*os.File, error) {
	path := filepath.Join(dir, lockName)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder, _ := os.ReadFile(path)
		f.Close()
		return nil, fmt.Errorf("lock %s: held by process %s: %w", dir, strings.TrimSpace(string(holder)), ErrLocked)
	}
	err = f.Truncate(0)
	if err == nil {
		_, err = f.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: write pid: %w", dir, err), f.Close())
	}
	return f, nil
}
