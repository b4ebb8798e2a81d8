package mysqld_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/promote"
	"github.com/baton-db/baton/promote/decide"
	"github.com/baton-db/baton/promote/promise"
	"github.com/baton-db/baton/registry"
	"github.com/baton-db/baton/registry/codec"
)

const otherUUID = "4e11fa47-71ca-11e1-9e33-c80aa9429562"

// reigns is what an open primary answers to the question for its state; it follows nobody.
func reigns() map[string]any {
	state, _ := replica()
	maps.Copy(state, map[string]any{"read_only": "0", "server_id": "1", "rpl_semi_sync_source_enabled": "1", "rpl_semi_sync_replica_enabled": "0",
		"rpl_semi_sync_source_timeout": "4294967295", "rpl_semi_sync_source_wait_point": "AFTER_SYNC",
		"rpl_semi_sync_source_wait_no_replica": "1", "rpl_semi_sync_source_wait_for_replica_count": "1"})
	return state
}

// primary makes of the answers of a replica those of a primary whose two ackers are connected and whose commits get through.
func primary(usual func(string) *table) func(string) *table {
	return func(query string) *table {
		switch {
		case strings.HasPrefix(query, "SHOW GLOBAL VARIABLES"):
			t := usual(query)
			for _, name := range []string{"timeout", "wait_point", "wait_no_replica", "wait_for_replica_count"} {
				t.rows = append(t.rows, []any{"rpl_semi_sync_source_" + name, "?"})
			}
			return t
		case strings.HasPrefix(query, "SELECT VARIABLE_NAME"):
			return &table{columns: []string{"Variable_name", "Value"}, rows: [][]any{{"Rpl_semi_sync_source_status", "ON"}, {"Rpl_semi_sync_source_clients", "2"}}}
		case strings.HasPrefix(query, "SHOW REPLICA STATUS"):
			return &table{columns: []string{"Source_Host"}}
		case strings.HasPrefix(query, "SHOW REPLICAS"):
			return &table{columns: []string{"Server_Id", "Host", "Port"}, rows: [][]any{{"2", "", "3306"}, {"3", "", "3306"}}}
		case strings.HasPrefix(query, "INSERT INTO baton.canary"):
			return &table{}
		}
		return usual(query)
	}
}

// post is a node of db1, db2 and db3 in epoch 1, where db1 reigns: a fake server with the checker and the guard of an agent. The
// other two are well.
type post struct {
	t       *testing.T
	me      registry.InstanceID
	fake    *fake
	ill     atomic.Bool
	checker *health.Checker
	guard   *promote.Guard
	board   *health.Board
	d       *registry.Database
	seq     uint64
	ended   atomic.Bool // a loop has returned
	done    sync.Map    // what the server was told to do
}

func stationed(t *testing.T, me registry.InstanceID, well, ill func(string) *table) *post {
	t.Helper()
	p := &post{t: t, me: me, board: health.NewBoard()}
	p.fake = &fake{answer: func(query string) *table {
		if p.ill.Load() {
			return ill(query)
		}
		return well(query)
	}, hear: func(_ int, query string) *table {
		for _, verb := range []string{"SET GLOBAL", "STOP ", "START ", "CHANGE ", "RESET ", "KILL "} {
			if strings.HasPrefix(query, verb) {
				p.done.Store(query, true)
			}
		}
		return nil
	}}
	p.fake.serve(t)
	policy := registry.DefaultPolicy()
	policy.Expect = 3
	p.d = &registry.Database{Name: "orders", Policy: policy, Epoch: 1, Phase: registry.Serving, Primary: "db1", K: 1, Durability: registry.Lossless,
		Ackers: []registry.InstanceID{"db2", "db3"}, Reign: registry.Reign{Base: aUUID + ":1", Source: aUUID}}
	for i, id := range []registry.InstanceID{"db1", "db2", "db3"} {
		p.d.Members = append(p.d.Members, registry.Member{ID: id, Node: registry.NodeID(id), Address: []string{"127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"}[i],
			ServerUUID: []string{aUUID, otherUUID, strings.Replace(aUUID, "3", "5", 1)}[i], ServerID: uint32(i + 1), Flavor: registry.MySQL, Preference: registry.Normal, PromiseFile: "file"})
	}
	server := fakeServer(t, p.fake)
	p.checker = health.NewChecker(health.DefaultCheckerConfig(), server)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	t.Cleanup(func() { cancel(); wg.Wait() })
	run := func(loop func(context.Context) error) {
		wg.Go(func() {
			_ = loop(ctx)
			p.ended.Store(ctx.Err() == nil)
		})
	}
	run(p.checker.Run)
	until(t, "it is well", func() bool { o := p.checker.Latest(); return o.Good && o.Err == nil })
	p.guard = p.guarded(server)
	run(p.guard.Run)
	until(t, "its guard has looked", func() bool { return p.guard.Report().Doing != "" })
	return p
}

// guarded is the guard of a server that has taken its part in epoch 1 already.
func (p *post) guarded(server *mysqld.Server) *promote.Guard {
	p.t.Helper()
	dir, process := p.t.TempDir(), p.checker.Latest().Incarnation
	f, err := promise.Open(filepath.Join(dir, "promise-orders-"+string(p.me)))
	if err != nil {
		p.t.Fatal(err)
	}
	r := f.Record()
	r.Promise, r.Whole, r.Follows = 1, process, 1
	if p.me == "db1" {
		r.Led, r.LedBy, r.Marked, r.MarkedBy, r.Follows = 1, process, 1, process, 0
	}
	if err := f.Save(r); err != nil {
		p.t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		p.t.Fatal(err)
	}
	for i := range p.d.Members {
		p.d.Members[i].PromiseFile = r.File
	}
	guard, err := promote.NewGuard(promote.GuardConfig{Database: "orders", Instance: p.me, Dir: dir, Logger: slog.New(slog.DiscardHandler),
		Replication: mysqld.Source{User: "repl", Password: "repl"}}, server, p.checker, registry.NewFeed(stateOf(p.t, p.d)))
	if err != nil {
		p.t.Fatal(err)
	}
	return guard
}

// decided is what a leader does now, who has watched for long and hears everybody.
func (p *post) decided() decide.Decision {
	p.seq++
	for i, m := range p.d.Members {
		r := health.Report{Database: "orders", Instance: m.ID, Node: m.Node, Boot: "b", Seq: p.seq, Member: m}
		if m.ID == p.me {
			r.Guard = p.guard.Report()
			health.Describe(p.checker.Latest(), &r)
		} else {
			r.Process, r.Incarnation, r.ReadOnly, r.Position, r.Executed = health.ProcessRunning, "p", i > 0, aUUID+":1-5", aUUID+":1-5"
			r.Guard = health.Guard{Promise: 1}
			if i == 0 {
				r.Guard.Marked, r.Guard.Open = 1, 1
			} else {
				r.Guard.Follows, r.Guard.CaughtUp = 1, true
				r.Replication = &health.Replication{Source: p.d.Members[0].Address, Receiver: "running", Applier: true, SilenceMillis: 100, SemiSync: true}
			}
		}
		p.board.Receive(r)
	}
	return decide.Decide(p.d, p.board.View("orders"), decide.DefaultRules(), decide.Clock{Watching: time.Hour, InPhase: time.Hour})
}

// steady looks at what a leader decides until over says that it is enough, and holds that nobody touches the reign or the server.
func (p *post) steady(what string, over func(decide.Decision) bool) {
	p.t.Helper()
	until(p.t, what, func() bool {
		got := p.decided()
		switch c := got.Command.(type) {
		case nil, *registry.SetRotation, *registry.Refuse:
		default:
			p.t.Fatalf("%s: a leader wants to %s", what, decide.Describe(c))
		}
		return over(got)
	})
	if p.ended.Load() {
		p.t.Errorf("%s: the checker or the guard has ended", what)
	}
	p.done.Range(func(query, _ any) bool {
		p.t.Errorf("%s: the server was told %q", what, query)
		return true
	})
}

// What a server answers, however sick, stops neither the checker nor the guard beside it, moves no primary while its ackers hear
// it, and makes nobody do anything to the server. When the answers are right again everything is as before.
func TestNoAnswerOfAServerMovesThePrimary(t *testing.T) {
	for _, me := range []registry.InstanceID{"db1", "db2"} {
		for name, c := range sick() {
			t.Run(string(me)+" "+name, func(t *testing.T) {
				t.Parallel()
				answering := func(change func(state, status map[string]any)) func(string) *table {
					state, status := replica()
					status["Source_Host"], status["Source_Port"] = "127.0.0.1", "1"
					if me == "db1" {
						state = reigns()
					} else {
						state["uuid"] = otherUUID
					}
					if change != nil {
						change(state, status)
					}
					if me == "db1" {
						return primary(answers(state, status))
					}
					return answers(state, status)
				}
				well, ill := answering(nil), answering(c.change)
				if c.change == nil {
					usual := ill
					ill = func(query string) *table {
						if strings.HasPrefix(query, "SELECT @@GLOBAL") {
							return c.raw
						}
						return usual(query)
					}
				}
				p := stationed(t, me, well, ill)
				looks := 0
				p.steady("it is well", func(decide.Decision) bool { looks++; return looks > 3 })
				p.ill.Store(true)
				looks = 0
				p.steady("it is ill for longer than a server may not answer", func(decide.Decision) bool {
					looks++ // one that is believed is never unreachable
					return p.checker.Latest().Unreachable > decide.DefaultRules().Hung+100*time.Millisecond || p.checker.Latest().Err == nil && looks > 100
				})
				p.ill.Store(false)
				p.steady("it is well again", func(got decide.Decision) bool {
					o := p.checker.Latest()
					return o.Err == nil && o.Status.ServerID > 0 && got.Command == nil
				})
			})
		}
	}
}

// stateOf is a state with one database, read as a snapshot is.
func stateOf(t *testing.T, d *registry.Database) *registry.State {
	t.Helper()
	body, err := json.Marshal(map[string]any{"cluster": "test", "index": 1, "databases": []*registry.Database{d}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := codec.DecodeState(append([]byte{1}, body...))
	if err != nil {
		t.Fatal(err)
	}
	return s
}
