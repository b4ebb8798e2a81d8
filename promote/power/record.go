package power

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/baton-db/baton/internal/durable"
	"github.com/baton-db/baton/mysqld/process"
)

// record is what must not be forgotten: the server process that could have lost commits with the power. The zero value is none.
type record struct {
	Version  int      `json:"version"` // 1
	Process  string   `json:"process,omitempty"`
	Settings []string `json:"settings,omitempty"`
}

// read returns the record at path; none where there is no file, for an operator takes it away who has given the server a copy.
func read(path string) (record, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return record{}, nil
	}
	if err != nil {
		return record{}, fmt.Errorf("read what settings were wrong: %w", err)
	}
	var r record
	if err := json.Unmarshal(b, &r); err != nil || r.Version != 1 {
		return record{}, fmt.Errorf("%s is not readable: what settings were wrong is not known. Way out: if this server never lost power, remove that file, "+
			"else give the server a fresh copy first: %w", path, errors.Join(err, errors.ErrUnsupported))
	}
	return r, nil
}

func (r record) write(path string) error {
	r.Version = 1
	b, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode what settings are wrong: %w", err)
	}
	if err := durable.Replace(path, b); err != nil {
		return fmt.Errorf("keep what settings are wrong: %w", err)
	}
	return nil
}

// torn says why the server process now may lack what its GTIDs name, or "". A process that ends loses what it had not given to
// the kernel, and the kernel, with the power, what was not synced.
func (r record) torn(now string) string {
	switch {
	case r.Process == "" || now == "" || now == r.Process:
		return ""
	case process.Boot(r.Process) != process.Boot(now):
		return "its machine was started again after a process with " + strings.Join(r.Settings, ", ")
	case slices.Contains(r.Settings, "innodb_flush_log_at_trx_commit = 0"):
		return "its process ended with " + strings.Join(r.Settings, ", ")
	}
	return ""
}

// committed are those settings that decide over what was committed. What was only received never counts after a process has
// ended: see package promote/recall.
func committed(loose []string) []string {
	return slices.DeleteFunc(slices.Clone(loose), func(s string) bool { return strings.HasPrefix(s, "sync_relay_log ") })
}
