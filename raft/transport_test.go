package raft

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	hraft "github.com/hashicorp/raft"

	"github.com/baton-db/baton/internal/simnet"
)

// idle is a stream layer on which nothing happens.
type idle struct{}

func (idle) Accept() (net.Conn, error)                      { return nil, net.ErrClosed }
func (idle) Addr() net.Addr                                 { return advertised("idle") }
func (idle) Close() error                                   { return nil }
func (idle) Dial(context.Context, string) (net.Conn, error) { return nil, net.ErrClosed }

// heartbeat is what the vendor sends to keep followers quiet.
func heartbeat(term uint64) *hraft.AppendEntriesRequest {
	return &hraft.AppendEntriesRequest{
		RPCHeader: hraft.RPCHeader{ProtocolVersion: 3, ID: []byte("n9"), Addr: []byte("n9:1")},
		Term:      term,
	}
}

// TestAFollowerThatHasJustHeardIsNotCalledAgain: what a node at rest costs is mostly messages.
func TestAFollowerThatHasJustHeardIsNotCalledAgain(t *testing.T) {
	inBubble(t, 3, func(c *cluster) {
		leader := c.startAll()
		time.Sleep(time.Second) // until the leader is idle
		var follower Server
		for _, s := range c.servers {
			if s.ID != leader.config.ID {
				follower = s
			}
		}
		took := func(q *hraft.AppendEntriesRequest) time.Duration {
			began := time.Now()
			_ = leader.transport.AppendEntries(hraft.ServerID(follower.ID), hraft.ServerAddress(follower.Addr), q, &hraft.AppendEntriesResponse{})
			return time.Since(began)
		}
		pace := LAN().Heartbeat / 4
		entries := heartbeat(0)
		entries.PrevLogEntry, entries.PrevLogTerm = 1, 1
		if got := took(entries); got >= pace/2 {
			t.Errorf("entries waited %s", got)
		}
		if got := took(heartbeat(0)); got < pace/2 || got > pace {
			t.Errorf("a heartbeat just after came %s later, the pace is %s", got, pace)
		}
		c.crash(follower.ID)
		took(heartbeat(0))
		if got := took(heartbeat(0)); got >= pace/2 {
			t.Errorf("one that does not answer is asked again after %s", got)
		}
	})
}

// client is a transport that only sends, from a host of its own.
func client(t *testing.T, n *simnet.Net) *hraft.NetworkTransport {
	t.Helper()
	host := n.Host("client")
	l, err := host.Listen(port)
	if err != nil {
		t.Fatal(err)
	}
	return hraft.NewNetworkTransportWithConfig(&hraft.NetworkTransportConfig{
		Stream: newStreams(simStream{l, host}, host.Addr(port)), Timeout: time.Second, Logger: hclog.NewNullLogger(), MaxPool: 1,
	})
}

// TestHeartbeatsHaveNoFastPath: the vendor's fast path changes term and state beside its main loop (see transport). With
// the vendor's transport the handler is called; with ours the heartbeat goes where every other message goes.
func TestHeartbeatsHaveNoFastPath(t *testing.T) {
	for _, ours := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			n := simnet.New()
			defer n.Close()
			host := n.Host("server")
			l, err := host.Listen(port)
			if err != nil {
				t.Fatal(err)
			}
			config := Config{Timing: LAN(), Logger: slog.New(slog.DiscardHandler)}
			our := newTransport(config, newStreams(simStream{l, host}, host.Addr(port)), func() bool { return false })
			defer our.Close()
			var server hraft.Transport = our.NetworkTransport
			if ours {
				server = our
			}
			var wg sync.WaitGroup
			fast := 0
			server.SetHeartbeatHandler(func(rpc hraft.RPC) { fast++; rpc.Respond(&hraft.AppendEntriesResponse{}, nil) })
			slow := 0
			from := client(t, n)
			defer from.Close()
			var answer hraft.AppendEntriesResponse
			errs := make(chan error, 1)
			defer wg.Wait()
			stop := make(chan struct{})
			defer close(stop)
			wg.Go(func() {
				for {
					select {
					case rpc := <-server.Consumer():
						slow++
						rpc.Respond(&hraft.AppendEntriesResponse{}, nil)
					case <-stop:
						return
					}
				}
			})
			wg.Go(func() { errs <- from.AppendEntries("n1", hraft.ServerAddress(host.Addr(port)), heartbeat(7), &answer) })
			if err := <-errs; err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if want := map[bool][2]int{false: {1, 0}, true: {0, 1}}[ours]; want != [2]int{fast, slow} {
				t.Errorf("our transport %v: %d by the fast path, %d by the main loop", ours, fast, slow)
			}
		})
	}
}

// TestTermsDoNotChangeBesideTheMainLoop blocks the main loop of a follower in a sync and sends it a heartbeat of a later
// term, as its leader's successor would. Nothing may change until the loop is free.
func TestTermsDoNotChangeBesideTheMainLoop(t *testing.T) {
	inBubble(t, 3, func(c *cluster) {
		disks := c.onDisks()
		leader := c.startAll()
		id := c.others(leader.config.ID)[0]
		follower := c.running[id]
		term := follower.Stats().Term
		release := disks[id].stall()
		c.commit(leader, node("x"))
		c.until("the follower's loop to block", func() bool { return follower.Stats().Stalled > 0 })
		from := client(t, c.net)
		defer from.Close()
		answered := make(chan error, 1)
		var answer hraft.AppendEntriesResponse
		var wg sync.WaitGroup
		defer wg.Wait()
		wg.Go(func() {
			answered <- from.AppendEntries(hraft.ServerID(id), hraft.ServerAddress(follower.config.Advertise), heartbeat(term+5), &answer)
		})
		time.Sleep(500 * time.Millisecond)
		if got := follower.Stats().Term; got != term {
			t.Errorf("term %d became %d while the main loop was blocked", term, got)
		}
		select {
		case err := <-answered:
			t.Errorf("answered while the main loop was blocked: %v", err)
		default:
		}
		release()
		if err := <-answered; err != nil {
			t.Error(err)
		}
		c.until("the term", func() bool { return follower.Stats().Term >= term+5 })
	})
}

func TestBadConfigurationsAreRefused(t *testing.T) {
	good := Config{ID: "n1", Cluster: "c1", Dir: t.TempDir(), Advertise: "n1:1", Logger: slog.New(slog.DiscardHandler)}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for name, spoil := range map[string]func(*Config){
		"no id":            func(c *Config) { c.ID = "" },
		"no cluster":       func(c *Config) { c.Cluster = "" },
		"no logger":        func(c *Config) { c.Logger = nil },
		"long lease":       func(c *Config) { c.Timing = LAN(); c.Timing.Lease = time.Second },
		"no stall limit":   func(c *Config) { c.Timing = LAN(); c.Timing.Stall = 0 },
		"not a voter":      func(c *Config) { c.Bootstrap = []Server{{"n2", "n2:1"}} },
		"another address":  func(c *Config) { c.Bootstrap = []Server{{"n1", "n1:2"}} },
		"duplicate id":     func(c *Config) { c.Bootstrap = []Server{{"n1", "n1:1"}, {"n1", "n2:1"}} },
		"shared address":   func(c *Config) { c.Bootstrap = []Server{{"n1", "n1:1"}, {"n2", "n1:1"}} },
		"timing incorrect": func(c *Config) { c.Timing = LAN(); c.Timing.Election = time.Millisecond },
	} {
		bad := good
		spoil(&bad)
		if _, err := Open(bad, idle{}); err == nil || errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
