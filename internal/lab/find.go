package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Family is a line of servers that share flags, statements and plugins.
type Family string

// The two families baton knows.
const (
	MySQL   Family = "mysql"
	MariaDB Family = "mariadb"
)

// Families lists all families, for tests that run against each.
func Families() []Family { return []Family{MySQL, MariaDB} }

// ErrNoServer is in the chain of every error that Find returns because this machine has no usable server. The text of
// such an error says how to get one.
var ErrNoServer = errors.New("no usable server on this machine")

// Binaries is one server version found on this machine. It is immutable and may be shared.
type Binaries struct {
	// Family is what the server said it is, whatever its file is called.
	Family Family
	// Version is as the server prints it: "9.7.4-2", "10.11.19-MariaDB-0+deb12u1".
	Version string

	command []string // the argv that starts the server, before any flag
	base    []string // flags that tell it where its own files are
	install string   // MariaDB: path of mariadb-install-db
	basedir string   // MariaDB: parent of its sbin
}

// versionTimeout bounds `mysqld --version`. It takes 10-50 ms; a minute means the machine is the problem.
const versionTimeout = time.Minute

// Find looks for a server of a family: for MySQL first in the prefix that scripts/get-mysql builds ($BATON_MYSQL_ROOT, else
// baton/mysql in the user's cache directory), then, like MariaDB, in PATH and the usual sbin directories. $BATON_MARIADB_ROOT
// names a prefix in which MariaDB is, as scripts/get-mariadb-11.8 builds one. When there is none the error wraps ErrNoServer and says how to get it.
func Find(family Family) (*Binaries, error) {
	switch family {
	case MySQL:
		return findMySQL()
	case MariaDB:
		return findMariaDB()
	}
	return nil, fmt.Errorf("find server: unknown family %q, have %q", family, Families())
}

func findMySQL() (*Binaries, error) {
	root := mysqlRoot()
	candidates := []*Binaries{fromPrefix(root)}
	for _, path := range lookup("mysqld") {
		candidates = append(candidates, &Binaries{command: []string{path}})
	}
	tried, err := firstOf(MySQL, candidates)
	if tried != nil {
		return tried, nil
	}
	return nil, fmt.Errorf("find MySQL 8.0.26 or later in %s and PATH: %w: run scripts/get-mysql%s", root, ErrNoServer, because(err))
}

func findMariaDB() (*Binaries, error) {
	var candidates []*Binaries
	paths := append(lookup("mariadbd"), lookup("mysqld")...)
	if root := os.Getenv("BATON_MARIADB_ROOT"); root != "" {
		paths = []string{filepath.Join(root, "usr", "sbin", "mariadbd")} // that one or none
	}
	for _, path := range paths {
		basedir := filepath.Dir(filepath.Dir(path))
		candidates = append(candidates, &Binaries{command: []string{path}, base: []string{"--basedir=" + basedir}, basedir: basedir})
	}
	found, err := firstOf(MariaDB, candidates)
	const way = "apt-get install --no-install-recommends mariadb-server-core mariadb-client-core, or scripts/get-mariadb"
	if found == nil {
		return nil, fmt.Errorf("find MariaDB in PATH: %w: run %s%s", ErrNoServer, way, because(err))
	}
	for _, name := range []string{"mariadb-install-db", "mysql_install_db"} {
		for _, path := range append([]string{filepath.Join(found.basedir, "bin", name)}, lookup(name)...) {
			if executable(path) {
				found.install = path
				return found, nil
			}
		}
	}
	return nil, fmt.Errorf("find mariadb-install-db for %s: %w: run %s", found.command[0], ErrNoServer, way)
}

// firstOf returns the first candidate that runs and is of the family, else nil and why the last one was not taken.
func firstOf(family Family, candidates []*Binaries) (*Binaries, error) {
	var last error
	for _, b := range candidates {
		if b == nil {
			continue
		}
		if err := b.identify(); err != nil {
			last = err
			continue
		}
		if b.Family == family {
			return b, nil
		}
	}
	return nil, last
}

func because(err error) string {
	if err == nil {
		return ""
	}
	return " (" + err.Error() + ")"
}

func mysqlRoot() string {
	if root := os.Getenv("BATON_MYSQL_ROOT"); root != "" {
		return root
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "baton/mysql" // no home: nothing can be cached, the error of Find shows this path
	}
	return filepath.Join(cache, "baton", "mysql")
}

// fromPrefix describes the server in a prefix of unpacked packages, or returns nil when there is none. Such a server runs
// through the prefix's own loader, for its C library is newer than the machine's. argv0 must be a full path: from a bare
// name mysqld looks itself up in PATH and finds another server's files.
func fromPrefix(root string) *Binaries {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil
	}
	server := filepath.Join(root, "usr", "sbin", "mysqld")
	if !executable(server) {
		return nil
	}
	b := &Binaries{command: []string{server}}
	if loaders, _ := filepath.Glob(filepath.Join(root, "usr", "lib", "*", "ld-linux*.so.*")); len(loaders) > 0 {
		b.command = []string{loaders[0], "--argv0", server, "--library-path", filepath.Dir(loaders[0]), server}
	}
	share := filepath.Join(root, "usr", "share", "mysql")
	b.base = []string{
		"--basedir=" + filepath.Join(root, "usr"),
		"--lc-messages-dir=" + share,
		"--character-sets-dir=" + filepath.Join(share, "charsets"),
		"--plugin-dir=" + filepath.Join(root, "usr", "lib", "mysql", "plugin"),
	}
	return b
}

// lookup returns every executable of that name in PATH and in the directories where distributions put servers.
func lookup(name string) []string {
	var found []string
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin", "/usr/local/sbin", "/usr/libexec") {
		if path := filepath.Join(dir, name); filepath.IsAbs(path) && executable(path) {
			found = append(found, path)
		}
	}
	return found
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// identify asks the server who it is.
func (b *Binaries) identify() error {
	ctx, cancel := context.WithTimeout(context.Background(), versionTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, b.command[0], append(b.command[1:len(b.command):len(b.command)], "--no-defaults", "--version")...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("ask %s for its version: %w: %s", b.command[0], err, strings.TrimSpace(string(out)))
	}
	b.Family, b.Version, err = parseVersion(string(out))
	return err
}

// parseVersion reads what `mysqld --version` prints.
func parseVersion(out string) (Family, string, error) {
	m := regexp.MustCompile(`\bVer (\d+)\.(\d+)\.(\d+)(\S*)`).FindStringSubmatch(out)
	if m == nil {
		return "", "", fmt.Errorf("no version in %q", out)
	}
	version := strings.TrimPrefix(m[0], "Ver ")
	if strings.Contains(out, "MariaDB") {
		return MariaDB, version, nil
	}
	var n [3]int
	for i := range n {
		n[i], _ = strconv.Atoi(m[i+1]) // digits only, by the expression; too many of them leave a large number
	}
	// 8.0.26 brought the semi-sync plugins that say source and replica.
	if n[0] < 8 || n[0] == 8 && n[1] == 0 && n[2] < 26 {
		return "", "", fmt.Errorf("MySQL %s is too old, 8.0.26 is the first with semisync_source", version)
	}
	return MySQL, version, nil
}
