package agent_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/internal/lab"
	"github.com/baton-db/baton/promote/decide"
	"github.com/baton-db/baton/registry"
)

// variables are all settings of a server, with those that count something left out.
func (c *cluster) variables(t *testing.T, id registry.InstanceID) map[string]string {
	t.Helper()
	db := c.open(t, id)
	defer db.Close()
	rows, err := db.QueryContext(t.Context(), "SHOW GLOBAL VARIABLES")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	all := map[string]string{}
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			t.Fatal(err)
		}
		all[name] = value
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestADatabaseIsFormedOnlyWhenItIsSafe starts the nodes before their servers, then servers of which one may lose what it
// commits, and mends that.
func TestADatabaseIsFormedOnlyWhenItIsSafe(t *testing.T) {
	eachFamily(t, func(t *testing.T, family lab.Family) {
		c := newCluster(t, family, nil)
		for _, n := range c.Nodes {
			c.start(t, n)
		}
		v := c.await(t, "waiting for the servers", func(v api.DatabaseView) bool {
			return len(v.Instances) == 3 && v.Database.Refusal.Code == decide.MembersMissing
		})
		for _, s := range c.Databases {
			if e := report(v, registry.InstanceID(s.Name())).ServerError; !strings.Contains(e, s.Socket()) {
				t.Errorf("%s does not say which server does not answer: %q", s.Name(), e)
			}
		}
		said(t, c, "db1", "the database server does not answer")

		c.Databases[1].SetExtra("--sync-binlog=0")
		before := map[registry.InstanceID]map[string]string{}
		if err := lab.StartAll(t.Context(), c.Databases...); err != nil {
			t.Fatal(err)
		}
		for _, s := range c.Databases {
			before[registry.InstanceID(s.Name())] = c.variables(t, registry.InstanceID(s.Name()))
		}
		v = c.await(t, "refused for its settings", func(v api.DatabaseView) bool { return v.Database.Refusal.Code == decide.SettingsUnsafe })
		for _, want := range []string{"db2", "sync_binlog", "Fix: SET "} {
			if !strings.Contains(v.Database.Refusal.Detail, want) {
				t.Errorf("the refusal does not name %q: %s", want, v.Database.Refusal)
			}
		}
		if v.Database.Phase != registry.Forming || v.Database.Epoch != 0 {
			t.Errorf("it was formed all the same: %s", describe(v))
		}
		for id, was := range before {
			if diff := cmp.Diff(was, c.variables(t, id)); diff != "" {
				t.Errorf("settings of %s were changed (-before +after):\n%s", id, diff)
			}
		}
		said(t, c, "db1", "the database server answers")

		c.sql(t, "db2", "SET GLOBAL sync_binlog = 1")
		c.whole(t)
	})
}

func TestAWrongPasswordIsSaidAndTriedAgain(t *testing.T) {
	c := newCluster(t, lab.MariaDB, nil)
	if err := os.WriteFile(filepath.Join(c.Node("db2").Dir, "baton.pw"), []byte("mistyped\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	v := c.await(t, "waiting for db2", func(v api.DatabaseView) bool {
		return v.Database.Refusal.Code == decide.MembersMissing && len(v.Database.Members) == 2
	})
	if e := report(v, "db2").ServerError; !strings.Contains(e, "Access denied") || strings.Contains(e, "mistyped") {
		t.Errorf("db2 says %q", e)
	}
	if !strings.Contains(v.Database.Refusal.Detail, "2 of 3 expected members are ready") {
		t.Errorf("the refusal is %s", v.Database.Refusal)
	}
	c.sql(t, "db2", "SET PASSWORD FOR baton@localhost = PASSWORD('mistyped')")
	c.whole(t)
}

// said waits until a node has said something in its log.
func said(t *testing.T, c *cluster, node, what string) {
	t.Helper()
	eventually(t, "said", func(context.Context) error {
		b, err := os.ReadFile(c.Node(node).Log())
		if err == nil && !strings.Contains(string(b), what) {
			err = fmt.Errorf("%s has not said %q", node, what)
		}
		return err
	})
}
