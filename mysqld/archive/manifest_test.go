package archive

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestAManifestIsReadAsItWasWritten(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	want := Manifest{Version: 1, ID: "20260102T030405Z-e7-68e83652", Database: "orders", Instance: "db1", Epoch: 7, Primary: "db2", Flavor: "mariadb", Server: "1",
		GTIDs: "0-1-3..4", Count: 2, First: at.Add(-2 * time.Second), Last: at.Add(-time.Second), At: at, SQL: sqlName, Bytes: 2106, SHA256: "643a", Tool: "mariadb-binlog Ver 3.5"}
	golden, err := os.ReadFile(filepath.Join("testdata", "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.MarshalIndent(want, "", "  ")
	if err != nil || string(text)+"\n" != string(golden) {
		t.Errorf("written:\n%s, %v\nin testdata:\n%s", text, err, golden)
	}
	if got, err := parseManifest(golden); err != nil || got != want {
		t.Errorf("read %+v, %v", got, err)
	}
}

func FuzzManifest(f *testing.F) {
	f.Add([]byte(`{"version":1,"sql":"transactions.sql"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if m, err := parseManifest(text); err == nil && m.SQL != sqlName {
			t.Errorf("%q is read out of its directory", m.SQL)
		}
	})
}
