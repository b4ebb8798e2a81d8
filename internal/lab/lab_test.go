package lab_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/baton-db/baton/internal/lab"
	"github.com/baton-db/baton/internal/lab/labtest"
)

// eachFamily runs a test against a real server of each family, skipping those this machine has not.
func eachFamily(t *testing.T, test func(t *testing.T, bin *lab.Binaries)) {
	t.Helper()
	for _, family := range lab.Families() {
		t.Run(string(family), func(t *testing.T) { test(t, labtest.Require(t, family)) })
	}
}

// try runs one statement as a user whose password is its name, over the unix socket, and returns tab-separated rows.
func try(t *testing.T, s *lab.Server, user, statement string) (string, error) {
	t.Helper()
	client, err := exec.LookPath("mariadb")
	if err != nil {
		if os.Getenv("BATON_REQUIRE_DB") == "1" {
			t.Fatal("no mariadb client in PATH: run scripts/get-mariadb")
		}
		t.Skip("no mariadb client in PATH: run scripts/get-mariadb")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, client, "--no-defaults", "--batch", "--skip-column-names", "--socket="+s.Socket(),
		"--user="+user, "--password="+user, "--execute="+statement)
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// sql is try for a statement that must work, as admin.
func sql(t *testing.T, s *lab.Server, statement string) string {
	t.Helper()
	out, err := try(t, s, "admin", statement)
	if err != nil {
		t.Fatalf("%s: %s: %v: %s", s.Name(), statement, err, out)
	}
	return out
}

// open makes a server writable.
func open(t *testing.T, s *lab.Server) {
	t.Helper()
	if s.Binaries().Family == lab.MySQL {
		sql(t, s, "SET GLOBAL super_read_only=OFF")
	}
	sql(t, s, "SET GLOBAL read_only=OFF")
}

// until polls a condition until it holds; the test fails with what describes it when a generous time is over.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatalf("never saw: %s", what)
		case <-tick.C:
		}
	}
}

// gone says whether no process has this id.
func gone(pid int) bool {
	_, err := os.Stat("/proc/" + itoa(pid))
	return os.IsNotExist(err)
}
