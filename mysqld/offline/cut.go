package offline

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/mysqld/binlog"
)

var (
	// ErrRuns: a server has its data open.
	ErrRuns = errors.New("a server runs on this data")
	// ErrCommitted: it is too late to take the transactions back.
	ErrCommitted = errors.New("is committed in the tables already")
)

// Tail is the last binary log of a server.
type Tail struct {
	File string
	// Crashed says that the server ended without closing it.
	Crashed bool
	// Holds is the transactions in it.
	Holds mysqld.GTIDSet

	all  []binlog.Transaction
	size int64
}

// LastLog reads the last binary log of a server, dead or alive.
func LastLog(p mysqld.Places) (Tail, error) {
	logs, err := binlog.Index(p.BinlogIndex)
	if err != nil {
		return Tail{}, err
	}
	if len(logs) == 0 {
		return Tail{}, fmt.Errorf("index %s names no binary log", p.BinlogIndex)
	}
	return tailOf(p.Flavor, logs[len(logs)-1])
}

func tailOf(flavor mysqld.Flavor, path string) (Tail, error) {
	t := Tail{File: path}
	var bad error
	f, err := binlog.Read(path, func(x binlog.Transaction) bool {
		var one mysqld.GTIDSet
		if one, bad = mysqld.ParseGTIDSet(flavor, x.GTID); bad != nil {
			return false
		}
		t.Holds, t.all = t.Holds.Union(one), append(t.all, x)
		return true
	})
	t.Crashed, t.size = f.InUse, f.Size
	return t, errors.Join(err, bad)
}

// Cut takes unwanted, and everything behind the first of it, out of the last binary log of a dead MySQL server. It refuses
// with ErrCommitted where an older log has some of it, or the server was stopped in good order. When nothing of it is
// there it does nothing.
func Cut(p mysqld.Places, unwanted mysqld.GTIDSet) (err error) {
	if p.Flavor != mysqld.MySQL {
		return fmt.Errorf("cut the binary log of %s: only MySQL keeps its GTIDs elsewhere too", p.Flavor)
	}
	release, err := hold(p.DataDir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	if err := uncommitted(p, unwanted); err != nil {
		return err
	}
	t, err := LastLog(p)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(t.all, func(x binlog.Transaction) bool {
		one, err := mysqld.ParseGTIDSet(p.Flavor, x.GTID)
		return err == nil && !one.IsEmpty() && unwanted.Contains(one)
	})
	switch {
	case i < 0:
		return nil
	case !t.Crashed:
		return fmt.Errorf("%s of %s %w: the server was stopped in good order", unwanted, t.File, ErrCommitted)
	}
	if err := truncate(t.File, t.all[i].Start); err != nil {
		return fmt.Errorf("cut %s at %d: %w", t.File, t.all[i].Start, err)
	}
	return nil
}

// uncommitted refuses what stands in a log that is not the last: a server begins another one only when all in it is
// committed.
func uncommitted(p mysqld.Places, unwanted mysqld.GTIDSet) error {
	logs, err := binlog.Index(p.BinlogIndex)
	if err != nil || len(logs) < 2 {
		return err
	}
	t, err := tailOf(p.Flavor, logs[len(logs)-2])
	if err != nil {
		return err
	}
	if old := t.Holds.Intersect(unwanted); !old.IsEmpty() {
		return fmt.Errorf("%s of %s %w", old, t.File, ErrCommitted)
	}
	return nil
}

func truncate(path string, size int64) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(size), f.Sync(), f.Close())
}

// hold takes the lock by which InnoDB keeps a second server from its data.
func hold(dataDir string) (release func() error, err error) {
	path := filepath.Join(dataDir, "ibdata1")
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("lock the data of the server: %w", err)
	}
	err = unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK})
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		err = ErrRuns
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	return f.Close, nil
}

// Free returns ErrRuns while a server has its data open.
func Free(p mysqld.Places) error {
	path := filepath.Join(p.DataDir, "ibdata1")
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("see whether a server runs: %w", err)
	}
	defer f.Close()
	lock := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &lock); err != nil { // taking it could be in the way of a start
		return fmt.Errorf("see whether a server runs: %s: %w", path, err)
	}
	if lock.Type != unix.F_UNLCK {
		return fmt.Errorf("%s: %w", path, ErrRuns)
	}
	return nil
}
