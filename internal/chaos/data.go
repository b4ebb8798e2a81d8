package chaos

import (
	"context"
	"fmt"

	"github.com/baton-db/baton/demo"
	"github.com/baton-db/baton/internal/chaos/witness"
)

// checkData compares what was acknowledged with what the last primary holds, and all servers with each other.
func (r *run) checkData(ctx context.Context, report *Report, appends *witness.Lists) {
	rig := r.field.rig
	problem := func(format string, args ...any) {
		report.Problems = append(report.Problems, fmt.Sprintf(format, args...))
	}
	var err error
	if report.Verdict, err = rig.Check(ctx, r.load.Ledger); err != nil {
		problem("the ledger cannot be compared: %v", err)
		return
	}
	d, err := rig.Serving(ctx, 0)
	if err != nil {
		problem("nobody serves at the end: %v", err)
		return
	}
	db, err := r.field.admin(r.field.index(string(d.Primary)))
	if err != nil {
		problem("%v", err)
		return
	}
	defer func() { _ = db.Close() }() // read only
	final, err := witness.FinalLists(ctx, db)
	if err != nil {
		problem("%v", err)
		return
	}
	report.Problems = append(report.Problems, witness.CheckLists(appends.Acknowledged(), final)...)
	// Two servers that wrote in one epoch. A server that was emptied has another id from then on, but is no primary then.
	both, err := witness.Numbers(ctx, rig.Databases[r.field.index(string(d.Primary))].Socket(), "SELECT COUNT(*) FROM (SELECT epoch FROM app.ledger WHERE id < "+
		fmt.Sprint(int64(witness.SamplerIDs))+" GROUP BY epoch HAVING COUNT(DISTINCT server) > 1) AS two")
	if err != nil || both[0] != 0 {
		problem("%d epochs have rows of two servers (%v)", both, err)
	}
	var sockets []string
	for _, server := range rig.Databases {
		sockets = append(sockets, server.Socket())
	}
	if err := witness.SameEverywhere(ctx, sockets); err != nil {
		problem("%v", err)
	}
}

var _ demo.Place = (*place)(nil)
