package registry_test

import (
	"slices"

	"pgregory.net/rapid"

	"github.com/baton-db/baton/registry"
)

// The commands that the properties of check_test.go are held against: most of them fit the state they are drawn for, so
// that a walk gets through many reigns, and the others are what a stale leader, a bug or a person with a client may send.

var (
	someInstances = []registry.InstanceID{"db1", "db2", "db3", "db4", "db5"}
	someProofs    = []registry.Proof{registry.ProofFormed, registry.ProofFenced, registry.ProofClosed, registry.ProofSettled, registry.ProofKept}
	someLossy     = []registry.Proof{registry.ProofLapsed, registry.ProofAccepted}
	someBases     = []string{"u:1-5", "u:1-9"}
)

// walk starts from a cluster with one database and applies 20 to 147 drawn commands; visit sees each one.
func walk(t *rapid.T, visit func(before, after *registry.State, c registry.Command, err error)) {
	s := registry.New("test")
	first := []registry.Command{node("n1", "10.0.0.1"), &registry.PutDatabase{Name: "orders", Policy: drawPolicy(t)}}
	for _, id := range someInstances[:4] {
		first = append(first, putMember(id))
	}
	steps := 20 + dice(t, 7, "steps")
	for i := range len(first) + steps {
		var c registry.Command
		if i < len(first) {
			c = first[i]
		} else {
			c = drawCommand(t, s)
		}
		before := s
		next, err := c.Apply(before.WithIndex(registry.Index(i + 1)))
		if err == nil {
			s = next
		}
		visit(before, s, c, err)
	}
}

// dice throws a number below 1<<bits, all equally often: rapid prefers the small ones of a range.
func dice(t *rapid.T, bits int, what string) int {
	n := 0
	for range bits {
		n *= 2
		if rapid.Bool().Draw(t, what) {
			n++
		}
	}
	return n
}

// drawCommand draws what takes the database a step further half of the time, and anything otherwise.
func drawCommand(t *rapid.T, s *registry.State) registry.Command {
	d, _ := s.Database("orders")
	reign := func(k int) registry.Command { return drawReign(t, d, k) }
	if dice(t, 1, "fits") == 1 {
		switch first := dice(t, 1, "first") == 0; d.Phase {
		case registry.Forming:
			return reign(0)
		case registry.Serving:
			return reign([]int{0, 4, 6, 7, 8, 8, 0, 7, 10, 11, 11, 8, 9, 11, 8, 9}[dice(t, 4, "serving")])
		case registry.Closing:
			return reign(map[bool]int{true: 1, false: 3}[first])
		case registry.Fencing:
			return reign([]int{1, 1, 12, 13}[dice(t, 2, "fencing")])
		case registry.Promoting:
			return reign(map[bool]int{true: 2, false: 0}[first])
		}
	}
	switch n := dice(t, 5, "command"); {
	case n < 14:
		return reign(n)
	case n < 24:
		return drawMember(t, d.Name, (n-14)%4)
	case n < 26:
		return &registry.Rejoin{Database: d.Name, Epoch: drawEpoch(t, d.Epoch), Instance: drawInstance(t), Cause: drawCause(t),
			How: rapid.SampledFrom([]string{"rewind", "clone", "wait", ""}).Draw(t, "how")}
	}
	if n := dice(t, 2, "pause"); n == 0 {
		return &registry.SetPause{Database: rapid.SampledFrom([]registry.DatabaseName{"orders", "users"}).Draw(t, "db"), Paused: rapid.Bool().Draw(t, "paused"),
			Cause: drawCause(t), AtMillis: rapid.Int64Range(0, 1e6).Draw(t, "at")}
	}
	return drawCatalog(t)
}

func drawCause(t *rapid.T) registry.Cause {
	return registry.Cause{Code: rapid.SampledFrom([]string{"PrimaryGone", "Switchover", "NoCandidate"}).Draw(t, "code")}
}

// drawReign draws the k-th command of reign.go.
func drawReign(t *rapid.T, d *registry.Database, k int) registry.Command {
	cause, at := drawCause(t), rapid.Int64Range(0, 1e6).Draw(t, "at")
	switch k {
	case 0:
		c := &registry.Revoke{Database: d.Name, Epoch: drawEpoch(t, d.Epoch+1), Cause: cause, AtMillis: at}
		if d.Phase == registry.Serving && dice(t, 1, "planned") == 1 {
			c.To = drawInstance(t)
		}
		if d.Phase == registry.Promoting && dice(t, 1, "given up") == 1 {
			c.Winner = drawInstance(t)
		}
		return c
	case 1:
		return drawElect(t, d, cause, at)
	case 2:
		return &registry.Establish{Database: d.Name, Epoch: drawEpoch(t, d.Epoch), Cause: cause, AtMillis: at}
	case 3:
		return &registry.Escalate{Database: d.Name, Epoch: drawEpoch(t, d.Epoch), Cause: cause, AtMillis: at}
	case 4:
		return &registry.AddAcker{Database: d.Name, Epoch: drawEpoch(t, d.Epoch), Instance: drawInstance(t), Cause: cause, AtMillis: at}
	}
	if k > 9 {
		return drawDurability(t, d, k, cause)
	}
	if k > 5 {
		return drawChange(t, d, k, cause)
	}
	return &registry.Refuse{Database: d.Name, Epoch: drawEpoch(t, d.Epoch), Cause: cause, AtMillis: at}
}

// drawChange draws the k-th command of ackers.go, and that of handover.go.
func drawChange(t *rapid.T, d *registry.Database, k int, cause registry.Cause) registry.Command {
	switch k {
	case 6:
		c := &registry.Leave{Database: d.Name, Instance: drawInstance(t)}
		c.Cause.Code = rapid.SampledFrom([]string{"", registry.MemberLeaving, registry.MemberLeaving, registry.MemberLost, "PrimaryGone"}).Draw(t, "leaving")
		return c
	case 7:
		c := &registry.ChangeAckers{Database: d.Name, Epoch: drawEpoch(t, d.Epoch), Cause: cause}
		if dice(t, 1, "retire") == 1 {
			c.Retire = drawInstance(t)
		} else {
			c.K = dice(t, 2, "new k")
		}
		return c
	case 9:
		c := &registry.Prepare{Database: d.Name, Epoch: drawEpoch(t, d.Epoch), Cause: cause}
		if d.Handover == nil || dice(t, 2, "give up") == 0 {
			c.To = drawInstance(t)
		} else {
			c.Revision = uint64(drawEpoch(t, registry.Epoch(d.Revision)))
		}
		return c
	}
	return &registry.AdvanceChange{Database: d.Name, Epoch: drawEpoch(t, d.Epoch), Revision: uint64(drawEpoch(t, registry.Epoch(d.Revision))), Cause: cause}
}

// drawDurability draws the k-th command of durability.go.
func drawDurability(t *rapid.T, d *registry.Database, k int, cause registry.Cause) registry.Command {
	switch k {
	case 10:
		to := rapid.SampledFrom([]registry.Durability{registry.Degraded, registry.Async, registry.Lossless}).Draw(t, "to")
		return &registry.Degrade{Database: d.Name, Epoch: drawEpoch(t, d.Epoch), To: to, Position: "u:1-9", Cause: cause}
	case 11:
		return &registry.Rearm{Database: d.Name, Epoch: drawEpoch(t, d.Epoch), K: dice(t, 2, "rearm k"), Cause: cause}
	case 12:
		c := &registry.AcceptLoss{Database: d.Name, Epoch: drawEpoch(t, d.Epoch), Cause: cause}
		if dice(t, 1, "whom") == 1 {
			c.To = drawInstance(t)
		}
		return c
	}
	c := &registry.Forfeit{Elect: *drawElect(t, d, cause, 0), Lost: "u:8-9"}
	if dice(t, 2, "proof of another kind") > 0 {
		c.Proof = someLossy[dice(t, 1, "lossy")]
	}
	return c
}

// drawMember draws the k-th command of member.go.
func drawMember(t *rapid.T, db registry.DatabaseName, k int) registry.Command {
	id := drawInstance(t)
	switch k {
	case 0:
		return &registry.RemoveMember{Database: db, Instance: id, Revision: uint64(dice(t, 3, "silent at"))}
	case 1:
		m := member(id)
		m.ServerUUID = rapid.SampledFrom([]string{m.ServerUUID, m.ServerUUID, "uuid-1", ""}).Draw(t, "uuid")
		return &registry.PutMember{Database: db, Member: m}
	case 2:
		return &registry.SetRotation{Database: db, Instance: id, OutOf: rapid.SampledFrom([]registry.Cause{{}, drawCause(t)}).Draw(t, "out")}
	}
	return &registry.PutDatabase{Name: rapid.SampledFrom([]registry.DatabaseName{"orders", "users", "No Name"}).Draw(t, "db"), Policy: drawPolicy(t)}
}

// drawCatalog draws a command of catalog.go.
func drawCatalog(t *rapid.T) registry.Command {
	n := registry.NodeID(rapid.SampledFrom([]string{"n1", "n2"}).Draw(t, "node"))
	service := registry.ServiceName(rapid.SampledFrom([]string{"web", "mail"}).Draw(t, "service"))
	id := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "id")
	switch dice(t, 3, "catalog") {
	case 0:
		return node(string(n), rapid.SampledFrom([]string{"10.0.0.1", "10.0.0.2", "nowhere"}).Draw(t, "address"))
	case 1:
		return &registry.RemoveNode{ID: n}
	case 2, 3, 4:
		return &registry.PutService{Instance: registry.ServiceInstance{Service: service, ID: id, Node: n, Address: "10.0.0.7",
			Port: uint16(dice(t, 2, "port")), Tags: rapid.SampledFrom([][]string{nil, {"blue"}, {"blue", "green"}}).Draw(t, "tags")}}
	case 5:
		return &registry.RemoveService{Service: service, Node: n, ID: id}
	}
	return &registry.SetServiceHealth{Service: service, Node: n, ID: id, Failing: drawCause(t)}
}

// drawElect draws an Elect that is well formed three times out of four; whether its proof holds is left to chance.
func drawElect(t *rapid.T, d *registry.Database, cause registry.Cause, at int64) *registry.Elect {
	c := &registry.Elect{Database: d.Name, Epoch: drawEpoch(t, d.Epoch), Cause: cause, AtMillis: at,
		Base: rapid.SampledFrom(someBases).Draw(t, "base"), Proof: drawProof(t, d)}
	wild := dice(t, 2, "wild") == 0
	if wild {
		c.Winner, c.K = drawInstance(t), rapid.IntRange(-1, 4).Draw(t, "k")
		c.Ackers = rapid.SliceOfN(rapid.Custom(drawInstance), 0, 4).Draw(t, "ackers")
	} else {
		c.Winner = drawInstance(t)
		for _, m := range d.Members {
			if m.ID != c.Winner && dice(t, 2, "acks") > 0 {
				c.Ackers = append(c.Ackers, m.ID)
			}
		}
		c.K = 1 + dice(t, 3, "k")%max(1, len(c.Ackers))
		if !d.IsLossless() && dice(t, 1, "alone") == 1 {
			c.K = 0
		}
	}
	if c.Proof == registry.ProofKept && dice(t, 1, "as it was") == 1 {
		c.Winner, c.Ackers, c.K = d.Former, slices.Clone(d.Ackers), d.K
	}
	for _, m := range d.Members {
		if dice(t, 2, "heard") > 0 {
			c.Evidence = append(c.Evidence, registry.Evidence{Instance: m.ID, Position: rapid.SampledFrom(someBases).Draw(t, "position"),
				Amnesiac: dice(t, 3, "amnesiac") == 0})
		}
	}
	if n := len(c.Evidence); n > 0 && dice(t, 2, "detour") == 0 {
		from := c.Evidence[dice(t, 3, "source")%n]
		c.CatchUp = &registry.CatchUp{From: from.Instance, Until: from.Position}
	}
	if wild {
		c.Evidence = append(c.Evidence, registry.Evidence{Instance: drawInstance(t), Position: c.Base})
		if c.CatchUp != nil {
			c.CatchUp.From = drawInstance(t)
		}
	}
	return c
}

// drawProof draws a proof that suits the phase three times out of four.
func drawProof(t *rapid.T, d *registry.Database) registry.Proof {
	some := someProofs
	switch {
	case dice(t, 2, "any proof") == 0:
	case d.Phase == registry.Closing:
		some = []registry.Proof{registry.ProofClosed, registry.ProofKept}
	case d.Former == "":
		some = []registry.Proof{registry.ProofFormed, registry.ProofSettled}
	default:
		some = []registry.Proof{registry.ProofFenced, registry.ProofClosed, registry.ProofSettled}
	}
	return some[dice(t, 3, "proof")%len(some)]
}

// drawInstance draws a member, and sometimes nobody's name.
func drawInstance(t *rapid.T) registry.InstanceID {
	if dice(t, 4, "stranger") == 0 {
		return rapid.SampledFrom([]registry.InstanceID{"", "db9", "primary"}).Draw(t, "who")
	}
	return someInstances[dice(t, 3, "instance")%len(someInstances)]
}

// drawEpoch draws the epoch that fits, and sometimes another one.
func drawEpoch(t *rapid.T, fits registry.Epoch) registry.Epoch {
	switch dice(t, 4, "epoch") {
	case 0:
		return fits + 1
	case 1:
		return max(fits, 1) - 1
	case 2:
		return registry.Epoch(rapid.Uint64().Draw(t, "any epoch"))
	}
	return fits
}

func drawPolicy(t *rapid.T) registry.Policy {
	p := registry.DefaultPolicy()
	p.Expect = rapid.IntRange(2, 4).Draw(t, "expect")
	p.K = rapid.IntRange(1, p.Expect-1).Draw(t, "policy k")
	p.Durability = rapid.SampledFrom([]registry.Durability{"", registry.Lossless, registry.Async}).Draw(t, "policy durability")
	p.WhenAlone = rapid.SampledFrom([]registry.WhenAlone{"", registry.Block, registry.Yield, registry.Yield}).Draw(t, "when alone")
	return p
}
