package agent

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/internal/beat"
	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/promote"
	"github.com/baton-db/baton/promote/power"
	"github.com/baton-db/baton/promote/rejoin"
	"github.com/baton-db/baton/promote/upstream"
	"github.com/baton-db/baton/registry"
)

// preflightEvery is the pause between two looks at the settings that lossless durability rests on, and preflightSoon that
// after a look that found something fatal or could not be taken: somebody waits for the next.
const (
	preflightEvery = 10 * time.Second
	preflightSoon  = time.Second
)

// keeper looks after the database server of this node: it observes, obeys and reports.
type keeper struct {
	cfg      *Database
	node     Config
	server   DatabaseServer
	checker  *health.Checker
	guard    *promote.Guard
	returner *rejoin.Returner
	upstream *upstream.Watch
	power    *power.Watch
	nudge    chan struct{} // of one: there is something new to report
	boot     string
	seq      uint64
	findings atomic.Pointer[[]health.Finding]
	send     func(health.Report)
	log      *slog.Logger
}

// newKeeper opens the promise file; it does not need the server to run.
func (a *Agent) newKeeper(send func(health.Report)) (*keeper, error) {
	cfg, feed, log := a.cfg, a.feed(), a.log
	d := cfg.Database
	k := &keeper{cfg: d, node: cfg, nudge: make(chan struct{}, 1), boot: rand.Text(), send: send, log: log}
	server, err := a.machine.Database(mysqld.Config{Socket: d.Socket, User: d.User, Password: d.Password, Logger: log.With("room", "mysqld")})
	if err != nil {
		return nil, fmt.Errorf("database server at %s: %w", d.Socket, err)
	}
	k.server = server
	check := health.DefaultCheckerConfig()
	check.Instance, check.Notify, check.Logger = string(d.Instance), k.poke, log.With("room", "health")
	k.checker = health.NewChecker(check, server)
	account := mysqld.Source{User: d.ReplUser, Password: d.ReplSecret}
	if k.returner, err = newReturner(cfg, k, account, feed); err != nil {
		return nil, errors.Join(err, server.Close())
	}
	k.guard, err = promote.NewGuard(promote.GuardConfig{
		Database: d.Name, Instance: d.Instance, Dir: filepath.Join(cfg.DataDir, "guard"), Notify: k.poke,
		Current:     a.current,
		Uptime:      a.machine.Uptime,
		Replication: account, Returning: func() string { return k.returner.Busy() }, Logger: log.With("room", "promote"),
	}, server, k.checker, feed)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("guard of %s: %w", d.Instance, err), server.Close())
	}
	k.power, err = power.New(power.Config{Database: d.Name, Instance: d.Instance, Dir: filepath.Join(cfg.DataDir, "guard"), Notify: k.poke,
		Logger: log.With("room", "promote")}, server, k.checker, feed)
	if err != nil {
		return nil, errors.Join(err, server.Close())
	}
	k.upstream = upstream.New(server, k.checker, account, log.With("room", "promote"))
	return k, nil
}

// poke makes the next report leave at once.
func (k *keeper) poke() {
	select {
	case k.nudge <- struct{}{}:
	default:
	}
}

// parts are what runs for the server, in the order of their start.
func (k *keeper) parts() []part {
	return []part{
		{"connection to the database server", func(ctx context.Context) error { <-ctx.Done(); return k.server.Close() }},
		{"checker", k.checker.Run},
		{"preflight", k.preflight},
		{"guard", k.guard.Run},
		{"return", k.returner.Run},
		{"source", k.upstream.Run},
		{"settings", k.power.Run},
		{"reports", k.report},
	}
}

// report sends what is known now, at every change and at least as often as the report's Pauses say.
func (k *keeper) report(ctx context.Context) error {
	next := time.NewTimer(time.Second)
	defer next.Stop()
	silent := false
	for {
		calm := k.checker.Latest().Calm() && k.guard.Settled()
		r := k.compose()
		k.send(r)
		every, closely := r.Pauses()
		if calm {
			closely = beat.Until(every)
		}
		next.Reset(closely)
		silent = k.noteSilence(r, silent)
		select {
		case <-ctx.Done():
			return nil
		case <-k.nudge:
		case <-next.C:
		}
	}
}

// noteSilence says once that the server does not answer, and once that it does again.
func (k *keeper) noteSilence(r health.Report, silent bool) bool {
	switch {
	case !silent && r.ServerError != "":
		k.log.Warn("the database server does not answer: trying on", "instance", k.cfg.Instance, "err", r.ServerError)
	case silent && r.ServerError == "":
		k.log.Info("the database server answers", "instance", k.cfg.Instance, "process", r.Process)
	}
	return r.ServerError != ""
}

// compose is called by report only: it counts.
func (k *keeper) compose() health.Report {
	k.seq++
	r := health.Report{Database: k.cfg.Name, Instance: k.cfg.Instance, Node: k.node.Node, Boot: k.boot, Seq: k.seq,
		Member: k.configured()}
	// The guard first: what it has done must be covered by the observation that follows, not the other way round.
	r.Guard = k.guard.Report()
	r.Returning, r.Archived = k.returner.Report()
	health.Describe(k.checker.Latest(), &r)
	k.upstream.Describe(&r)
	k.power.Describe(&r)
	if f := k.findings.Load(); f != nil {
		r.Preflight, r.Findings = true, *f
	}
	return r
}

// configured is the member as this node's file describes it, without what only the server knows.
func (k *keeper) configured() registry.Member {
	return registry.Member{ID: k.cfg.Instance, Node: k.node.Node, Address: k.cfg.Address, Zone: k.node.Zone, Preference: k.cfg.Preference,
		PromiseFile: k.guard.PromiseFile()}
}

// member is what the registry should say of the server; its Flavor is empty while the server was never asked.
func (k *keeper) member() registry.Member {
	r := health.Report{Member: k.configured()}
	health.Describe(k.checker.Latest(), &r)
	return r.Member
}

// preflight looks at the settings now and then, and says once what is wrong and how to mend it.
func (k *keeper) preflight(ctx context.Context) error {
	said := map[string]bool{}
	for {
		timer := time.NewTimer(k.lookAtSettings(ctx, said))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

// lookAtSettings returns when to look again.
func (k *keeper) lookAtSettings(ctx context.Context, said map[string]bool) time.Duration {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	if err := k.server.Warm(ctx); err != nil {
		k.log.Debug("keep connections", "err", err)
	}
	found, err := k.server.Preflight(ctx)
	if err != nil {
		k.log.Debug("preflight", "err", err)
		return preflightSoon
	}
	again := preflightEvery
	all := make([]health.Finding, 0, len(found))
	for _, f := range found {
		all = append(all, health.Finding{Code: f.Code, Setting: f.Setting, Have: f.Have, Want: f.Want, Why: f.Why, Fix: f.Fix, Fatal: f.Fatal, Volatile: f.Volatile})
		if f.Fatal {
			again = preflightSoon
		}
		if key := f.Setting + "=" + f.Have; !said[key] {
			said[key] = true
			k.log.Warn("setting of the database server", "code", f.Code, "setting", f.Setting, "have", f.Have, "want", f.Want, "why", f.Why, "fix", f.Fix)
		}
	}
	k.findings.Store(&all)
	return again
}
