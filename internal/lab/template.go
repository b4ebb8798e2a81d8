package lab

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	// buildTimeout bounds the building of a template: 0.5 s for MariaDB and 2.5 s for MySQL on tmpfs, more on a busy disk.
	buildTimeout = 3 * time.Minute
	// copyTimeout bounds one copy of a template: 0.1 s on tmpfs.
	copyTimeout = time.Minute
	// staleTemplate is the age at which a template that nobody used may be removed. It is far above any copy in flight.
	staleTemplate = 24 * time.Hour
)

// template returns the initialised data directory all servers of these binaries start from, building it when this machine
// has none yet. Processes that need it at once wait for the one that builds it.
func (b *Binaries) template() (dir string, err error) {
	base, err := root()
	if err != nil {
		return "", err
	}
	dir = filepath.Join(base, fmt.Sprintf("template-%s-%s", b.Family, b.templateKey()))
	if touch(dir) == nil {
		return dir, nil
	}
	lock, err := lockFile(filepath.Join(base, ".build"))
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if touch(dir) == nil { // another process built it while we waited
		return dir, nil
	}
	prune(base, b.Family)
	tmp := dir + ".tmp"
	if err := os.RemoveAll(tmp); err != nil {
		return "", err
	}
	if err := b.build(tmp); err != nil {
		return "", errors.Join(fmt.Errorf("build a template for %s %s: %w", b.Family, b.Version, err), os.RemoveAll(tmp))
	}
	return dir, os.Rename(tmp, dir)
}

// templateKey names everything a template depends on.
func (b *Binaries) templateKey() string {
	h := sha256.New()
	fmt.Fprintf(h, "1\n%s\n%s\n%s\n%s\n", b.Family, b.Version, strings.Join(initFlags(b.Family), "\n"), initSQL(b.Family))
	return hex.EncodeToString(h.Sum(nil))[:16]
}

// touch marks a template as used now, and fails when it does not exist.
func touch(dir string) error {
	now := time.Now()
	return os.Chtimes(dir, now, now)
}

// prune removes templates of a family that nobody used for a while: each change of flags or version leaves one behind.
func prune(base string, family Family) {
	old, _ := filepath.Glob(filepath.Join(base, fmt.Sprintf("template-%s-*", family)))
	for _, dir := range old {
		if info, err := os.Stat(dir); err == nil && time.Since(info.ModTime()) > staleTemplate {
			_ = os.RemoveAll(dir) // best effort, the next build tries again
		}
	}
}

// build initialises a data directory and makes the lab's accounts and tables in it. Neither family writes a binary log or
// takes a GTID while it does.
func (b *Binaries) build(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	script := dir + ".sql"
	if err := os.WriteFile(script, []byte(initSQL(b.Family)), 0o600); err != nil {
		return err
	}
	defer os.Remove(script)

	var argv []string
	if b.Family == MariaDB {
		argv = append([]string{b.install, "--no-defaults"}, b.base...)
		argv = append(argv, "--extra-file="+script)
	} else {
		argv = append(append([]string(nil), b.command...), "--no-defaults")
		argv = append(argv, b.base...)
		argv = append(argv, "--init-file="+script)
	}
	argv = append(argv, asRoot()...)
	argv = append(argv, "--datadir="+dir)
	argv = append(argv, initFlags(b.Family)...)

	ctx, cancel := context.WithTimeout(context.Background(), buildTimeout)
	defer cancel()
	out, err := run(ctx, argv)
	if err != nil {
		return err
	}
	// A failing line of the script does not always fail the command, but it is always reported.
	if bytes.Contains(out, []byte("ERROR")) {
		return fmt.Errorf("init SQL: %s", complaint(out))
	}
	// The server's identity: each copy must make its own.
	if err := os.Remove(filepath.Join(dir, "auto.cnf")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// run executes a command to its end and returns what it wrote. It dies with us.
func run(ctx context.Context, argv []string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.WaitDelay = 10 * time.Second // for what the command itself started and left behind
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	p, err := spawn(cmd)
	if err == nil {
		<-p.done
		err = p.err
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %s", filepath.Base(argv[0]), err, complaint(out.Bytes()))
	}
	return out.Bytes(), nil
}

// complaint cuts the part of a failed command's output that says why: the first line with an error and what follows it,
// because mariadb-install-db buries it under advice, else the end.
func complaint(out []byte) string {
	const lines = 10
	for at := 0; at < len(out); {
		line, _, _ := bytes.Cut(out[at:], []byte("\n"))
		if bytes.Contains(line, []byte("ERROR")) {
			rest := bytes.SplitN(out[at:], []byte("\n"), lines+1)
			return string(bytes.TrimSpace(bytes.Join(rest[:min(lines, len(rest))], []byte("\n"))))
		}
		at += len(line) + 1
	}
	return tail(out, lines)
}

// copyTemplate fills dir, which must not exist, with a copy of the template: a MySQL template is 100 MB of mostly nothing.
func (b *Binaries) copyTemplate(dir string) error {
	from, err := b.template()
	if err != nil {
		return err
	}
	return copyDir(from, dir)
}
