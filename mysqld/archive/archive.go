package archive

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/baton-db/baton/internal/durable"
	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/mysqld/binlog"
)

// manifestVersion is that of the format of a Manifest.
const manifestVersion = 1

// The names of the files of an archive.
const (
	manifestName = "manifest.json"
	sqlName      = "transactions.sql"
)

// Request says what is to be kept, and from where.
type Request struct {
	// Database, Instance, Epoch and Primary say whose transactions they are and who lacks them.
	Database, Instance, Primary string
	Epoch                       uint64
	Wanted                      mysqld.GTIDSet
	Places                      mysqld.Places
	Tool                        Tool
	Now                         time.Time
}

// Manifest describes an archive.
type Manifest struct {
	Version  int    `json:"version"`
	ID       string `json:"id"`
	Database string `json:"database"`
	Instance string `json:"instance"`
	// Epoch is the one in which Primary reigned, which lacks the transactions.
	Epoch   uint64        `json:"epoch"`
	Primary string        `json:"primary"`
	Flavor  mysqld.Flavor `json:"flavor"`
	// Server is the UUID (MySQL) or the server id (MariaDB) of the server that had them.
	Server string `json:"server"`
	GTIDs  string `json:"gtids"`
	Count  int    `json:"count"` // of transactions
	// First and Last are when the first and the last of them were written, At when they were archived.
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
	At    time.Time `json:"at"`
	// Bytes and SHA256 are of SQL, a file beside the manifest.
	SQL    string `json:"sql"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
	Tool   string `json:"tool"` // which printed it
}

// Entry is an archive on this machine's disk.
type Entry struct {
	Manifest
	Dir string // absolute path
}

// Dir is where the archives of one server are, below a node's data directory.
func Dir(data, database, instance string) string {
	return filepath.Join(data, "archive", database+"-"+instance)
}

// Save makes what is wanted durable below dir and returns it, or returns what has the same transactions of the same server
// already. After an error nothing has been kept; ErrNoTool and ErrMissing are for a person to mend.
func Save(ctx context.Context, dir string, r Request) (Entry, error) {
	known, err := List(dir)
	if err != nil {
		return Entry{}, err
	}
	for _, e := range known {
		if e.Server == r.Places.Source && e.GTIDs == r.Wanted.String() {
			return e, nil
		}
	}
	logs, err := Logs(r.Places)
	if err != nil {
		return Entry{}, err
	}
	f, err := find(r.Places.Flavor, r.Wanted, logs)
	if err != nil {
		return Entry{}, fmt.Errorf("archive %s: %w. Way out: they cannot be kept any more; give it a fresh copy by hand (docs/operate.md)", r.Wanted, err)
	}
	e, err := write(ctx, dir, r, f)
	if err != nil {
		return Entry{}, fmt.Errorf("archive %s in %s: %w", r.Wanted, dir, err)
	}
	return e, nil
}

// Logs are the files in which transactions may be, relay logs first: what was received is older than what was applied.
func Logs(p mysqld.Places) ([]string, error) {
	var all []string
	if p.RelayIndex != "" {
		relays, err := binlog.Index(p.RelayIndex)
		if err != nil && !errors.Is(err, os.ErrNotExist) { // a server that never followed has none
			return nil, err
		}
		all = relays
	}
	logs, err := binlog.Index(p.BinlogIndex)
	if err != nil {
		return nil, err
	}
	return append(all, logs...), nil
}

func write(ctx context.Context, dir string, r Request, f found) (e Entry, err error) {
	sum := sha256.Sum256([]byte(r.Places.Source + " " + r.Wanted.String()))
	id := fmt.Sprintf("%s-e%d-%x", r.Now.UTC().Format("20060102T150405Z"), r.Epoch, sum[:4])
	if err := makeDir(dir); err != nil {
		return Entry{}, err
	}
	work := filepath.Join(dir, "."+id)
	if err := os.RemoveAll(work); err != nil { // of an attempt that was interrupted
		return Entry{}, err
	}
	if err := os.Mkdir(work, 0o700); err != nil {
		return Entry{}, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(work))
		}
	}()
	m := Manifest{Version: manifestVersion, ID: id, Database: r.Database, Instance: r.Instance, Epoch: r.Epoch, Primary: r.Primary,
		Flavor: r.Places.Flavor, Server: r.Places.Source, GTIDs: r.Wanted.String(), Count: f.count, First: time.Unix(int64(f.first), 0).UTC(),
		Last: time.Unix(int64(f.last), 0).UTC(), At: r.Now.UTC().Truncate(time.Second), SQL: sqlName, Tool: r.Tool.Version}
	if m.Bytes, m.SHA256, err = writeSQL(ctx, filepath.Join(work, sqlName), r, f); err != nil {
		return Entry{}, err
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return Entry{}, err
	}
	if err := durable.Create(filepath.Join(work, manifestName), append(text, '\n')); err != nil {
		return Entry{}, err
	}
	if err := durable.SyncDir(work); err != nil {
		return Entry{}, err
	}
	final := filepath.Join(dir, id)
	if err := os.Rename(work, final); err != nil {
		return Entry{}, err
	}
	if err := durable.SyncDir(dir); err != nil {
		return Entry{}, err
	}
	return Entry{m, final}, nil
}

// writeSQL prints the stretches one after the other, and proves that each transaction is in the print.
func writeSQL(ctx context.Context, path string, r Request, f found) (size int64, sum string, err error) {
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, "", err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	hash := sha256.New()
	p := &print{out: io.MultiWriter(out, hash), flavor: r.Places.Flavor}
	if err := p.text("-- baton: %d transactions of server %s of %s (%s) that %s lacked in epoch %d.\n-- %s\n",
		f.count, r.Instance, r.Database, r.Places.Source, r.Primary, r.Epoch, strings.ReplaceAll(r.Wanted.String(), "\n", "")); err != nil {
		return 0, "", err
	}
	for _, s := range f.stretches {
		if err := p.text("\n-- %s, bytes %d to %d\n", filepath.Base(s.file), s.start, s.end); err != nil {
			return 0, "", err
		}
		if err := p.stretch(ctx, r.Tool, s); err != nil {
			return 0, "", err
		}
	}
	if missing := f.set.Minus(p.seen); !missing.IsEmpty() {
		return 0, "", fmt.Errorf("%s did not print %s", r.Tool.Path, missing)
	}
	if err := out.Sync(); err != nil {
		return 0, "", err
	}
	return p.size, hex.EncodeToString(hash.Sum(nil)), nil
}

// List returns the archives below dir, oldest first. A directory without a readable manifest is an error: it is no archive
// of ours, or was damaged.
func List(dir string) ([]Entry, error) {
	names, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list archives: %w", err)
	}
	var all []Entry
	for _, n := range names {
		if strings.HasPrefix(n.Name(), ".") {
			continue
		}
		e, err := load(filepath.Join(dir, n.Name()))
		if err != nil {
			return nil, fmt.Errorf("list archives: %w", err)
		}
		all = append(all, e)
	}
	slices.SortStableFunc(all, func(a, b Entry) int { return a.At.Compare(b.At) })
	return all, nil
}

func load(dir string) (Entry, error) {
	text, err := os.ReadFile(filepath.Join(dir, manifestName))
	if err != nil {
		return Entry{}, err
	}
	m, err := parseManifest(text)
	if err != nil {
		return Entry{}, fmt.Errorf("%s: %w", dir, err)
	}
	info, err := os.Stat(filepath.Join(dir, m.SQL))
	if err == nil && info.Size() != m.Bytes {
		err = fmt.Errorf("%s has %d bytes, and had %d", m.SQL, info.Size(), m.Bytes)
	}
	if err != nil {
		return Entry{}, fmt.Errorf("%s: %w", dir, err)
	}
	return Entry{m, dir}, nil
}

func parseManifest(text []byte) (Manifest, error) {
	var m Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return Manifest{}, err
	}
	if m.Version != manifestVersion || m.SQL != sqlName {
		return Manifest{}, fmt.Errorf("manifest of version %d, file %q: want %d, %s", m.Version, m.SQL, manifestVersion, sqlName)
	}
	return m, nil
}

// makeDir makes dir and syncs every directory that got a new name.
func makeDir(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := makeDir(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return durable.SyncDir(filepath.Dir(dir))
}
