package lab

import (
	"fmt"
	"path/filepath"
	"strings"
)

// BinlogTool returns the path of the program that prints this server's binary logs, or ErrNoServer.
func (b *Binaries) BinlogTool() (string, error) {
	name, dirs := "mysqlbinlog", []string{b.basedir}
	if b.Family == MariaDB {
		name = "mariadb-binlog"
	}
	for _, flag := range b.base {
		if dir, ok := strings.CutPrefix(flag, "--basedir="); ok {
			dirs = append(dirs, dir)
		}
	}
	var found []string
	for _, dir := range dirs {
		found = append(found, filepath.Join(dir, "bin", name))
	}
	for _, path := range append(found, lookup(name)...) {
		if filepath.IsAbs(path) && executable(path) {
			return path, nil
		}
	}
	return "", fmt.Errorf("find %s: %w: run scripts/get-%s", name, ErrNoServer, b.Family)
}
