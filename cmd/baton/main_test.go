package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"github.com/baton-db/baton/internal/lab"
)

var update = flag.Bool("update", false, "write the golden parts of the scripts")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"baton": main})
}

// Each script is a session of a person with this program, against servers whose answers are known.
func TestScripts(t *testing.T) {
	f := newFake(t)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("BATON_ADDR", f.addr)
			e.Setenv("BATON_IDENTITY", f.operator)
			e.Setenv("CLOSED", closedPort)
			e.Setenv("TZ", "UTC")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":   exits,
			"expand":  expand,
			"arrived": func(ts *testscript.TestScript, _ bool, _ []string) { <-f.arrived },
		},
	})
}

// exits runs a program and wants a certain exit status: exits 4 baton db ...
func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var failed *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &failed) {
		got = failed.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// expand puts the directory of the script for $WORK in a file.
func expand(ts *testscript.TestScript, _ bool, args []string) {
	text := strings.ReplaceAll(ts.ReadFile(args[0]), "$WORK", ts.Getenv("WORK"))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

// full fails as a pipe, or a disk, does.
type full struct{ err error }

func (f full) Write([]byte) (int, error) { return 0, f.err }

func TestClosedOutputEndsInSilenceAndAFullDiskIsNamed(t *testing.T) {
	for err, want := range map[error]string{syscall.EPIPE: "", syscall.ENOSPC: "no space left"} {
		var stderr strings.Builder
		if code := run(t.Context(), []string{"version"}, streams{nil, full{err}, &stderr}); code != exitFailed {
			t.Errorf("%v: exit status %d", err, code)
		}
		if got := stderr.String(); !strings.Contains(got, want) || (want == "") != (got == "") {
			t.Errorf("%v: said %q", err, got)
		}
	}
}

func TestClosedOutputEndsWhatRuns(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	o := outlet{Writer: full{syscall.EPIPE}, cancel: cancel}
	if _, err := fmt.Fprintln(&o, "x"); err == nil || ctx.Err() == nil || !o.closed {
		t.Errorf("write to a closed pipe: %v, context %v", err, ctx.Err())
	}
}

func TestEveryCommandIsDocumentedAndShowsAnExample(t *testing.T) {
	text, err := os.ReadFile("../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Example == "" || c.Short == "" {
			t.Errorf("%s has no example or no summary", c.CommandPath())
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
		if !c.HasSubCommands() && !strings.Contains(string(text), "## `"+c.CommandPath()) {
			t.Errorf("docs/cli.md has no section for %s", c.CommandPath())
		}
	}
	walk(newRoot())
}

func TestDemoOnAMachineWithoutServersSaysWhatToInstall(t *testing.T) {
	mariadb := []string{"apt-get install --no-install-recommends mariadb-server-core", "dnf install mariadb-server"}
	mysql := []string{"scripts/get-mysql", "MySQL 8.0.26 or later"}
	for _, tt := range []struct {
		families      []lab.Family
		want, without []string
	}{
		{[]lab.Family{lab.MariaDB, lab.MySQL}, slices.Concat(mariadb, mysql), nil},
		{[]lab.Family{lab.MariaDB}, mariadb, mysql},
		{[]lab.Family{lab.MySQL}, mysql, mariadb},
	} {
		var w strings.Builder
		report(&w, noServers(fmt.Errorf("find it in PATH: %w: run this or that", lab.ErrNoServer), tt.families))
		for _, want := range append(tt.want, "find it in PATH") {
			if !strings.Contains(w.String(), want) {
				t.Errorf("%v: no %q in:\n%s", tt.families, want, w.String())
			}
		}
		for _, not := range append(tt.without, "scripts/get-mariadb") { // which needs root and apt, as the line with apt-get says
			if strings.Contains(w.String(), not) {
				t.Errorf("%v: %q in:\n%s", tt.families, not, w.String())
			}
		}
	}
	if _, err := os.Stat("../../scripts/get-mysql"); err != nil {
		t.Error(err)
	}
}

func TestADirectoryOfAnEarlierDemoIsRefused(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for _, name := range []string{".", "new"} {
		if got, err := unused(name); err != nil || got != filepath.Join(dir, name) {
			t.Errorf("%s: %q, %v: want the whole path", name, got, err)
		}
	}
	if err := os.MkdirAll(filepath.Join("old", "db1"), 0o700); err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	if code := run(t.Context(), []string{"demo", "--dir", "old"}, streams{nil, &stderr, &stderr}); code != exitUsage || !strings.Contains(stderr.String(), "--dir old holds the files of an earlier run") {
		t.Errorf("exit status %d: %s", code, stderr.String())
	}
}
