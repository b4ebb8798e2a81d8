package rejoin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"sync"
	"time"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/mysqld/archive"
	"github.com/baton-db/baton/mysqld/offline"
	"github.com/baton-db/baton/mysqld/process"
	"github.com/baton-db/baton/registry"
)

// Server is the database server beside this node. *mysqld.Server is one.
type Server interface {
	Places(ctx context.Context) (mysqld.Places, error)
	Process(ctx context.Context) (process.Run, error)
	SourcePosition(ctx context.Context, src mysqld.Source) (mysqld.GTIDSet, error)
	Clone(ctx context.Context, donor mysqld.Source) error
	CloneProgress(ctx context.Context) (mysqld.CloneProgress, error)
	ForgetCopied(ctx context.Context) error
}

// Guard is the guard of the same server. *promote.Guard is one.
type Guard interface {
	Report() health.Guard
	LedLast() bool
}

// Observer watches the same server. *health.Checker is one.
type Observer interface {
	Latest() health.Observation
	Changed() <-chan struct{}
}

// Feed is where decisions come from.
type Feed interface {
	State() *registry.State
	Changed() <-chan struct{}
}

// Config says whom to bring back, and what may be done for it.
type Config struct {
	Database registry.DatabaseName
	Instance registry.InstanceID
	// Data is the node's data directory: archives are in archive/ below it, the journal in guard/.
	Data   string
	Policy How
	// Start starts the server and returns when whoever starts it has been told; Stop makes sure that nobody starts it. Both
	// are nil where baton may not.
	Start, Stop func(ctx context.Context) error
	// Replication is the account with which a primary is asked and a donor is copied.
	Replication mysqld.Source
	// Notify is called after every change of what Report returns; it must not block.
	Notify func()
	Logger *slog.Logger
}

// Parts are who a Returner works with.
type Parts struct {
	Server   Server
	Guard    func() Guard // asked late: the guard itself asks Busy
	Observer Observer
	Feed     Feed
}

// Returner brings one local server back. Run is called once; the other methods from any goroutine.
type Returner struct {
	cfg Config
	Parts
	log *slog.Logger

	mu       sync.Mutex
	journal  Journal
	facts    *Facts
	factsOf  string // the process from which they are
	factsAt  time.Time
	unknown  string // why there are no facts
	examined *Examined
	started  time.Time // when baton last started the server
	died     time.Time // when it was first seen dead; zero: it is not
	copy     Copy      // what became of the copy that was begun, as the process copyOf says
	copyOf   string
	failed   time.Time // when a server that was emptied was last copied
	report   *health.Returning
	archived []health.Archived

	attempts int // copies that were begun; Run's
}

// New reads what an earlier agent has left. A journal that cannot be read is an error: what it has begun must be finished.
func New(cfg Config, parts Parts) (*Returner, error) {
	if cfg.Policy == "" {
		cfg.Policy = Rewind
	}
	if cfg.Notify == nil {
		cfg.Notify = func() {}
	}
	r := &Returner{cfg: cfg, Parts: parts, log: cfg.Logger}
	text, err := load(r.path("return"))
	if err == nil && text != nil {
		r.journal, err = parseJournal(text)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", r.path("return"), err)
	}
	if text, err = load(r.path("server")); err == nil && text != nil {
		if f, bad := parseFacts(text); bad == nil {
			r.facts = &f
		} // else it is written anew when the server is up
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", r.path("server"), err)
	}
	if err := r.list(); err != nil {
		r.log.Warn("archives", "err", err)
	}
	return r, nil
}

func (r *Returner) path(what string) string {
	return filepath.Join(r.cfg.Data, "guard", fmt.Sprintf("%s-%s-%s.json", what, r.cfg.Database, r.cfg.Instance))
}

func (r *Returner) archives() string {
	return archive.Dir(r.cfg.Data, string(r.cfg.Database), string(r.cfg.Instance))
}

// Busy says why the guard may do nothing to the server; "": it may.
func (r *Returner) Busy() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch r.journal.Stage {
	case Rewinding:
		return "what the primary lacks is being taken back"
	case Cloning:
		return "it is being replaced by a copy since " + r.journal.begun()
	case Emptied:
		return "its data was removed by a copy that did not end: " + r.journal.Lost
	}
	return ""
}

// Report is what is being done, nil for nothing, and what is archived.
func (r *Returner) Report() (*health.Returning, []health.Archived) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.journal.copying() {
		return r.report, r.archived
	}
	out := health.Returning{Doing: string(DoNothing), Why: "what became of its copy is not known yet"}
	if r.report != nil {
		out = *r.report
	}
	out.Replaced = true
	return &out, r.archived
}

// look is the pause between two looks while nothing changes.
const look = 500 * time.Millisecond

// Run brings the server back whenever it has to be, until ctx ends. It never gives up: a problem is reported and tried
// again.
func (r *Returner) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		stateChanged, serverChanged := r.Feed.Changed(), r.Observer.Changed()
		again := r.once(ctx)
		if again == 0 {
			continue
		}
		timer := time.NewTimer(again)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-r.wake(stateChanged, again):
		case <-r.wake(serverChanged, again):
		}
		timer.Stop()
	}
	return nil
}

// wake is c, or nothing after a problem: what failed is not tried again at every change.
func (r *Returner) wake(c <-chan struct{}, again time.Duration) <-chan struct{} {
	if again > look {
		return nil
	}
	return c
}

// problemPause is how long to wait after something failed.
const problemPause = 5 * time.Second

// once does one step and returns how long to rest; 0: look at once.
func (r *Returner) once(ctx context.Context) time.Duration {
	d, ok := r.Feed.State().Database(r.cfg.Database)
	if !ok {
		return look
	}
	r.learn(ctx)
	r.ask(ctx)
	l := r.local(d)
	step := Next(d, r.cfg.Instance, l)
	if step.Verb == DoNothing {
		r.say(l, step, nil)
		return look
	}
	r.say(l, step, nil)
	began := time.Now()
	if err := r.perform(ctx, d, l, step); err != nil {
		if ctx.Err() == nil {
			r.say(l, step, err)
			r.log.Warn("bring back", "step", step.Verb, "err", err)
		}
		return problemPause
	}
	r.log.Info("bring back", "step", step.Verb, "why", step.Why, "ms", time.Since(began).Milliseconds())
	return 0
}

// say reports what is being done.
func (r *Returner) say(l Local, s Step, err error) {
	var out *health.Returning
	if s.Verb != DoNothing || s.Why != "" {
		out = &health.Returning{Doing: string(s.Verb), Extra: l.Extra, Why: s.Why}
		if l.Extra == "" && l.Examined != nil {
			out.Extra = l.Examined.Extra
		}
		if l.Journal.Stage != Idle || out.Extra == l.Journal.Extra {
			out.Extra, out.Archive = l.Journal.Extra, l.Journal.Archive
		}
		if err != nil {
			out.Problem = err.Error()
		}
	}
	r.set(out)
}

func (r *Returner) set(out *health.Returning) {
	r.mu.Lock()
	before := r.report
	r.report = out
	r.mu.Unlock()
	if (before == nil) != (out == nil) || before != nil && *before != *out {
		r.cfg.Notify()
	}
}

// learnAgain is the pause between two looks while the server is brought back: a plugin may have been installed.
const learnAgain = 10 * time.Second

// learn keeps on disk where the server's files are and how it was started, while it can be asked.
func (r *Returner) learn(ctx context.Context) {
	o := r.Observer.Latest()
	r.mu.Lock()
	known := r.factsOf == o.Incarnation && (r.report == nil || time.Since(r.factsAt) < learnAgain)
	r.mu.Unlock()
	if known || !up(o) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	places, err := r.Server.Places(ctx)
	f := Facts{Version: formatVersion, Places: places}
	var run process.Run
	if err == nil {
		run, err = r.Server.Process(ctx)
	}
	if err == nil && run.Incarnation() != o.Incarnation {
		return // it was restarted just now
	}
	if err == nil {
		f.Program, err = offline.Running(run.PID())
	}
	if err == nil {
		err = store(r.path("server"), f)
	}
	if err != nil {
		r.mu.Lock()
		r.unknown = err.Error()
		r.mu.Unlock()
		r.log.Debug("learn how the server was started", "err", err)
		return
	}
	r.mu.Lock()
	r.facts, r.factsOf, r.factsAt = &f, o.Incarnation, time.Now()
	r.mu.Unlock()
}

// justDied is longer than a leader takes to end a reign that it can end, also one with a lease.
const justDied = 5 * time.Second

func up(o health.Observation) bool { return o.Good && o.Unreachable == 0 && !o.Process.Gone() }

// local puts together what Next needs to know.
func (r *Returner) local(d *registry.Database) Local {
	o, guard, ledLast := r.Observer.Latest(), r.Guard().Report(), r.Guard().LedLast()
	me, _ := d.Member(r.cfg.Instance)
	r.mu.Lock()
	defer r.mu.Unlock()
	if w := me.Rejoin; w.Epoch == d.Epoch && w.AtMillis != r.journal.WishMillis {
		r.journal.Tried, r.journal.WishMillis = nil, w.AtMillis
	}
	l := Local{Journal: r.journal, Policy: r.cfg.Policy, Up: up(o), Incarnation: o.Incarnation, LedLast: ledLast, Known: r.facts != nil, Unknown: cmp.Or(r.unknown, "it was never up beside this agent. Way out: start it"),
		Waiting: time.Since(r.started) < startLimit}
	if me.Rejoin.Epoch == d.Epoch {
		l.Wish = How(me.Rejoin.How)
	}
	if l.Up {
		l.Extra, r.examined = still(o, guard.Diverged), nil
		if l.Copy = r.copy; r.copyOf != o.Incarnation {
			l.Copy = Copy{Unasked: "it is another process just now"}
		}
	} else if r.facts != nil {
		err := offline.Free(r.facts.Places)
		if l.Dead = err == nil; err != nil && !errors.Is(err, offline.ErrRuns) {
			l.Unsure = err.Error()
		}
		l.Examined = r.examined
	}
	if !l.Dead {
		r.died = time.Time{}
	} else if r.died.IsZero() {
		r.died = time.Now()
	}
	l.JustDied = l.Dead && time.Since(r.died) < justDied
	if r.cfg.Start == nil || r.cfg.Stop == nil {
		l.MayStart = "baton does not know how to start and stop it. Way out: start it, or set mysql.start and mysql.stop in the node's file"
	}
	switch {
	case r.facts == nil:
		l.MayClone = "where its data is, is not known yet"
	case r.facts.Places.Flavor != mysqld.MySQL:
		l.MayClone = "MariaDB cannot copy itself from another"
	case !r.facts.Places.ClonePlugin:
		l.MayClone = "the clone plugin is not there (INSTALL PLUGIN clone SONAME 'mysql_clone.so')"
	}
	return l
}

// still is extra, unless the server that answers now has nothing of it: somebody has brought it back, and the guard has not
// looked yet.
func still(o health.Observation, extra string) string {
	set, err := mysqld.ParseGTIDSet(o.Status.Flavor, extra)
	if err == nil && o.Status.Position().Intersect(set).IsEmpty() {
		return ""
	}
	return extra
}

// begin makes a stage durable before it begins.
func (r *Returner) begin(change func(*Journal)) error {
	r.mu.Lock()
	j := r.journal
	r.mu.Unlock()
	tried := map[How]string{}
	for k, v := range j.Tried {
		tried[k] = v
	}
	j.Tried = tried
	change(&j)
	j.Version = formatVersion
	if err := store(r.path("return"), j); err != nil {
		return fmt.Errorf("write down what is begun: %w", err)
	}
	r.mu.Lock()
	r.journal = j
	r.mu.Unlock()
	r.cfg.Notify()
	return nil
}

// list reads what is archived.
func (r *Returner) list() error {
	all, err := archive.List(r.archives())
	if err != nil {
		return err
	}
	var out []health.Archived
	for _, e := range all[max(0, len(all)-maxListed):] {
		out = append(out, health.Archived{ID: e.ID, Epoch: e.Epoch, Primary: e.Primary, GTIDs: clipped(e.GTIDs), Count: e.Count, First: e.First, Last: e.Last,
			At: e.At, Bytes: e.Bytes, File: filepath.Join(e.Dir, e.SQL)})
	}
	r.mu.Lock()
	r.archived = out
	r.mu.Unlock()
	return nil
}

// maxListed archives are reported, of the newest: a report is sent often.
const maxListed = 20

func clipped(s string) string {
	if len(s) > 300 {
		return s[:300] + "..."
	}
	return s
}

// source is the replication account pointed at a member.
func (r *Returner) source(m registry.Member) (mysqld.Source, error) {
	ap, err := netip.ParseAddrPort(m.Address)
	if err != nil {
		return mysqld.Source{}, fmt.Errorf("address of %s: %w", m.ID, err)
	}
	src := r.cfg.Replication
	src.Host, src.Port = ap.Addr().String(), ap.Port()
	return src, nil
}

var errNotLacking = errors.New("the primary lacks nothing of it any more")
