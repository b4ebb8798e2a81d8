package mysqld_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/baton-db/baton/internal/lab"
	"github.com/baton-db/baton/internal/lab/labtest"
)

// A crash may leave MySQL with a relay log that it cannot use. It said so at every START REPLICA, for ever.
func TestAReplicaWhoseRelayLogCannotBeUsedBeginsANewOne(t *testing.T) {
	all := reign(t, labtest.Require(t, lab.MySQL), 2)
	p, r := all[0], all[1]
	p.must(p.Canary(t.Context(), "db1"))
	until(t, "it has applied what it received", func() bool {
		st := r.status()
		return st.Executed.Contains(p.status().Executed)
	})
	r.must(r.lab.Kill())
	logs, err := filepath.Glob(filepath.Join(r.lab.DataDir(), "relay.0*"))
	if err != nil || len(logs) == 0 {
		t.Fatal(logs, err)
	}
	for _, f := range logs {
		r.must(os.Remove(f))
	}
	r.must(r.lab.Start(t.Context()))
	r.must(r.Follow(t.Context(), p.source(true)))
	p.must(p.Canary(t.Context(), "db1"))
	until(t, "it follows again", func() bool { return r.status().Executed.Contains(p.status().Executed) })
}
