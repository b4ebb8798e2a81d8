package lab_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/baton-db/baton/internal/lab"
)

func TestFindSaysHowToGetWhatIsMissing(t *testing.T) {
	t.Setenv("BATON_MYSQL_ROOT", t.TempDir())
	t.Setenv("PATH", t.TempDir())
	_, err := lab.Find(lab.MySQL)
	if err == nil {
		t.Skip("this machine has MySQL in a system directory")
	}
	if !errors.Is(err, lab.ErrNoServer) || !strings.Contains(err.Error(), "scripts/get-mysql") {
		t.Errorf("Find(MySQL) = %v, want ErrNoServer and the way to get it", err)
	}
	if _, err := lab.Find("oracle"); err == nil {
		t.Error("an unknown family was found")
	}
}

// On Debian /usr/sbin/mysqld is MariaDB: what a server is called says nothing.
func TestServerIsWhatItSaysNotWhatItIsCalled(t *testing.T) {
	dir := t.TempDir()
	script := "#!/bin/sh\necho 'mysqld  Ver 10.11.19-MariaDB for Linux'\n"
	if err := os.WriteFile(filepath.Join(dir, "mysqld"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	t.Setenv("BATON_MYSQL_ROOT", dir)
	if bin, err := lab.Find(lab.MySQL); err == nil && strings.Contains(bin.Version, "MariaDB") {
		t.Errorf("Find(MySQL) = %+v", bin)
	}
}

func TestFindNamesFamilyAndVersion(t *testing.T) {
	eachFamily(t, func(t *testing.T, bin *lab.Binaries) {
		t.Logf("%s %s", bin.Family, bin.Version)
		if bin.Version == "" || (bin.Family == lab.MariaDB) != strings.Contains(bin.Version, "MariaDB") {
			t.Errorf("version %q of %s", bin.Version, bin.Family)
		}
	})
}
