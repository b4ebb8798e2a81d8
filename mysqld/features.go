package mysqld

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// features are what one running server offers; they decide what is said to it. Names of semi-sync settings changed in
// the middle of a MySQL series, so they are looked at and never derived from a version.
type features struct {
	flavor   Flavor
	version  string
	has      row  // the semi-sync and a few other settings at the time of the look
	oldWords bool // semi-sync settings are called master and slave
	beats    bool // MySQL counts heartbeats and lets this account read them
	dialect
}

const askFeatures = `SHOW GLOBAL VARIABLES WHERE Variable_name IN ('version', 'super_read_only', ` +
	`'offline_mode', 'performance_schema') OR Variable_name LIKE 'rpl\_semi\_sync%'`

const askBeats = `SELECT COUNT_RECEIVED_HEARTBEATS FROM performance_schema.replication_connection_status`

func detect(ctx context.Context, c *session) (*features, error) {
	all, err := c.rows(ctx, askFeatures)
	if err != nil {
		return nil, err
	}
	f := &features{has: row{}}
	for _, r := range all {
		name := strings.ToLower(r["Variable_name"])
		f.oldWords = f.oldWords || strings.Contains(name, "slave") || strings.Contains(name, "master")
		f.has[words(name)] = r["Value"]
	}
	f.version = f.has["version"]
	f.flavor = MySQL
	if strings.Contains(f.version, "MariaDB") {
		f.flavor = MariaDB
	}
	if f.flavor == MySQL && !versionAtLeast(f.version, 8, 0, 23) {
		return nil, fmt.Errorf("MySQL %s is too old: 8.0.23 is the oldest that is spoken to", f.version)
	}
	if f.flavor == MySQL && f.has.on("performance_schema") {
		_, err := c.rows(ctx, askBeats)
		if err != nil && code(err) != errDenied {
			return nil, err
		}
		f.beats = err == nil
	}
	f.dialect = f.speak()
	return f, nil
}

// offers says whether the server has a setting, under today's name.
func (f *features) offers(setting string) bool {
	_, ok := f.has[setting]
	return ok
}

// spelled is the server's own name of a semi-sync setting.
func (f *features) spelled(setting string) string {
	if !f.oldWords {
		return setting
	}
	return strings.NewReplacer("source", "master", "replica", "slave").Replace(setting)
}

// versionAtLeast compares the leading numbers of a version such as "8.0.36-28" or "10.11.19-MariaDB".
func versionAtLeast(version string, want ...int) bool {
	version, _, _ = strings.Cut(version, "-")
	parts := strings.Split(version, ".")
	for i, w := range want {
		if i >= len(parts) {
			return false
		}
		have, err := strconv.Atoi(parts[i])
		if err != nil || have != w {
			return err == nil && have > w
		}
	}
	return true
}
