package promote

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/baton-db/baton/internal/mysqldtest"
	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/registry"
)

// A sim is one schedule: real guards beside servers made of memory, real Decide in leaders that may be stale, and the
// real registry. A random source decides what happens next; after every event the guarantees are checked.
//
// Raft is an atomic log: states[i] is the registry after i commands. A leader decides from any state and any reports it
// has seen, and its command may be proposed much later: there are always several leaders, and nobody knows which is real.
type sim struct {
	seed    uint64
	rng     *rand.Rand
	k       int
	group   *mysqldtest.Group
	hosts   []*host
	leaders []*coordinator
	states  []*registry.State
	mail    []letter
	now     time.Time
	quiet   bool // faults are over
	story   []string
	broken  error

	reigning struct { // last established
		epoch   registry.Epoch
		primary registry.InstanceID
	}
	acked  []mysqldtest.Txn // answered with OK, or read by somebody
	served map[mysqldtest.Txn]bool
	count  struct{ epochs, troubled, acks, refused int }
}

const simDatabase = "orders"

func newSim(seed uint64, dir string) *sim {
	rng := rand.New(rand.NewPCG(seed, 1))
	flavor, n, k := mysqld.MySQL, 3, 1
	if rng.IntN(2) == 0 {
		flavor = mysqld.MariaDB
	}
	if rng.IntN(3) == 0 {
		n = 5
		if flavor == mysqld.MySQL {
			k = 1 + rng.IntN(2)
		}
	}
	s := &sim{seed: seed, rng: rng, k: k, now: time.Unix(1_000_000, 0), served: map[mysqldtest.Txn]bool{}}
	s.group = mysqldtest.NewGroup(flavor, n)
	s.group.RelayLogRecovery = rng.IntN(2) == 0
	s.group.OnAck = s.onAck
	state := registry.New("sim")
	policy := registry.DefaultPolicy()
	policy.Expect, policy.K = n, k
	state = s.must(state, &registry.PutDatabase{Name: simDatabase, Policy: policy})
	for i, server := range s.group.Servers() {
		id := registry.InstanceID(server.ID)
		state = s.must(state, &registry.PutMember{Database: simDatabase, Member: registry.Member{ID: id, Node: registry.NodeID(server.ID),
			Address: server.Address(), ServerUUID: server.UUID(), ServerID: server.Number, Flavor: registry.Flavor(flavor), Preference: registry.Normal}})
		h := &host{sim: s, id: id, server: server, dir: filepath.Join(dir, fmt.Sprintf("%d-%d", seed, i))}
		if err := os.MkdirAll(h.dir, 0o700); err != nil {
			panic(err)
		}
		h.eyes = mysqldtest.NewObserver(server, func() time.Time { return s.now })
		s.hosts = append(s.hosts, h)
	}
	s.states = []*registry.State{state}
	for _, h := range s.hosts {
		h.begin()
	}
	for i := range 2 {
		c := &coordinator{sim: s, name: fmt.Sprintf("leader%d", i+1)}
		c.reset()
		s.leaders = append(s.leaders, c)
	}
	return s
}

func (s *sim) must(state *registry.State, c registry.Command) *registry.State {
	next, err := c.Apply(state)
	if err != nil {
		panic(err)
	}
	return next.WithIndex(state.Index() + 1)
}

func (s *sim) head() *registry.State { return s.states[len(s.states)-1] }

func (s *sim) database() *registry.Database {
	d, _ := s.head().Database(simDatabase)
	return d
}

func (s *sim) tell(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	if recent := s.story[max(0, len(s.story)-8):]; !slices.Contains(recent, line) { // what is tried again and again is told once
		s.story = append(s.story, line)
	}
}

func (s *sim) fail(format string, args ...any) {
	if s.broken == nil {
		s.broken = fmt.Errorf(format, args...)
		s.tell("BROKEN: %v", s.broken)
	}
}

// onAck checks G1: what anybody but the last established primary answers was on its way before: an acknowledgement that a
// fenced replica had sent. Then the new primary has it.
func (s *sim) onAck(by *mysqldtest.Server, t mysqldtest.Txn) {
	s.count.acks++
	s.tell("%s answers %s with OK", by.ID, t)
	if id := s.reigning.primary; registry.InstanceID(by.ID) != id && !s.host(id).server.HoldsLocked(t) {
		s.fail("G1: %s acknowledges %s, and %s, established in epoch %d, lacks it", by.ID, t, id, s.reigning.epoch)
	}
	s.serve(t)
}

// serve remembers what somebody has seen: it must never disappear.
func (s *sim) serve(t mysqldtest.Txn) {
	if !s.served[t] {
		s.served[t] = true
		s.acked = append(s.acked, t)
	}
}

// commit applies a command to the one true log.
func (s *sim) commit(who string, c registry.Command) {
	next, err := c.Apply(s.head())
	if err != nil {
		s.count.refused++
		if !errors.Is(err, registry.ErrStale) {
			s.tell("%s: %s: REFUSED %v", who, Describe(c), err)
		}
		return
	}
	before := s.database()
	s.states = append(s.states, next.WithIndex(s.head().Index()+1))
	d := s.database()
	switch c := c.(type) {
	case *registry.Refuse, *registry.SetRotation:
	case *registry.Elect:
		s.tell("%s: epoch %d %s; proof %s base %s ackers %v evidence %v", who, d.Epoch, Describe(c), c.Proof, c.Base, c.Ackers, c.Evidence)
	default:
		s.tell("%s: epoch %d %s", who, d.Epoch, Describe(c))
	}
	if d.Epoch < before.Epoch {
		s.fail("G6: epoch %d after %d", d.Epoch, before.Epoch)
	}
	if _, ok := c.(*registry.Establish); ok {
		s.established(d)
	}
	for _, r := range s.head().Records() {
		if r.Name == "primary."+simDatabase+".db" && len(r.Addrs) > 0 {
			m, _ := d.Member(s.reigning.primary)
			if d.Phase != registry.Serving || len(r.Addrs) != 1 || !strings.HasPrefix(m.Address, r.Addrs[0].String()+":") {
				s.fail("G6: %v is published in %s, %s reigns", r.Addrs, d.Phase, s.reigning.primary)
			}
		}
	}
}

// established checks G2.
func (s *sim) established(d *registry.Database) {
	s.count.epochs++
	s.reigning.epoch, s.reigning.primary = d.Epoch, d.Primary
	h := s.host(d.Primary)
	for _, t := range s.acked {
		if !h.server.Holds(t) {
			s.fail("G2: %s is established in epoch %d without %s", d.Primary, d.Epoch, t)
		}
	}
}

func (s *sim) host(id registry.InstanceID) *host {
	return s.hosts[slices.IndexFunc(s.hosts, func(h *host) bool { return h.id == id })]
}

// run plays n events, then stops all faults and wants the database back.
func (s *sim) run(n int) {
	events := work()
	calm := 1 + s.rng.IntN(10) // how much work is done between two faults
	for i := range events {
		events[i].weight *= calm
	}
	for _, f := range faults() {
		if f.repair || s.rng.IntN(2) == 0 { // each schedule has its own mixture of faults
			f.weight *= 1 + s.rng.IntN(2)
			events = append(events, f)
		}
	}
	total := 0
	for _, e := range events {
		total += e.weight
	}
	s.form()
	for i := 0; i < n && s.broken == nil; i++ {
		x := s.rng.IntN(total)
		for _, e := range events {
			if x -= e.weight; x < 0 {
				e.do(s)
				break
			}
		}
		s.now = s.now.Add(time.Duration(s.rng.IntN(3)) * time.Millisecond)
		if s.rng.IntN(400) == 0 {
			s.now = s.now.Add(time.Duration(s.rng.IntN(2000)) * time.Millisecond)
		}
	}
	s.count.troubled = s.count.epochs
	if s.broken == nil {
		s.recover()
	}
	for _, h := range s.hosts {
		if h.guard != nil {
			h.end()
		}
	}
}

// form brings the database up without faults.
func (s *sim) form() {
	for range 200 {
		s.round()
		if s.wellServed() {
			return
		}
	}
	s.fail("the database was never formed: %s", s.explain())
}

// recover ends all faults.
func (s *sim) recover() {
	s.quiet = true
	s.tell("faults are over")
	for _, a := range s.hosts {
		a.deaf = false
		for _, b := range s.hosts {
			s.group.Heal(a.server, b.server)
		}
		a.server.Thaw()
		if a.guard == nil {
			a.begin()
		}
	}
	for _, c := range s.leaders {
		c.reset()
	}
	for range 400 {
		s.round()
		if s.broken != nil || s.wellServed() {
			return
		}
	}
	if !s.mayBeStuck() {
		s.fail("the database does not come back: %s", s.explain())
	}
}

// round is 100 ms in which everybody does what there is to do.
func (s *sim) round() {
	for _, h := range s.hosts {
		if !h.server.Running() {
			h.server.Start()
		}
		h.announce()
		h.view = len(s.states) - 1
		for range 12 {
			h.eyes.Look()
			h.act()
			s.group.Settle()
		}
		h.eyes.Look()
		h.report()
	}
	for _, m := range s.mail {
		m.to.receive(m.report)
	}
	s.mail = nil
	for _, c := range s.leaders {
		c.view = len(s.states) - 1
		c.pending = nil
		c.decide()
		c.propose()
	}
	s.now = s.now.Add(100 * time.Millisecond)
}

// wellServed reports whether the primary is open, all who can follow follow, and a write is acknowledged.
func (s *sim) wellServed() bool {
	d := s.database()
	if d.Phase != registry.Serving {
		return false
	}
	h := s.host(d.Primary)
	if !h.server.Open() || h.doing != nil {
		return false
	}
	t, ok := s.group.Commit(h.server)
	s.group.Settle()
	return ok && s.served[t]
}

// mayBeStuck reports what is for people: too few members are left that do not contradict each other, or nobody can prove
// to have everything, because the former primary has forgotten that it reigned.
func (s *sim) mayBeStuck() bool {
	if d := s.database(); d.Phase == registry.Fencing && s.host(d.Former).forgot {
		return true
	}
	diverged := 0
	for _, h := range s.hosts {
		if h.guard.Report().Diverged != "" {
			diverged++
		}
	}
	return len(s.hosts)-diverged < s.k+1
}

// explain says where everybody stands.
func (s *sim) explain() string {
	var b strings.Builder
	d := s.database()
	fmt.Fprintf(&b, "%s epoch %d primary %q former %q ackers %v k %d next %v settled %+v\n", d.Phase, d.Epoch, d.Primary, d.Former, d.Ackers, d.K, d.NextAckers, d.Settled)
	for _, h := range s.hosts {
		o := h.eyes.Latest()
		fmt.Fprintf(&b, "  %s %s open %t log %v visible %d relay %v", h.id, o.Process, h.server.Open(), h.server.Log(), len(h.server.Visible()), o.Status.Received)
		if h.guard != nil {
			fmt.Fprintf(&b, " guard %+v record %+v", h.guard.Report(), h.guard.done.record)
		}
		b.WriteByte('\n')
	}
	c := s.leaders[0]
	for id, h := range c.board {
		h.Age = s.now.Sub(c.at[id])
		c.board[id] = h
	}
	fmt.Fprintf(&b, "  waiting: %+v", Decide(d, c.board, DefaultRules(), Clock{Watching: time.Minute, InPhase: time.Minute}))
	return b.String()
}

func simDir(t testing.TB) string {
	if _, err := os.Stat("/dev/shm"); err == nil {
		dir, err := os.MkdirTemp("/dev/shm", "promote-sim-")
		if err == nil {
			t.Cleanup(func() { _ = os.RemoveAll(dir) })
			return dir
		}
	}
	return t.TempDir()
}

func TestSimulatedSchedulesKeepTheGuarantees(t *testing.T) {
	first, n := uint64(1), uint64(300)
	if testing.Short() {
		n = 40
	}
	if text := os.Getenv("PROMOTE_SIM_SEED"); text != "" {
		if _, err := fmt.Sscan(text, &first); err != nil {
			t.Fatal(err)
		}
		n = 1
	}
	if text := os.Getenv("PROMOTE_SIM_RUNS"); text != "" {
		if _, err := fmt.Sscan(text, &n); err != nil {
			t.Fatal(err)
		}
	}
	dir := simDir(t)
	var epochs, troubled, acks int
	for seed := first; seed < first+n; seed++ {
		s := newSim(seed, dir)
		s.run(5000)
		epochs, troubled, acks = epochs+s.count.epochs, troubled+s.count.troubled-1, acks+s.count.acks
		if s.broken != nil {
			t.Errorf("seed %d (%s, %d members, k %d): %v\n%s", seed, s.group.Flavor, len(s.hosts), s.k, s.broken, strings.Join(s.tail(), "\n"))
			return
		}
	}
	t.Logf("%d schedules, %d reigns, %d of them begun under faults, %d acknowledged writes", n, epochs, troubled, acks)
}

// tail is the end of the story: PROMOTE_SIM_STORY=all shows the whole.
func (s *sim) tail() []string {
	if os.Getenv("PROMOTE_SIM_STORY") == "all" || len(s.story) < 120 {
		return s.story
	}
	return s.story[len(s.story)-120:]
}
