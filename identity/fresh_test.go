package identity_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/baton-db/baton/identity"
)

func TestANewDirectoryAppearsWholeAndNeverReplacesOne(t *testing.T) {
	now := time.Now()
	a := newAuthority(t, "orders", now)
	cert, key, err := a.Issue(identity.RoleServer, "s1", now)
	if err != nil {
		t.Fatal(err)
	}
	for name, save := range map[string]func(dir string) error{
		"ca":  a.SaveNew,
		"tls": func(dir string) error { return identity.SaveNew(dir, a.CertPEM(), cert, key) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), name)
			left := filepath.Join(dir+".new", "half")
			if err := errors.Join(os.Mkdir(dir+".new", 0o700), os.WriteFile(left, []byte("x"), 0o600), os.Mkdir(dir, 0o700)); err != nil {
				t.Fatal(err)
			}
			if err := save(dir); err != nil {
				t.Fatalf("into an empty directory, after an attempt that was interrupted: %v", err)
			}
			if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
				t.Errorf("%v, %v; want mode 0700", info, err)
			}
			if _, err := os.Stat(filepath.Join(dir, "half")); err == nil {
				t.Error("what the earlier attempt left came along")
			}
			before := contents(t, dir)
			if err := save(dir); !errors.Is(err, fs.ErrExist) {
				t.Errorf("into a directory with files: %v", err)
			}
			if after := contents(t, dir); after != before {
				t.Error("it was replaced")
			}
		})
	}
}

// contents is everything in the files of dir, and their modes.
func contents(t *testing.T, dir string) string {
	t.Helper()
	all, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	text := ""
	for _, f := range all {
		b, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		text += f.Name() + f.Type().String() + string(b)
	}
	return text
}
