package hostsgen

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/baton-db/baton/registry"
)

const human = "127.0.0.1\tlocalhost\n# a comment\n\n10.9.9.9  printer\n"

func options() Options {
	return Options{Domain: "baton.internal", Cluster: "prod", Aliases: map[string]string{"orders-db": "primary.orders.db"}}
}

// reign are the records of a database of three in this epoch; primary 0: none, a new one is being chosen.
func reign(epoch registry.Epoch, primary int) []registry.Record {
	addr := func(i int) []netip.Addr { return []netip.Addr{netip.AddrFrom4([4]byte{10, 0, 0, byte(10 + i)})} }
	first := registry.Record{Name: "primary.orders.db", Epoch: epoch, Pending: primary == 0}
	if primary > 0 {
		first.Addrs = addr(primary)
	}
	all := []registry.Record{
		first,
		{Name: "replicas.orders.db", Epoch: epoch, Addrs: append(addr(1), addr(2)...)},
		{Name: "_mysql._tcp.primary.orders.db", Epoch: epoch, Targets: []registry.Target{{Name: "db1.orders.db", Port: 3306}}},
		{Name: "why.primary.orders.db", Epoch: epoch, Text: []string{"because"}},
		{Name: "web.svc", Addrs: addr(9)},
	}
	for i := 1; i <= 3; i++ {
		all = append(all,
			registry.Record{Name: fmt.Sprintf("db%d.orders.db", i), Addrs: addr(i), Epoch: epoch},
			registry.Record{Name: fmt.Sprintf("db%d.node", i), Addrs: addr(i), Canonical: true})
	}
	return all
}

func block(epoch registry.Epoch, primary int, index registry.Index) Block {
	return Render(reign(epoch, primary), index, options())
}

func merge(t testing.TB, old []byte, b Block) []byte {
	t.Helper()
	next, err := Merge(old, b)
	if err != nil {
		t.Fatal(err)
	}
	return next
}

// hosts makes a file with content and returns what keeps its block.
func hosts(t testing.TB, content string) *File {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "hosts")
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return &File{Path: path, Options: options(), Journal: filepath.Join(dir, "journal")}
}

func update(t testing.TB, f *File, epoch registry.Epoch, primary int, index registry.Index) {
	t.Helper()
	if changed, err := f.Update(t.Context(), reign(epoch, primary), index); err != nil || !changed {
		t.Fatalf("update to epoch %d: changed %t, error %v", epoch, changed, err)
	}
}

func content(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
