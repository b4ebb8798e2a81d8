package bubble_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/identity"
	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/registry"
)

// application is a client that registers services on itself, and remembers what became of it.
type application struct {
	w    *world
	self registry.NodeID
	ask  func(...*node) *api.Client
	all  sync.WaitGroup

	mu     sync.Mutex
	result map[string]error // by the service's id
}

func (w *world) application(name string) *application {
	a := &application{w: w, self: registry.NodeID(name), ask: w.person(identity.RoleClient, name), result: map[string]error{}}
	self := registry.Node{ID: a.self, Address: w.net.Host(name).IP(), API: w.net.Host(name).Addr(7450), Role: registry.RoleClient}
	if _, err := a.ask(w.nodes...).Propose(w.t.Context(), &registry.PutNode{Node: self}); err != nil {
		w.t.Fatal(err)
	}
	return a
}

// put registers a service at one of these servers, and waits for nothing.
func (a *application) put(id string, at ...*node) {
	client := a.ask(at...)
	command := &registry.PutService{Instance: registry.ServiceInstance{Service: "web", ID: id, Node: a.self,
		Address: a.w.net.Host(string(a.self)).IP(), Port: 80}}
	a.all.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
		defer cancel()
		_, err := client.Propose(ctx, command)
		a.mu.Lock()
		a.result[id] = err
		a.mu.Unlock()
	})
}

// check waits for every answer and for every node to have the same, and compares: what was acknowledged is there, what was
// refused is not, and what is in doubt may be.
func (a *application) check() (kept, refused, doubtful int) {
	w := a.w
	a.all.Wait()
	w.await("all nodes have the same", func() string {
		for _, n := range w.nodes[1:] {
			if one, other := w.nodes[0].feed().State(), n.feed().State(); one.Index() != other.Index() {
				return fmt.Sprintf("index %d at %s, %d at %s", one.Index(), w.nodes[0].id, other.Index(), n.id)
			}
		}
		return ""
	})
	there := map[string]bool{}
	for _, s := range w.nodes[0].feed().State().Service("web") {
		there[s.ID] = true
	}
	for _, n := range w.nodes[1:] {
		if one, other := w.nodes[0].feed().State().Contents(), n.feed().State().Contents(); !reflect.DeepEqual(one, other) {
			w.t.Errorf("at one index, %s has\n%+v\nand %s\n%+v", w.nodes[0].id, one, n.id, other)
		}
	}
	for id, err := range a.result {
		switch {
		case err == nil:
			kept++
			if !there[id] {
				w.broken("G9", "%s was registered and is not there", id)
			}
		case errors.Is(err, api.ErrInDoubt):
			doubtful++
		default:
			refused++
			if there[id] {
				w.broken("G9", "%s is there, and was refused: %v", id, err)
			}
		}
	}
	return kept, refused, doubtful
}

// A leader is cut off while commands are on their way to it, from it and in its hands; clients and the database go on
// asking it. Its server, or the primary's, dies at the same moment. When it comes back, everything that was held on the
// way arrives.
func TestAStaleLeaderComesBackWithCommandsUnderWay(t *testing.T) {
	type scene struct {
		away   time.Duration
		beside bool
		died   bool
		flavor mysqld.Flavor
	}
	var all []scene
	for _, away := range []time.Duration{50 * time.Millisecond, 250 * time.Millisecond, 400 * time.Millisecond, time.Second, 5 * time.Second} {
		for _, beside := range []bool{true, false} {
			for i, died := range []bool{true, false} {
				all = append(all, scene{away, beside, died, []mysqld.Flavor{mysqld.MySQL, mysqld.MariaDB}[i]})
			}
		}
	}
	for _, s := range some(all) {
		t.Run(fmt.Sprintf("away for %s, beside the primary %t, which dies %t", s.away, s.beside, s.died), func(t *testing.T) {
			t.Parallel()
			inBubble(t, s.flavor, 3, func(w *world) {
				w.arrange(s.beside)
				leader, primary := w.leader(), w.primary()
				a := w.application("app")
				for i := range 10 { // a hop to the leader, a hop to the others and a hop back
					a.put(fmt.Sprintf("early-%d", i), leader)
					time.Sleep(hop / 2)
				}
				w.isolate(leader)
				if s.died {
					primary.crash()
					time.AfterFunc(2*time.Second, primary.startServer)
				}
				end := time.Now().Add(s.away)
				for i := 0; time.Now().Before(end); i++ {
					a.put(fmt.Sprintf("late-%d", i), leader)
					a.put(fmt.Sprintf("elsewhere-%d", i), w.nodes...)
					time.Sleep(s.away / 10)
				}
				w.healAll()
				w.agree("all agree after the leader came back")
				a.put("afterwards", w.nodes...)
				kept, refused, doubtful := a.check()
				w.t.Logf("%d kept, %d refused, %d in doubt", kept, refused, doubtful)
				if err := a.result["afterwards"]; err != nil {
					w.t.Errorf("registering a service when all agree: %v", err)
				}
			})
		})
	}
}
