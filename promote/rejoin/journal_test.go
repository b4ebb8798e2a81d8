package rejoin

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/mysqld/offline"
)

func TestWhatIsOnDiskIsReadAsItWasWritten(t *testing.T) {
	dir := t.TempDir()
	j := Journal{Version: 1, Stage: Rewinding, Epoch: 7, Extra: "u:8-9", Archive: "/var/lib/baton/archive/orders-db1/a", Incarnation: "1-2-3", Source: "3e11fa47-71ca-11e1-9e33-c80aa9429562", Before: "1789000000.123", BegunMillis: 1789000123456, Lost: "the donor ended",
		Tried: map[How]string{Clone: "no rights"}, WishMillis: 5}
	f := Facts{Version: 1, Places: mysqld.Places{Flavor: mysqld.MariaDB, Version: "10.11.19", Source: "1", BaseDir: "/usr", DataDir: "/d", BinlogIndex: "/d/bin.index"},
		Program: offline.Program{Argv: []string{"/usr/sbin/mariadbd", "--port=3306"}, Dir: "/d", UID: 100, GID: 101}}
	for name, value := range map[string]any{"journal": j, "facts": f} {
		path := filepath.Join(dir, name)
		for range 2 {
			if err := store(path, value); err != nil {
				t.Fatal(err)
			}
		}
		written, err := load(path)
		if err != nil {
			t.Fatal(err)
		}
		golden, err := os.ReadFile(filepath.Join("testdata", name+".json"))
		if err != nil || string(golden) != string(written) {
			t.Errorf("%s in testdata: %v\n%s\nwritten:\n%s", name, err, golden, written)
		}
	}
	text, _ := load(filepath.Join(dir, "journal"))
	if got, err := parseJournal(text); err != nil || !reflect.DeepEqual(got, j) {
		t.Errorf("journal %+v, %v", got, err)
	}
	text, _ = load(filepath.Join(dir, "facts"))
	if got, err := parseFacts(text); err != nil || !reflect.DeepEqual(got, f) {
		t.Errorf("facts %+v, %v", got, err)
	}
	if text, err := load(filepath.Join(dir, "none")); text != nil || err != nil {
		t.Errorf("no file: %q, %v", text, err)
	}
	for _, bad := range []string{"", "{}", `{"version":2}`, `{"version":1,"later":true}`} {
		if _, err := parseJournal([]byte(bad)); err == nil {
			t.Errorf("journal %q was read", bad)
		}
	}
}

func FuzzJournal(f *testing.F) {
	f.Add([]byte(`{"version":1,"stage":"rewinding"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if j, err := parseJournal(text); err == nil && j.Version != formatVersion {
			t.Errorf("%q is read as version %d", text, j.Version)
		}
		_, _ = parseFacts(text)
	})
}
