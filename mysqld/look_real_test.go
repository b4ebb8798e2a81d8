package mysqld_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/baton-db/baton/internal/lab"
	"github.com/baton-db/baton/internal/lab/labtest"
	"github.com/baton-db/baton/mysqld"
)

// smallDisk mounts a file system in memory of that many megabytes until the test ends. It needs root.
func smallDisk(t *testing.T, megabytes int) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "disk")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	switch err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dm", megabytes)); {
	case errors.Is(err, unix.EPERM):
		t.Skip("mounting needs root")
	case err != nil:
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill leaves no byte free on the disk that holds dir.
func fill(t *testing.T, dir string) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 1<<20); len(block) > 0; block = block[:len(block)/2] {
		for err = nil; err == nil; {
			_, err = f.Write(block)
		}
	}
}

// MariaDB answers no question about replication while the receiver waits for room on its disk. (MySQL does, or ends itself.)
func TestLooksThatHangLeaveOneSessionBehind(t *testing.T) {
	disk := smallDisk(t, 400)
	servers := labtest.StartEach(t, labtest.Require(t, lab.MariaDB), 2, func(i int, opts *lab.Options) {
		if i == 1 {
			opts.DataDir = filepath.Join(disk, "data")
		}
	})
	p := &node{Server: opened(t, servers[0]), t: t, lab: servers[0], admin: connect(t, servers[0], "admin")}
	r := &node{Server: opened(t, servers[1]), t: t, lab: servers[1], admin: connect(t, servers[1], "admin")}
	p.exec("SET GLOBAL read_only = 0", "CREATE TABLE app.t (id INT PRIMARY KEY, v LONGTEXT)")
	r.must(r.Follow(t.Context(), p.source(false)))
	r.must(r.WaitApplied(t.Context(), p.status().Executed))
	fill(t, disk)
	for i := range 20 {
		p.exec(fmt.Sprintf("INSERT INTO app.t VALUES (%d, REPEAT('x', 1000000))", i))
	}
	until(t, "the disk is full", func() bool { return strings.Contains(r.lab.LogTail(50), "full") })
	look := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := r.Status(ctx)
		return err
	}
	for range 20 {
		if look() == nil {
			t.Fatal("a look did not hang: this is not the state that was meant")
		}
	}
	if n := r.busy("baton"); n != 1 {
		t.Errorf("%d sessions of ours hang, want one", n)
	}
	if err := look(); !errors.Is(err, mysqld.ErrLooking) {
		t.Errorf("one more look: %v", err)
	}
	if got, err := r.Process(t.Context()); err != nil || got.PID() != r.lab.Pid() {
		t.Errorf("the process of a server that hangs: %d, %v", got.PID(), err)
	}
	r.must(r.Server.Close()) // does not wait for the server
	r.must(r.lab.Kill())
}

// busy counts the sessions of a user that are doing something.
func (n *node) busy(user string) int {
	n.t.Helper()
	rows, err := n.admin.QueryContext(n.t.Context(), "SHOW PROCESSLIST") // a SELECT would need room on the disk
	n.must(err)
	defer rows.Close()
	columns, err := rows.Columns()
	n.must(err)
	values, count := make([]sql.NullString, len(columns)), 0
	into := make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		n.must(rows.Scan(into...))
		if values[slices.Index(columns, "User")].String == user && values[slices.Index(columns, "Command")].String != "Sleep" {
			count++
		}
	}
	n.must(rows.Err())
	return count
}
