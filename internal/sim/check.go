package sim

import (
	"fmt"
	"slices"
	"strings"

	"github.com/baton-db/baton/internal/mysqldtest"
	"github.com/baton-db/baton/promote"
	"github.com/baton-db/baton/registry"
)

// check is what the guarantees are held against. It only ever looks at what an event has changed.
type check struct {
	reigning registry.Epoch // last established
	by       *host
	served   []mysqldtest.Txn // answered with OK, or read by somebody: must never disappear
	known    [][]bool         // the same by origin and number
	epochs   int
	acks     int
	gaveUp   bool // an election of this interregnum may have lost something
	broken   *Violation
}

// Violation is a guarantee that a schedule has broken.
type Violation struct {
	Guarantee string // G1 to G6, or Liveness
	What      string
}

func (v *Violation) Error() string { return v.Guarantee + ": " + v.What }

func (c check) copied() check {
	c.served = slices.Clone(c.served)
	known := make([][]bool, len(c.known))
	for i := range known {
		known[i] = slices.Clone(c.known[i])
	}
	c.known = known
	return c
}

func (w *world) fail(guarantee, format string, args ...any) {
	if w.broken == nil {
		w.broken = &Violation{guarantee, fmt.Sprintf(format, args...)}
		w.tell("BROKEN: %v", w.broken)
	}
}

// onAck checks G1: what anybody but the last established primary answers was on its way before: an acknowledgement that a
// fenced replica had sent. Then the new primary has it.
func (w *world) onAck(by *mysqldtest.Server, t mysqldtest.Txn) {
	w.acks++
	if w.story != nil {
		w.tell("%s answers %s with OK", by.ID, t)
	}
	if w.by == nil {
		w.fail("G1", "%s acknowledges %s before anybody was established", by.ID, t)
	} else if w.by.server != by && !w.by.server.HoldsLocked(t) {
		w.fail("G1", "%s acknowledges %s, and %s, established in epoch %d, lacks it", by.ID, t, w.by.id, w.reigning)
	}
	w.serve(t)
}

// serve remembers what somebody has seen.
func (w *world) serve(t mysqldtest.Txn) {
	for len(w.known) <= int(t.Origin) {
		w.known = append(w.known, nil)
	}
	row := w.known[t.Origin]
	for len(row) <= int(t.Number) {
		row = append(row, false)
	}
	w.known[t.Origin] = row
	if !row[t.Number] {
		row[t.Number] = true
		w.served = append(w.served, t)
	}
}

func (w *world) isServed(t mysqldtest.Txn) bool {
	return int(t.Origin) < len(w.known) && int(t.Number) < len(w.known[t.Origin]) && w.known[t.Origin][t.Number]
}

// readAll lets somebody read everything on a server that lets applications in.
func (w *world) readAll(h *host) {
	if process := h.eyes.Latest().Incarnation; process != h.readOf {
		h.read, h.readOf = 0, process
	}
	h.read = h.server.Read(h.read, w.serve)
}

// committed checks what a command has changed.
func (w *world) committed(before, d *registry.Database, c registry.Command) {
	if d.Epoch < before.Epoch {
		w.fail("G6", "epoch %d after %d", d.Epoch, before.Epoch)
	}
	switch c.(type) {
	case *registry.Forfeit:
		w.gaveUp = true
		w.checkNames(d)
	case *registry.AdvanceChange:
		w.checkLossless(before, d)
	case *registry.Revoke, *registry.Escalate, *registry.Elect, *registry.AcceptLoss:
		w.checkNames(d)
	case *registry.Establish:
		w.established(before, d)
		w.checkNames(d)
	}
}

// checkNames checks G6.
func (w *world) checkNames(d *registry.Database) {
	for _, r := range w.head().Records() {
		if r.Name != "primary."+database+".db" || len(r.Addrs) == 0 {
			continue
		}
		if w.by == nil || d.Phase != registry.Serving || d.Epoch != w.reigning || len(r.Addrs) != 1 || !strings.HasPrefix(w.by.server.Address(), r.Addrs[0].String()+":") {
			w.fail("G6", "%v is published in %s, epoch %d, and epoch %d is the last established", r.Addrs, d.Phase, d.Epoch, w.reigning)
		}
	}
}

// established checks G2.
func (w *world) established(before, d *registry.Database) {
	if d.Epoch <= w.reigning {
		w.fail("G6", "epoch %d is established after epoch %d", d.Epoch, w.reigning)
	}
	w.epochs++
	w.reigning, w.by = d.Epoch, w.host(d.Primary)
	w.tally.proved(string(before.Proof))
	if w.gaveUp {
		w.giveUp()
	}
	for _, t := range w.served {
		if !w.by.server.Holds(t) {
			w.fail("G2", "%s is established in epoch %d without %s", d.Primary, d.Epoch, t)
			return
		}
	}
}

// checkPromise checks that no promise is taken back (G3).
func (w *world) checkPromise(h *host) {
	p := h.file.written.Promise
	if p < h.promised[0] {
		w.fail("G3", "promise of %s went from %d to %d", h.id, h.promised[0], p)
	}
	h.promised[0], h.promised[1] = p, max(h.promised[1], p)
}

// checkCall checks that no step is done for an older epoch than promised (G3) or without the decision behind it (G4).
func (w *world) checkCall(h *host, what string) {
	w.checkPromise(h)
	d := h.in
	switch what {
	case "look", "write", "sync":
		return
	}
	if h.fate.over {
		return // refused by the caller
	}
	// A server that waits for nobody and has no lease is closed in no epoch's name: where the registry that is seen is too old
	// to say who reigns as well.
	if d.Epoch < h.promised[1] && h.step.Verb != promote.Suspend {
		w.fail("G3", "%s does %s for epoch %d after it promised %d", h.id, what, d.Epoch, h.promised[1])
	}
	if d.Epoch > h.file.durable.Promise {
		w.fail("G3", "%s does %s for epoch %d, and %d is what it has promised durably", h.id, what, d.Epoch, h.file.durable.Promise)
	}
	switch what {
	case "BecomeSource", "Mark", "MarkAlone":
		if d.Phase != registry.Promoting || d.Primary != h.id {
			w.fail("G4", "%s does %s in %s of epoch %d, whose primary is %q", h.id, what, d.Phase, d.Epoch, d.Primary)
		}
	case "OpenWrites", "OpenAlone":
		if d.Phase != registry.Serving || d.Primary != h.id || d.Epoch > w.reigning {
			w.fail("G4", "%s opens in %s of epoch %d, whose primary is %q", h.id, d.Phase, d.Epoch, d.Primary)
		}
	}
}
