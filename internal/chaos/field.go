package chaos

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/demo"
	"github.com/baton-db/baton/internal/chaos/witness"
	"github.com/baton-db/baton/internal/netlab"
	"github.com/baton-db/baton/promote/decide"
	"github.com/baton-db/baton/registry"
)

// hosts is how many hosts carry a server; the client host comes after them.
const hosts = 3

const clientHost = netlab.Host(hosts)

// field is what faults act on. One goroutine injects and heals.
type field struct {
	rig     *demo.Rig
	net     *netlab.Network
	disks   []*netlab.Disk
	watch   *watch
	sampler *witness.Sampler
}

// errSkipped is in the chain of an error that says that a fault had nothing to strike.
var errSkipped = errors.New("nothing to strike")

func skip(err error) error { return fmt.Errorf("%w: %w", errSkipped, err) }

// host finds who plays a role now.
func (f *field) host(role Role, draw int) (int, error) {
	primary, leader := f.watch.roles()
	i := f.index(string(primary))
	switch role {
	case Leader, Follower:
		i = f.index(string(leader))
	case All:
		return 0, nil
	}
	if i < 0 {
		return 0, skip(fmt.Errorf("nobody is known to be %s", role))
	}
	if role == Replica || role == Follower {
		i = (i + 1 + draw%(hosts-1)) % hosts
	}
	return i, nil
}

func (f *field) index(name string) int {
	return slices.IndexFunc(f.rig.Nodes[:hosts], func(n *demo.Node) bool { return n.Name == name })
}

// admin opens the unix socket of a server, which no cut of the network touches. One connection, as one who may do all.
func (f *field) admin(host int) (*sql.DB, error) {
	return witness.Open("unix", f.rig.Databases[host].Socket(), "admin", 2*time.Second)
}

// say runs statements on a server as an administrator; those after one that fails are not run.
func (f *field) say(ctx context.Context, host int, statements ...string) error {
	db, err := f.admin(host)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }() // nothing is pending
	for _, s := range statements {
		if _, err := db.ExecContext(ctx, s); err != nil {
			return fmt.Errorf("%s on %s: %w", s, f.rig.Databases[host].Name(), err)
		}
	}
	return nil
}

// reign is one epoch as the registry's history tells it.
type reign struct {
	Epoch       registry.Epoch      `json:"epoch"`
	Primary     registry.InstanceID `json:"primary"`
	Cause       registry.Cause      `json:"cause"`
	Established time.Time           `json:"established"`
	began       time.Time
}

// watch asks the servers again and again how the database stands, and keeps what they say.
type watch struct {
	client *api.Client

	mu      sync.Mutex
	reigns  map[registry.Epoch]*reign
	primary registry.InstanceID // the last one established
	newest  registry.Epoch      // the last one established
	leader  registry.NodeID
	term    uint64
}

func newWatch(client *api.Client) *watch {
	return &watch{client: client, reigns: map[registry.Epoch]*reign{}}
}

// run watches until ctx ends.
func (w *watch) run(ctx context.Context) {
	for ctx.Err() == nil {
		asked, cancel := context.WithTimeout(ctx, 2*time.Second)
		if v, err := w.client.Database(asked, demo.DatabaseName, api.Stale); err == nil {
			w.see(v.Database)
		}
		if s, err := w.client.Status(asked, api.Stale); err == nil && s.Raft.Leader != "" {
			w.mu.Lock()
			if s.Raft.Term >= w.term {
				w.leader, w.term = s.Raft.Leader, s.Raft.Term
			}
			w.mu.Unlock()
		}
		cancel()
		rest(ctx, 100*time.Millisecond)
	}
}

// see takes what is new in the history. A server that is behind tells an older part of the same story.
func (w *watch) see(d *registry.Database) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range d.History {
		r := w.reigns[e.Epoch]
		if r == nil {
			r = &reign{Epoch: e.Epoch, Cause: e.Cause, began: time.UnixMilli(e.AtMillis)}
			w.reigns[e.Epoch] = r
		}
		if e.Phase == registry.Serving && e.Cause.Code == decide.Marked {
			r.Primary, r.Established = e.Instance, time.UnixMilli(e.AtMillis)
			if e.Epoch > w.newest {
				w.newest, w.primary = e.Epoch, e.Instance
			}
		}
	}
}

func (w *watch) roles() (registry.InstanceID, registry.NodeID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.primary, w.leader
}

// story is every reign seen, in order of epochs.
func (w *watch) story() []reign {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []reign
	for _, r := range w.reigns {
		all = append(all, *r)
	}
	slices.SortFunc(all, func(a, b reign) int { return int(a.Epoch) - int(b.Epoch) })
	return all
}

func rest(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// addresses are those of the primaries of a story, one after the other.
func (f *field) addresses(story []reign) []string {
	var all []string
	for _, r := range story {
		if i := f.index(string(r.Primary)); i >= 0 && !r.Established.IsZero() {
			all = append(all, f.rig.Databases[i].Addr().Addr().String())
		}
	}
	return all
}
