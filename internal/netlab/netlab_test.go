package netlab_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/baton-db/baton/internal/netlab"
)

func TestADirectoryOfADeadRunIsSweptAndOneOfALivingRunIsNot(t *testing.T) {
	parent := t.TempDir()
	living, release, err := netlab.Claim(parent)
	if err != nil {
		t.Fatal(err)
	}
	// What a killed run leaves: its files, and a lock that nobody holds any more.
	dead := filepath.Join(parent, "run-dead")
	if err := os.MkdirAll(filepath.Join(dead, "disk1"), 0o700); err != nil {
		t.Fatal(err)
	}
	second, releaseSecond, err := netlab.Claim(parent)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dead); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory of the dead run is still there (%v)", err)
	}
	for _, dir := range []string{living, second} {
		if _, err := os.Stat(dir); err != nil {
			t.Errorf("the directory of a living run is gone: %v", err)
		}
	}
	if err := errors.Join(release(), releaseSecond()); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(filepath.Join(parent, "run-*")); len(left) > 0 {
		t.Errorf("released and still there: %v", left)
	}
}

func TestANetworkIsMadeInsideOnly(t *testing.T) {
	if _, err := netlab.NewNetwork(t.TempDir(), netlab.Config{{1}}); err == nil {
		t.Error("a network was made in the namespace of the machine")
	}
}
