package archive

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/baton-db/baton/mysqld"
)

// ErrNoTool: the program that prints binary logs is not there.
var ErrNoTool = errors.New("the program that prints binary logs is missing")

// Tool is a program that prints binary logs of one family.
type Tool struct {
	Path    string
	Version string // one line, as it prints it
}

// FindTool looks where the server at places is installed, and then in PATH. The tool of the other family will not do: it
// stops at the first event that it does not know.
func FindTool(ctx context.Context, places mysqld.Places) (Tool, error) {
	names, pack := []string{"mysqlbinlog"}, "mysql-server or mysql-client"
	if places.Flavor == mysqld.MariaDB {
		names, pack = []string{"mariadb-binlog", "mysqlbinlog"}, "mariadb-client"
	}
	dirs := append([]string{filepath.Join(places.BaseDir, "bin")}, filepath.SplitList(os.Getenv("PATH"))...)
	for _, name := range names {
		for _, dir := range append(dirs, "/usr/bin", "/usr/local/bin") {
			t := Tool{Path: filepath.Join(dir, name)}
			if info, err := os.Stat(t.Path); err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 == 0 || !filepath.IsAbs(t.Path) {
				continue
			}
			if version, err := t.ask(ctx); err == nil && strings.Contains(version, "MariaDB") == (places.Flavor == mysqld.MariaDB) {
				t.Version = version
				return t, nil
			}
		}
	}
	return Tool{}, fmt.Errorf("%w: %s of this %s server is neither in %s/bin nor in PATH. Way out: install it (Debian: the package %s)",
		ErrNoTool, names[0], places.Flavor, places.BaseDir, pack)
}

// ask returns what the tool says of itself. MariaDB's first line does not name the family, its help does.
func (t Tool) ask(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	version, err := exec.CommandContext(ctx, t.Path, "--no-defaults", "--version").Output()
	if err != nil {
		return "", err
	}
	line := strings.TrimSpace(string(version))
	if strings.Contains(line, "MariaDB") {
		return line, nil
	}
	help, err := exec.CommandContext(ctx, t.Path, "--no-defaults", "--help").Output()
	if err != nil {
		return "", err
	}
	if strings.Contains(string(help), "MariaDB") {
		line += " (MariaDB)"
	}
	return line, nil
}
