package dnsserver

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/baton-db/baton/registry"
)

// held asks a question that must be held.
func held(t *testing.T, s *Server, name, qtype string) func(context.Context) []byte {
	t.Helper()
	reply, wait := s.respond(pack(t, query1(name, qtype)), overUDP)
	if wait == nil {
		t.Fatalf("%s %s is answered at once:\n%s", name, qtype, show(unpack(t, reply)))
	}
	return wait
}

func TestHeldQuestionGetsTheNewPrimary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, Config{})
		publish(t, s, revoked(), 43)
		got := make(chan string, 3)
		var waiters sync.WaitGroup
		defer waiters.Wait()
		for _, q := range []string{"primary.orders.db A", "primary.orders.db AAAA", "_mysql._tcp.primary.orders.db SRV"} {
			name, qtype, _ := strings.Cut(q, " ")
			wait := held(t, s, name, qtype)
			waiters.Go(func() { got <- q + " " + show(unpack(t, wait(t.Context()))) })
		}
		synctest.Wait()
		if s.Held() != 3 {
			t.Fatalf("%d questions are held, want 3", s.Held())
		}
		publish(t, s, revoked(), 44) // something else changed: go on waiting
		synctest.Wait()
		if s.Held() != 3 {
			t.Fatalf("%d questions are held after another change, want 3", s.Held())
		}
		began := time.Now()
		publish(t, s, promoted(), 45)
		all := <-got + "\n" + <-got + "\n" + <-got
		for _, want := range []string{"IN A 127.0.0.3", "3306 db3.orders.db", "primary.orders.db AAAA NOERROR aa\n! baton.internal. 1"} {
			if !strings.Contains(all, want) {
				t.Errorf("the answers lack %q:\n%s", want, all)
			}
		}
		if waited := time.Since(began); waited != 0 || s.Held() != 0 {
			t.Errorf("answered %s after the publication, %d still held", waited, s.Held())
		}
	})
}

func TestHeldQuestionEndsAsNodata(t *testing.T) {
	want := "NOERROR aa\n! baton.internal. 0 IN " + strings.Replace(soa42, "42", "43", 1)
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, Config{Hold: 700 * time.Millisecond})
		publish(t, s, revoked(), 43)
		began := time.Now()
		if got := show(unpack(t, held(t, s, "primary.orders.db", "A")(t.Context()))); got != want {
			t.Errorf("after Hold: %s\nwant %s", got, want)
		}
		if waited := time.Since(began); waited != 700*time.Millisecond {
			t.Errorf("held for %s, want Hold", waited)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if got := show(unpack(t, held(t, s, "primary.orders.db", "A")(ctx))); got != want {
			t.Errorf("at shutdown: %s\nwant %s", got, want)
		}
	})
}

func TestOnlyQuestionsThatCanBeAnsweredSoonAreHeld(t *testing.T) {
	s := newServer(t, Config{MaxHeld: 1})
	publish(t, s, revoked(), 43)
	for _, q := range []string{
		"primary.orders.db TXT", "primary.orders.db SRV", "primary.orders.db ANY", "_mysql._tcp.primary.orders.db A",
		"replicas.orders.db AAAA", "web.svc A", "db2.orders.db A", "x.primary.orders.db A",
	} {
		name, qtype, _ := strings.Cut(q, " ")
		ask(t, s, pack(t, query1(name, qtype)), overUDP)
	}
	held(t, s, "primary.orders.db", "A")
	ask(t, s, pack(t, query1("primary.orders.db", "A")), overUDP) // one is held, and that is all
}

func TestPublishNeverGoesBack(t *testing.T) {
	s := newServer(t, Config{})
	publish(t, s, promoted(), 45)
	publish(t, s, promoted(), 45)
	for name, err := range map[string]error{
		"a lower index": s.Publish(promoted(), 44),
		"a lower epoch": s.Publish(orders(), 46),
	} {
		if !errors.Is(err, ErrBackwards) {
			t.Errorf("%s: got %v, want ErrBackwards", name, err)
		}
	}
	got := show(ask(t, s, pack(t, query1("primary.orders.db", "A")), overUDP))
	if !strings.Contains(got, "A 127.0.0.3") || s.Index() != 45 {
		t.Errorf("index %d shows %s; want 45 and the primary of epoch 8", s.Index(), got)
	}
}

func TestRecordsThatCannotBeShownAreLeftOut(t *testing.T) {
	long := strings.Repeat("x", 63)
	records := orders()
	addrs := records[0].Addrs
	records = append(records,
		registry.Record{Name: "UPPER.svc", Addrs: addrs},
		registry.Record{Name: "a b.svc", Addrs: addrs},
		registry.Record{Name: ".svc", Addrs: addrs},
		registry.Record{Name: strings.Join([]string{long, long, long, long}, "."), Addrs: addrs},
		registry.Record{Name: "_x._tcp.svc", Targets: []registry.Target{{Name: "no good"}}},
		registry.Record{Name: "web.svc", Addrs: addrs, TTL: time.Hour},
		registry.Record{Name: "primary.both.db", Addrs: addrs, Pending: true},
	)
	z, problems := build(newServer(t, Config{}).cfg, records, 1)
	if len(problems) != 7 {
		t.Errorf("%d problems, want 7: %q", len(problems), problems)
	}
	if n, _ := z.find("web.svc.baton.internal."); len(n.sets) != 0 {
		t.Errorf("of two records the one with the higher TTL is shown: %v", n.sets)
	}
	if n, _ := z.find("primary.both.db.baton.internal."); len(n.sets) != 0 || !n.pending {
		t.Errorf("a pending primary has records: %v", n.sets)
	}
}

func TestConfigIsChecked(t *testing.T) {
	for _, cfg := range []Config{
		{Domain: "db.local"}, {Domain: "a b"}, {Domain: "x..y"}, {Domain: "."},
		{Domain: strings.Repeat("abcdefghi.", 11)}, {MaxUDP: 100}, {MaxUDP: 70000}, {MaxHeld: -1}, {Hold: time.Hour},
		{Listen: []string{"localhost:53"}}, {Listen: []string{"127.0.0.1"}},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%+v is accepted", cfg)
		}
	}
	s, err := New(Config{Domain: "Corp.Example.", Listen: []string{":7453", "[::1]:7453", "127.0.0.1:7453"}})
	if err != nil || s.cfg.Domain != "corp.example." {
		t.Errorf("domain %q, error %v", s.cfg.Domain, err)
	}
}
