package agent_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/internal/lab"
	"github.com/baton-db/baton/internal/lab/labtest"
	"github.com/baton-db/baton/registry"
)

// A whole cluster shows what a former primary held and where it is kept, and an operator brings it back: on MySQL as a
// copy, while on MariaDB the command says why it cannot.
func TestAnOperatorBringsADivergedServerBack(t *testing.T) {
	eachFamily(t, func(t *testing.T, family lab.Family) {
		labtest.BinlogTool(t, labtest.Require(t, family))
		c := startCluster(t, family, nil)
		former := c.whole(t).Primary
		c.leaveAlone(t, former)
		c.crash(t, former)
		of := func(v api.DatabaseView) api.InstanceView {
			for _, i := range v.Instances {
				if i.Instance == former {
					return i
				}
			}
			return api.InstanceView{}
		}
		v := c.await(t, "archived, and waiting for a person", func(v api.DatabaseView) bool {
			r := of(v).Report
			return v.Database.Phase == registry.Serving && v.Database.Primary != former && r != nil && r.Returning != nil && r.Returning.Archive != "" && len(r.Archived) == 1
		})
		r := of(v).Report
		if !strings.Contains(r.Returning.Why, "on_divergence is wait") || r.Archived[0].GTIDs != r.Guard.Diverged || r.Archived[0].Count < 1 {
			t.Errorf("it says %+v, and keeps %+v of %s", r.Returning, r.Archived, r.Guard.Diverged)
		}
		for _, id := range v.Database.Ackers {
			_, err := c.Client.Rejoin(t.Context(), "orders", api.RejoinRequest{Instance: id, How: "clone"})
			if problem, ok := errors.AsType[*api.Problem](err); !ok || problem.Code != api.CodeNotAway {
				t.Errorf("clone %s, which acknowledges: %v", id, err)
			}
		}
		_, err := c.Client.Rejoin(t.Context(), "orders", api.RejoinRequest{Instance: former, How: "clone", Reason: "a test"})
		if family == lab.MariaDB {
			if problem, ok := errors.AsType[*api.Problem](err); !ok || problem.Code != api.CodeTooLate {
				t.Errorf("clone a MariaDB server: %v", err)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		// Not whole(): that would empty it.
		c.await(t, "an acker again", func(v api.DatabaseView) bool {
			return v.Database.IsAcker(former) && of(v).Report != nil && of(v).Report.Guard.Diverged == "" && of(v).Report.Returning == nil
		})
		c.moreAcknowledged(t, 10)
		c.whole(t)
		c.nothingLost(t)
	})
}

// leaveAlone cuts the primary off from its replicas, and returns when a write waits on it.
func (c *cluster) leaveAlone(t *testing.T, primary registry.InstanceID) {
	t.Helper()
	db := c.open(t, primary)
	defer db.Close()
	db.SetMaxOpenConns(1) // what is not to be in the log belongs to one session
	for _, text := range []string{"SET SESSION sql_log_bin = 0", "ALTER USER 'repl'@'%' ACCOUNT LOCK"} {
		if _, err := db.ExecContext(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	list := func(ctx context.Context, where string) (ids []string, err error) {
		rows, err := db.QueryContext(ctx, "SELECT ID FROM information_schema.PROCESSLIST WHERE "+where)
		if err != nil {
			return nil, err
		}
		defer rows.Close()
		for rows.Next() {
			var id string
			if err := rows.Scan(&id); err != nil {
				return nil, err
			}
			ids = append(ids, id)
		}
		return ids, rows.Err()
	}
	eventually(t, "alone, with a write that waits", func(ctx context.Context) error {
		ids, err := list(ctx, "COMMAND LIKE 'Binlog Dump%'")
		if err != nil {
			return err
		}
		for _, id := range ids {
			_, _ = db.ExecContext(ctx, "KILL "+id) // it may be gone already
		}
		waiting, err := list(ctx, "USER = 'app' AND STATE LIKE 'Waiting for semi-sync ACK%'")
		if err == nil && (len(ids) > 0 || len(waiting) == 0) {
			err = fmt.Errorf("%d replicas are fed, %d writes wait", len(ids), len(waiting))
		}
		return err
	})
}
