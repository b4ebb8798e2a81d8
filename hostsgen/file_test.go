package hostsgen

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/baton-db/baton/registry"
)

func TestUpdateWritesOnChangeOnly(t *testing.T) {
	f := hosts(t, human)
	update(t, f, 7, 1, 41)
	if changed, err := f.Update(t.Context(), reign(7, 1), 45); changed || err != nil {
		t.Errorf("the same records: changed %t, error %v", changed, err)
	}
	if _, err := f.Update(t.Context(), reign(8, 2), 44); !errors.Is(err, ErrBackwards) {
		t.Errorf("index 44 after 45, which had nothing to write: got %v, want ErrBackwards", err)
	}
	update(t, f, 8, 0, 46)
	if got := content(t, f.Path); !strings.Contains(got, "# withdrawn, epoch 8    primary") || strings.Contains(got, "\n10.0.0.11               primary") {
		t.Errorf("a revoked primary is shown:\n%s", got)
	}
	if _, err := f.Update(t.Context(), reign(7, 1), 47); !errors.Is(err, ErrBackwards) {
		t.Errorf("epoch 7 after 8: got %v, want ErrBackwards", err)
	}
	restarted := &File{Path: f.Path, Options: f.Options, Journal: f.Journal}
	if _, err := restarted.Update(t.Context(), reign(7, 1), 47); !errors.Is(err, ErrBackwards) {
		t.Errorf("epoch 7 after 8 and a restart: got %v, want ErrBackwards", err)
	}
	if changed, err := f.Remove(t.Context()); !changed || err != nil {
		t.Errorf("remove: changed %t, error %v", changed, err)
	}
	if got := content(t, f.Path); got != human {
		t.Errorf("after Remove: %q", got)
	}
	if changed, err := f.Remove(t.Context()); changed || err != nil {
		t.Errorf("remove again: changed %t, error %v", changed, err)
	}
}

func TestRenameKeepsWhatTheFileWears(t *testing.T) {
	f := hosts(t, human)
	if err := os.Chmod(f.Path, 0o640); err != nil {
		t.Fatal(err)
	}
	uid := os.Getuid()
	if uid == 0 {
		uid = 12345
		if err := os.Chown(f.Path, uid, 12346); err != nil {
			t.Fatal(err)
		}
	}
	attribute := unix.Setxattr(f.Path, "user.baton", []byte("kept"), 0)
	future := time.Now().Add(time.Hour)
	if err := os.Chtimes(f.Path, future, future); err != nil {
		t.Fatal(err)
	}
	before := future
	for epoch := range registry.Epoch(20) {
		update(t, f, 7+epoch, 1+int(epoch%2), registry.Index(41+epoch))
		var st unix.Stat_t
		if err := unix.Stat(f.Path, &st); err != nil {
			t.Fatal(err)
		}
		at := time.Unix(st.Mtim.Unix())
		if !at.After(before) {
			t.Fatalf("the time went from %s to %s", before, at)
		}
		before = at
		if st.Mode&0o7777 != 0o640 || int(st.Uid) != uid {
			t.Errorf("mode %o, owner %d; want 640, %d", st.Mode, st.Uid, uid)
		}
	}
	value := make([]byte, 16)
	if n, err := unix.Getxattr(f.Path, "user.baton", value); attribute == nil && (err != nil || string(value[:n]) != "kept") {
		t.Errorf("attribute is %q, error %v", value[:max(n, 0)], err)
	}
	entries, err := os.ReadDir(filepath.Dir(f.Path))
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestMissingFileIsMade(t *testing.T) {
	f := hosts(t, "")
	if err := os.Remove(f.Path); err != nil {
		t.Fatal(err)
	}
	update(t, f, 7, 1, 41)
	if st, err := os.Stat(f.Path); err != nil || st.Mode() != 0o644 {
		t.Errorf("mode %v, error %v; want 0644", st.Mode(), err)
	}
}

func TestSymbolicLinkStays(t *testing.T) {
	f := hosts(t, human)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(f.Path, link); err != nil {
		t.Fatal(err)
	}
	real := f.Path
	f.Path = link
	update(t, f, 7, 1, 41)
	if to, err := os.Readlink(link); err != nil || to != real || !strings.Contains(content(t, real), "primary.orders.db") {
		t.Errorf("the link leads to %q, error %v", to, err)
	}
}

func TestWhatIsNoHostsFileIsRefused(t *testing.T) {
	dir := t.TempDir()
	place := func(name string) string { return filepath.Join(dir, name) }
	for _, err := range []error{
		os.Mkdir(place("directory"), 0o755), unix.Mkfifo(place("fifo"), 0o644), os.Symlink(place("nowhere"), place("dangling")),
		os.Symlink(place("loop"), place("loop")), os.Symlink("/proc/self/environ", place("proc")), os.Symlink("/dev/null", place("null")),
		os.WriteFile(place("nul"), []byte("a\x00b"), 0o644), os.WriteFile(place("edited"), []byte(beginMark+"prod\n"), 0o644),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{
		"directory": "is not a regular file", "fifo": "is not a regular file", "dangling": "symbolic link to nothing",
		"loop": "too many", "proc": "no hosts file in /proc/", "null": "no hosts file in /dev/", "nul": "a NUL byte",
		"edited": "BEGIN of prod without its END", "none/hosts": "no such file",
	} {
		f := &File{Path: place(name), Options: options(), Journal: place("journal")}
		if _, err := f.Update(t.Context(), reign(7, 1), 41); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", name, err, want)
		}
	}
}

func TestFileThatOthersKeepChangingIsLeft(t *testing.T) {
	f := hosts(t, human)
	tries := 0
	_, _, err := f.edit(t.Context(), func(old []byte) ([]byte, error) {
		tries++
		if err := os.WriteFile(f.Path, append(old, "10.7.7.7 other\n"...), 0o644); err != nil {
			t.Fatal(err)
		}
		return append(old, "10.6.6.6 ours\n"...), nil
	})
	if !errors.Is(err, errMoved) || tries != maxTries || strings.Contains(content(t, f.Path), "ours") {
		t.Errorf("after %d tries: %v\n%s", tries, err, content(t, f.Path))
	}
}

func TestTwoClustersShareAFile(t *testing.T) {
	f := hosts(t, human)
	g := &File{Path: f.Path, Options: Options{Domain: "test.internal", Cluster: "test"}, Journal: f.Journal}
	var writing sync.WaitGroup
	for _, file := range []*File{f, g} {
		writing.Go(func() {
			for i := range registry.Index(50) {
				if _, err := file.Update(t.Context(), reign(7, 1+int(i%2)), 41+i); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writing.Wait()
	spans, err := scan([]byte(content(t, f.Path)))
	if err != nil || len(spans) != 2 || !strings.HasPrefix(content(t, f.Path), human) {
		t.Errorf("%d blocks, error %v:\n%s", len(spans), err, content(t, f.Path))
	}
}

func TestReadersNeverSeeATornFile(t *testing.T) {
	f := hosts(t, human)
	update(t, f, 7, 1, 41)
	ctx, cancel := context.WithCancel(t.Context())
	var reading sync.WaitGroup
	reads := 0
	reading.Go(func() {
		for ; ctx.Err() == nil || reads < 1000; reads++ {
			file, err := os.ReadFile(f.Path)
			if err != nil {
				t.Error(err)
				return
			}
			if _, held, _, err := locate(file, "prod"); err != nil || len(held.Lines) != 7 || !strings.HasPrefix(string(file), human) {
				t.Errorf("read %d: %d lines, %v:\n%s", reads, len(held.Lines), err, file)
				return
			}
		}
	})
	for i := range 500 {
		update(t, f, registry.Epoch(8+i), (i+1)%4, registry.Index(42+i))
	}
	cancel()
	reading.Wait()
	t.Logf("500 writes against %d reads", reads)
}

func TestKeepFollowsTheFeed(t *testing.T) {
	f := hosts(t, human)
	f.Logger = slog.New(slog.DiscardHandler)
	state := registry.New("prod")
	feed := registry.NewFeed(state)
	ctx, cancel := context.WithCancel(t.Context())
	var keeping sync.WaitGroup
	keeping.Go(func() { f.Keep(ctx, feed) })
	defer keeping.Wait()
	defer cancel()
	for i := range registry.Index(100) { // a storm
		put := registry.PutNode{Node: registry.Node{ID: "db1", Role: registry.RoleServer, Address: "10.0.0." + string('1'+rune(i%9))}}
		next, err := put.Apply(state)
		if err != nil {
			t.Fatal(err)
		}
		state = next.WithIndex(i + 1)
		feed.Publish(state)
	}
	want := "10.0.0.1                db1.node.baton.internal\n" // i = 99
	until(t, func() bool { return strings.Contains(content(t, f.Path), want) })
	if err := os.WriteFile(f.Path, []byte("broken "+beginMark+"\n"+endMark+"x\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	put := registry.PutNode{Node: registry.Node{ID: "db2", Role: registry.RoleServer, Address: "10.0.0.2"}}
	next, err := put.Apply(state)
	if err != nil {
		t.Fatal(err)
	}
	feed.Publish(next.WithIndex(101))
	if err := os.WriteFile(f.Path, []byte(human), 0o644); err != nil { // repaired by hand: Keep tries again by itself
		t.Fatal(err)
	}
	until(t, func() bool { return strings.Contains(content(t, f.Path), "10.0.0.2                db2.node") })
}

// until waits for a condition that another goroutine makes true.
func until(t *testing.T, done func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal("the condition never came true")
		}
	}
}
