package raft

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/baton-db/baton/registry"
)

// BenchmarkPropose measures committed writes on three servers over TCP on this machine, each with its own log on the disk
// of the temporary directory. docs/raft-store.md holds numbers.
func BenchmarkPropose(b *testing.B) {
	for _, clients := range []int{1, 64} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			leader := benchCluster(b)
			var wg sync.WaitGroup
			b.ResetTimer()
			for c := range clients {
				wg.Go(func() {
					for i := c; i < b.N; i += clients {
						if _, err := leader.Propose(b.Context(), node(fmt.Sprint("n", i%1000))); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "writes/s")
		})
	}
}

// benchCluster starts three servers and returns the leader.
func benchCluster(b *testing.B) *Replica {
	var servers []Server
	var listeners []net.Listener
	for i := range 3 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.%d.%d.%d:0", 1+os.Getpid()>>8&127, os.Getpid()&255, i+1))
		if err != nil {
			b.Fatal(err)
		}
		listeners = append(listeners, l)
		servers = append(servers, Server{registry.NodeID(fmt.Sprint("n", i)), l.Addr().String()})
	}
	dir := b.TempDir()
	var all []*Replica
	for i, s := range servers {
		r, err := Open(Config{
			ID: s.ID, Cluster: "c1", Dir: filepath.Join(dir, string(s.ID)), Advertise: s.Addr, Bootstrap: servers,
			Logger: slog.New(slog.DiscardHandler),
		}, tcpStream{listeners[i]})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { r.Close(context.WithoutCancel(b.Context())) })
		all = append(all, r)
	}
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		for _, r := range all {
			if r.Leading() {
				return r
			}
		}
		select {
		case <-all[0].LeadershipChanged():
		case <-all[1].LeadershipChanged():
		case <-all[2].LeadershipChanged():
		}
	}
	b.Fatal("no leader in a minute")
	return nil
}
