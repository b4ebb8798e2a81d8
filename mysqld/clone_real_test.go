package mysqld_test

import (
	"strings"
	"testing"

	"github.com/baton-db/baton/internal/lab"
	"github.com/baton-db/baton/internal/lab/labtest"
)

// What a server says of the copies onto it tells a refusal, which leaves it as it was, from one that has removed everything; and
// the account that may not ask hears which right it lacks.
func TestAServerSaysWhatACopyHasLeftOfIt(t *testing.T) {
	all := nodes(t, labtest.Require(t, lab.MySQL), 2)
	donor, n := all[0], all[1]
	src := donor.source(true)
	for _, x := range all {
		x.exec("SET GLOBAL read_only = OFF", "CREATE TABLE app.t (id INT PRIMARY KEY)", "SET GLOBAL read_only = ON")
	}
	if p, err := n.CloneProgress(t.Context()); err != nil || p.Begun != "" || p.Removed || p.Completed || p.Running {
		t.Errorf("before the first: %+v, %v", p, err)
	}
	refused := func(when string) string {
		t.Helper()
		if err := n.Clone(t.Context(), src); err == nil || !strings.Contains(err.Error(), "BACKUP_ADMIN") {
			t.Fatalf("%s: %v", when, err)
		}
		p, err := n.CloneProgress(t.Context())
		if err != nil || p.Removed || p.Completed || p.Running || p.Begun == "" || !strings.Contains(p.Error, "BACKUP_ADMIN") {
			t.Errorf("refused %s: %+v, %v", when, p, err)
		}
		return p.Begun
	}
	donor.exec("SET GLOBAL read_only = OFF", "REVOKE BACKUP_ADMIN ON *.* FROM 'repl'@'%'")
	first := refused("at first")
	donor.exec("GRANT BACKUP_ADMIN ON *.* TO 'repl'@'%'")
	before := n.lab.Exited()
	if err := n.Clone(t.Context(), src); err != nil {
		t.Log("as it may be when a server restarts:", err)
	}
	<-before
	if err := n.lab.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	p, err := n.CloneProgress(t.Context())
	if err != nil || !p.Completed || !p.Removed || p.Running || p.Begun == "" || p.Begun == first {
		t.Errorf("copied: %+v, %v", p, err)
	}
	donor.exec("REVOKE BACKUP_ADMIN ON *.* FROM 'repl'@'%'")
	if refused("after a copy") == p.Begun {
		t.Error("the refused copy goes by the name of the one before")
	}
	n.admin = connect(t, n.lab, "admin")
	n.exec("SET GLOBAL super_read_only = OFF", "REVOKE SELECT ON performance_schema.* FROM 'baton'@'localhost'")
	if p, err := n.CloneProgress(t.Context()); err == nil || !strings.Contains(err.Error(), "lacks SELECT on performance_schema.clone_status") {
		t.Errorf("without the right: %+v, %v", p, err)
	}
}
