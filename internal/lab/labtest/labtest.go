// Package labtest gives tests real database servers that end with the test.
package labtest

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/baton-db/baton/internal/lab"
)

// startTimeout bounds the start of a group of servers; a trio takes under a second, the first one builds a template.
const startTimeout = 5 * time.Minute

// Require returns the server of a family. Without one it skips the test and says how to get it; with its family in BATON_REQUIRE_DB ("mysql,mariadb", or 1 for all) in
// the environment it fails the test instead, so that a build machine cannot pass by testing nothing.
func Require(t testing.TB, family lab.Family) *lab.Binaries {
	t.Helper()
	bin, err := lab.Find(family)
	switch {
	case err == nil:
		return bin
	case required(family):
		t.Fatal(err)
	default:
		t.Skip(err)
	}
	return nil
}

// Subnet claims a loopback /24 until the test ends.
func Subnet(t testing.TB) *lab.Subnet {
	t.Helper()
	subnet, err := lab.ClaimSubnet()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := subnet.Close(); err != nil {
			t.Error(err)
		}
	})
	return subnet
}

// New makes a server that does not run yet and is closed with the test. When opts has no Log, the test's output gets it.
func New(t testing.TB, bin *lab.Binaries, opts lab.Options) *lab.Server {
	t.Helper()
	if opts.Log == nil {
		opts.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	s, err := lab.New(bin, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of %s ends:\n%s", s.Name(), s.LogTail(30))
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Start starts n servers in parallel, all read only and replicating from nobody: db1, db2, ... with server ids 1, 2, ... on
// hosts 1, 2, ... of a subnet of their own, all on port 3306. They are closed with the test.
func Start(t testing.TB, bin *lab.Binaries, n int) []*lab.Server {
	t.Helper()
	return StartEach(t, bin, n, func(int, *lab.Options) {})
}

// StartEach is Start with a chance to change the options of server i, counted from 0, before it is made.
func StartEach(t testing.TB, bin *lab.Binaries, n int, edit func(i int, opts *lab.Options)) []*lab.Server {
	t.Helper()
	subnet := Subnet(t)
	servers := make([]*lab.Server, n)
	for i := range servers {
		opts := lab.Options{Name: fmt.Sprintf("db%d", i+1), IP: subnet.IP(i + 1), ServerID: uint32(i + 1)}
		edit(i, &opts)
		servers[i] = New(t, bin, opts)
	}
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	if err := lab.StartAll(ctx, servers...); err != nil {
		t.Fatal(err)
	}
	return servers
}

// required reports whether the environment insists on a family.
func required(family lab.Family) bool {
	want := os.Getenv("BATON_REQUIRE_DB")
	return want == "1" || slices.Contains(strings.Split(want, ","), string(family))
}

// BinlogTool returns the program of bin's installation that prints binary logs. Without it the test is skipped, or fails
// as under Require.
func BinlogTool(t testing.TB, bin *lab.Binaries) string {
	t.Helper()
	path, err := bin.BinlogTool()
	switch {
	case err == nil:
		return path
	case required(bin.Family):
		t.Fatal(err)
	default:
		t.Skip(err)
	}
	return ""
}
