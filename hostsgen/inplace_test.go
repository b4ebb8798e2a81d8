package hostsgen

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/baton-db/baton/registry"
)

func TestPatchesTouchOneFieldOfAFailover(t *testing.T) {
	old := merge(t, []byte(human), block(7, 1, 41))
	next := merge(t, old, block(8, 2, 42))
	all, ok := patches(old, next)
	if !ok || len(all) != 2 || all[0].end-all[0].start != 1 || next[all[0].start] != '2' {
		t.Errorf("patches %v, %t; want one byte of the primary's line, then the header", all, ok)
	}
	for _, test := range [][2]string{{"a\nbb\n", "aa\nb\n"}, {"a\n", "a\nb\n"}, {"ab", "a\n"}} {
		if all, ok := patches([]byte(test[0]), []byte(test[1])); ok {
			t.Errorf("%q to %q: lines move, and yet patches %v", test[0], test[1], all)
		}
	}
}

func TestMountTableIsRead(t *testing.T) {
	const table = `22 1 0:20 / /etc/hosts rw,relatime - ext4 /dev/vda1 rw
23 1 0:21 /x /with\040a\040space rw shared:7 - tmpfs tmpfs rw
short line
`
	for target, want := range map[string]bool{"/etc/hosts": true, "/with a space": true, "/etc": false, "/etc/hosts2": false, "/": false} {
		if got := mounted(table, target); got != want {
			t.Errorf("%s is a mount point: %t, want %t", target, got, want)
		}
	}
}

// TestInterruptedInPlaceWriteIsFinished stops an in-place write after every byte that it writes.
func TestInterruptedInPlaceWriteIsFinished(t *testing.T) {
	start := merge(t, []byte(human), block(7, 1, 41))
	for name, next := range map[string][]byte{
		"same length": merge(t, start, block(8, 2, 42)),
		"longer":      merge(t, start, block(8, 2, 1000)),
		"shorter":     []byte(human),
	} {
		for _, partial := range interrupted(start, next) {
			f := hosts(t, string(partial))
			if err := f.writeJournal(f.Path, start, next); err != nil {
				t.Fatal(err)
			}
			if err := f.recover(f.Path); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if got := content(t, f.Path); got != string(next) {
				t.Fatalf("%s: recovered %q from %q", name, got, partial)
			}
			if _, err := os.Stat(f.journalName(f.Path)); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s: the journal stays: %v", name, err)
			}
		}
	}
}

// interrupted returns some of the contents that a file can have while old becomes next.
func interrupted(old, next []byte) [][]byte {
	var all [][]byte
	if ps, ok := patches(old, next); ok {
		now := bytes.Clone(old)
		for _, p := range ps {
			for i := p.start; i < p.end; i += 7 {
				copy(now[i:min(i+7, p.end)], next[i:])
				all = append(all, bytes.Clone(now))
			}
		}
		return all
	}
	padded := append(bytes.Clone(next), bytes.Repeat([]byte("\n"), max(0, len(old)-len(next)))...)
	for i := 0; i <= len(padded); i += 61 {
		all = append(all, append(bytes.Clone(padded[:i]), old[min(i, len(old)):]...))
	}
	return append(all, padded, next, old)
}

func TestJournalOfAFileThatOthersChangedIsGivenUp(t *testing.T) {
	f := hosts(t, "10.5.5.5 somebody else's\n")
	if err := f.writeJournal(f.Path, []byte(human), merge(t, []byte(human), block(7, 1, 41))); err != nil {
		t.Fatal(err)
	}
	update(t, f, 7, 1, 41)
	if got := content(t, f.Path); !strings.HasPrefix(got, "10.5.5.5 somebody else's\n# BEGIN") {
		t.Errorf("the other program's write is lost:\n%s", got)
	}
	if err := os.WriteFile(f.journalName(f.Path), []byte(`{"version":9}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Update(t.Context(), reign(8, 1), 42); !errors.Is(err, ErrDamaged) {
		t.Errorf("a journal of version 9: got %v, want ErrDamaged", err)
	}
}

// reexec runs one test of this binary again, in a mount namespace of its own when mounts is not empty. It returns the
// command, ready to start.
func reexec(t *testing.T, test string, mounts []string, env ...string) *exec.Cmd {
	t.Helper()
	args := append(mounts, os.Args[0], "-test.run=^"+test+"$", "-test.v")
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Env = append(os.Environ(), env...)
	return cmd
}

// TestBindMount runs TestOnBindMount in a mount namespace.
func TestBindMount(t *testing.T) {
	unshare := []string{"unshare", "--mount", "--propagation", "private"}
	if err := exec.CommandContext(t.Context(), unshare[0], append(unshare[1:], "true")...).Run(); err != nil {
		if os.Getenv("BATON_REQUIRE_TOOLS") == "1" {
			t.Fatalf("no mount namespace: %v", err)
		}
		t.Skipf("SKIPPED, in-place writes are not tested on a real mount: no mount namespace: %v", err)
	}
	out, err := reexec(t, "TestOnBindMount", unshare, "BATON_BIND_MOUNT=1").CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: TestOnBindMount")) {
		t.Fatalf("in the namespace: %v\n%s", err, out)
	}
	t.Logf("%s", out)
}

func TestOnBindMount(t *testing.T) {
	if os.Getenv("BATON_BIND_MOUNT") == "" {
		t.Skip("runs inside TestBindMount")
	}
	dir := t.TempDir()
	source, target := filepath.Join(dir, "source"), filepath.Join(dir, "hosts")
	for _, path := range []string{source, target} {
		if err := os.WriteFile(path, []byte(human), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mount(source, target, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(target, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	f := &File{Path: target, Options: options(), Journal: filepath.Join(dir, "journal")}
	update(t, f, 7, 1, 41)
	if got := content(t, source); !strings.HasPrefix(got, human+"# BEGIN") || got != content(t, target) {
		t.Fatalf("another inode was written: %q", got)
	}
	if err := renameOver(target, f.tempName(target), nil, []byte("x")); !errors.Is(err, unix.EBUSY) {
		t.Errorf("rename onto a mount point: got %v, want EBUSY", err)
	}
	readFields(t, f)
	t.Run("killed", func(t *testing.T) { killWriters(t, f, source) })
	if changed, err := f.Remove(t.Context()); err != nil || !changed || content(t, source) != human {
		t.Errorf("remove: %t, %v, %q", changed, err, content(t, source))
	}
	noJournal := &File{Path: target, Options: options()}
	if _, err := noJournal.Update(t.Context(), reign(1, 1), 1); err == nil || content(t, source) != human {
		t.Errorf("in place without a journal: %v", err)
	}
}

// readFields reads the file while failovers are written in place. The kernel promises no reader a whole field; that a torn
// one is hardly ever seen is what the fixed columns are for, and a write that moves lines fails this at once.
func readFields(t *testing.T, f *File) {
	t.Helper()
	valid := map[string]bool{}
	for primary := range 4 {
		for _, line := range block(8, primary, 1).Lines {
			valid[line] = true
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	var reading sync.WaitGroup
	reads, torn := 0, 0
	reading.Go(func() {
		for ; ctx.Err() == nil || reads < 10000; reads++ {
			for line := range strings.Lines(content(t, f.Path)) {
				line = strings.TrimSuffix(line, "\n")
				if strings.Contains(line, "baton.internal") && !valid[line] {
					t.Logf("read %d: torn line %q", reads, line)
					torn++
				}
			}
		}
	})
	for i := range 300 {
		update(t, f, 8, (i+1)%4, registry.Index(100+i))
	}
	cancel()
	reading.Wait()
	t.Logf("300 in-place writes against %d reads, %d torn", reads, torn)
	if torn > reads/1000 {
		t.Errorf("%d of %d reads were torn", torn, reads)
	}
}

// TestKilledWriterLeavesOldOrNew kills writers that replace the file by rename.
func TestKilledWriterLeavesOldOrNew(t *testing.T) {
	f := hosts(t, human)
	update(t, f, 7, 1, 41)
	killWriters(t, f, f.Path)
}

// killWriters starts writers, kills each in the middle of its work, and looks at path: in rename mode the file is whole
// at once, in place after the next Update.
func killWriters(t *testing.T, f *File, path string) {
	t.Helper()
	index := registry.Index(1000)
	for round := range 20 {
		cmd := reexec(t, "TestWriter", nil, "BATON_WRITER="+f.Path, "BATON_JOURNAL="+f.Journal, fmt.Sprintf("BATON_INDEX=%d", index))
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for seen := 0; seen < 3+round%5 && lines.Scan(); {
			if n, _ := fmt.Sscanf(lines.Text(), "wrote %d", &index); n == 1 {
				seen++
			}
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait() // killed
		if !isMountPoint(f.Path) {
			whole(t, path)
		}
		f.lastIndex, f.lastEpoch = 0, 0 // as after a restart
		index += 10000                  // beyond what the writer can have reached
		if _, err := f.Update(t.Context(), reign(9, 1+round%3), index); err != nil {
			t.Fatalf("round %d: %v\n%s", round, err, content(t, path))
		}
		whole(t, path)
		entries, err := os.ReadDir(filepath.Dir(f.Path))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if strings.Contains(e.Name(), ".baton-") {
				t.Errorf("round %d: %s is left behind", round, e.Name())
			}
		}
		index++
	}
}

func whole(t *testing.T, path string) {
	t.Helper()
	file := content(t, path)
	if _, held, _, err := locate([]byte(file), "prod"); err != nil || len(held.Lines) != 7 || !strings.HasPrefix(file, human) {
		t.Fatalf("%d lines, %v:\n%s", len(held.Lines), err, file)
	}
	if outside, err := Strip([]byte(file), "prod"); err != nil || cmp.Diff(human, string(outside)) != "" {
		t.Fatalf("outside of the block: %q, %v", outside, err)
	}
}

func TestWriter(t *testing.T) {
	path := os.Getenv("BATON_WRITER")
	if path == "" {
		t.Skip("runs inside of other tests, which kill it")
	}
	f := &File{Path: path, Options: options(), Journal: os.Getenv("BATON_JOURNAL")}
	var index registry.Index
	if _, err := fmt.Sscan(os.Getenv("BATON_INDEX"), &index); err != nil {
		t.Fatal(err)
	}
	for i := range registry.Index(5000) {
		index++
		if _, err := f.Update(t.Context(), reign(9, int(i%4)), index); err != nil {
			t.Fatal(err)
		}
		fmt.Printf("wrote %d\n", index)
	}
}
