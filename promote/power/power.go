// Package power puts back the settings by which what a server has committed survives a loss of power, and remembers a server that
// may have lost some of it.
//
// A commit that is not synced is in the binary log and not in the tables, or the other way round, when the power comes back: the
// GTIDs of such a server say nothing of its rows. So what was seen to be wrong is written down before it is put back, and struck
// out when it is and everything from before is durable. A machine that is started again in between leaves a torn server: it
// proves nothing in an election, is not elected and becomes no acker, until it has got a copy of another.
package power

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/internal/beat"
	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/registry"
)

// every is the pause between two looks at what was observed, again that after which what was refused is tried again, told for how
// long status speaks of what was put back, and blocked from when on a commit waits too long for another to be begun.
const (
	every   = 250 * time.Millisecond
	again   = 5 * time.Second
	told    = time.Hour
	blocked = 500 // ms
)

// Server puts settings back. *mysqld.Server is one.
type Server interface {
	Tighten(ctx context.Context) (mysqld.Tightened, error)
}

// Observer watches the same server. *health.Checker is one. Refresh asks the server now; both may be called at any time.
type Observer interface {
	Latest() health.Observation
	Refresh(ctx context.Context) health.Observation
}

// Feed is where the registry is read; it must not block.
type Feed interface {
	State() *registry.State
}

// Config is whom a Watch looks after.
type Config struct {
	Database registry.DatabaseName
	Instance registry.InstanceID
	Dir      string // where the record is kept; it must survive a restart of the machine
	Notify   func() // called when there is something new to report; it must not block
	Logger   *slog.Logger
}

// Watch looks while Run runs. Describe may be called by any goroutine.
type Watch struct {
	cfg      Config
	path     string
	server   Server
	observer Observer
	feed     Feed

	mu    sync.Mutex
	kept  record
	said  health.Power
	tried time.Time // when it was last tried in vain
	done  time.Time // when something was last put back
}

// New reads what was written down. The error says which file is damaged, and the way out.
func New(cfg Config, server Server, observer Observer, feed Feed) (*Watch, error) {
	w := &Watch{cfg: cfg, server: server, observer: observer, feed: feed,
		path: filepath.Join(cfg.Dir, fmt.Sprintf("power-%s-%s", cfg.Database, cfg.Instance))}
	var err error
	w.kept, err = read(w.path)
	return w, err
}

// Run looks until ctx ends.
func (w *Watch) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		w.look(ctx)
		timer := time.NewTimer(beat.Until(every))
		select {
		case <-ctx.Done():
			timer.Stop()
		case <-timer.C:
		}
	}
	return nil
}

// binds reports whether the database is to lose nothing. Before its first reign it is not formed while a setting is wrong, and
// whoever set it is told; an async one may lose commits anyway.
func (w *Watch) binds() bool {
	d, ok := w.feed.State().Database(w.cfg.Database)
	if !ok || d.Epoch == 0 || d.Policy.Async() {
		return false
	}
	_, ok = d.Member(w.cfg.Instance)
	return ok
}

// look does what is to be done now.
func (w *Watch) look(ctx context.Context) {
	o := w.observer.Latest()
	if !o.Good || o.Err != nil || o.Incarnation == "" {
		return
	}
	w.mu.Lock()
	kept, tried, recent := w.kept, w.tried, time.Since(w.done) < told
	w.mu.Unlock()
	w.note(func(p *health.Power) { p.Recent = p.Recent && recent })
	if kept.torn(o.Incarnation) != "" {
		if _, err := os.Stat(w.path); errors.Is(err, fs.ErrNotExist) {
			w.cfg.Logger.Info("the record of wrong settings was taken away: this server counts again", "file", w.path)
			kept = record{}
			w.keep(kept)
		}
	}
	wrong, binds := o.Status.Loose, w.binds()
	if len(wrong) == 0 && kept.Process != o.Incarnation || !binds {
		w.note(func(p *health.Power) { p.Loose, p.Problem = "", "" })
		return
	}
	if kept.torn(o.Incarnation) == "" && len(committed(wrong)) > 0 && (kept.Process != o.Incarnation || !slices.Equal(kept.Settings, committed(wrong))) {
		// All that was wrong in this process counts until everything is durable.
		all := committed(wrong)
		if kept.Process == o.Incarnation {
			all = append(all, kept.Settings...)
		}
		slices.Sort(all)
		next := record{Process: o.Incarnation, Settings: slices.Compact(all)}
		if err := next.write(w.path); err != nil {
			w.fail(wrong, err)
			return
		}
		w.keep(next)
	}
	if time.Since(tried) < again || o.Canary.BlockedMillis >= blocked { // a commit of this room would wait as well
		w.note(func(p *health.Power) { p.Loose = strings.Join(wrong, ", ") })
		return
	}
	w.tighten(ctx, o)
}

// tighten puts back what is wrong, and forgets it when all is durable.
func (w *Watch) tighten(ctx context.Context, o health.Observation) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	done, err := w.server.Tighten(ctx)
	after := w.observer.Refresh(ctx)
	if err == nil && (after.Err != nil || after.Incarnation != o.Incarnation || len(after.Status.Loose) > 0) {
		return // another process, or somebody goes on: look again
	}
	if err != nil {
		w.fail(after.Status.Loose, err)
		return
	}
	w.mu.Lock()
	kept := w.kept
	w.mu.Unlock()
	if kept.Process == o.Incarnation {
		if err := (record{}).write(w.path); err != nil {
			w.fail(nil, err)
			return
		}
		w.keep(record{})
	}
	if len(done.Was) > 0 {
		w.mu.Lock()
		w.done = time.Now()
		w.mu.Unlock()
	}
	w.note(func(p *health.Power) {
		p.Loose, p.Problem = "", ""
		if len(done.Was) > 0 {
			p.Restored, p.RestoredAt, p.Recent = p.Restored+1, time.Now().UTC().Format(time.RFC3339), true
			p.Last, p.LastBy = strings.Join(done.Was, ", "), done.By
		}
	})
	if len(done.Was) > 0 {
		w.cfg.Logger.Warn("somebody has changed how commits survive a loss of power: put back; if it stands in a configuration file, change it there",
			"were", strings.Join(done.Was, ", "), "by", done.By)
	}
}

// fail says once why the settings stay wrong, and tries again later.
func (w *Watch) fail(wrong []string, err error) {
	w.mu.Lock()
	known := w.said.Problem == err.Error()
	w.tried = time.Now()
	w.mu.Unlock()
	w.note(func(p *health.Power) { p.Loose, p.Problem = strings.Join(wrong, ", "), err.Error() })
	if !known {
		w.cfg.Logger.Warn("settings with which a loss of power takes commits cannot be put back", "settings", strings.Join(wrong, ", "), "err", err)
	}
}

func (w *Watch) keep(r record) {
	w.mu.Lock()
	w.kept, w.tried = r, time.Time{}
	w.mu.Unlock()
}

func (w *Watch) note(change func(*health.Power)) {
	w.mu.Lock()
	before := w.said
	change(&w.said)
	changed := before != w.said
	w.mu.Unlock()
	if changed {
		w.cfg.Notify()
	}
}

// Describe adds to the report of a server, whose process stands in r, what is known here. A torn one has no memory that counts.
func (w *Watch) Describe(r *health.Report) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r.Power = w.said
	if why := w.kept.torn(r.Incarnation); why != "" {
		r.Power.Torn = fmt.Sprintf("%s: it may lack rows whose GTIDs it has. Way out: give it a fresh copy of another server, then remove %s on its host", why, w.path)
		r.Guard.Amnesiac, r.Guard.CaughtUp = true, false
	}
}
