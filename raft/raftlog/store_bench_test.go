package raftlog

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	hraft "github.com/hashicorp/raft"
	"go.etcd.io/bbolt"
)

// BenchmarkStore compares the segmented log with the same entries in bbolt: writes per second and bytes handed to the
// disk per write, for one proposer and for 64 whose entries are grouped as the vendor groups them (at most 64 a batch).
// docs/raft-store.md holds the numbers behind the choice.
func BenchmarkStore(b *testing.B) {
	stores := []struct {
		name string
		open func(b *testing.B) func([]*hraft.Log) error
	}{
		{"segments", openBenchSegments},
		{"bbolt", openBenchBolt},
	}
	for _, s := range stores {
		for _, proposers := range []int{1, 64} {
			b.Run(fmt.Sprintf("%s/proposers=%d", s.name, proposers), func(b *testing.B) {
				benchStore(b, s.open(b), proposers)
			})
		}
	}
}

func benchStore(b *testing.B, store func([]*hraft.Log) error, proposers int) {
	type proposal struct{ done chan struct{} }
	proposals := make(chan proposal)
	var writer, senders sync.WaitGroup
	before := bytesWritten(b)
	b.ResetTimer()
	writer.Go(func() {
		index := uint64(1)
		for p := range proposals {
			group := []proposal{p}
			for more := true; more && len(group) < 64; {
				select {
				case p, ok := <-proposals:
					if more = ok; ok {
						group = append(group, p)
					}
				default:
					more = false
				}
			}
			logs := make([]*hraft.Log, len(group))
			for i := range group {
				logs[i] = &hraft.Log{Index: index, Term: 1, Data: make([]byte, 300)}
				index++
			}
			if err := store(logs); err != nil {
				b.Error(err)
			}
			for _, p := range group {
				close(p.done)
			}
		}
	})
	for p := range proposers {
		senders.Go(func() {
			for i := p; i < b.N; i += proposers {
				done := make(chan struct{})
				proposals <- proposal{done}
				<-done
			}
		})
	}
	senders.Wait()
	close(proposals)
	writer.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "writes/s")
	b.ReportMetric(float64(bytesWritten(b)-before)/float64(b.N), "disk-B/op")
}

func openBenchSegments(b *testing.B) func([]*hraft.Log) error {
	s, err := Open(Config{Dir: b.TempDir(), Cluster: "c", Node: "n", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	return s.StoreLogs
}

func openBenchBolt(b *testing.B) func([]*hraft.Log) error {
	db, err := bbolt.Open(filepath.Join(b.TempDir(), "raft.db"), 0o600,
		&bbolt.Options{NoFreelistSync: true, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	return func(logs []*hraft.Log) error {
		return db.Update(func(tx *bbolt.Tx) error {
			bucket, err := tx.CreateBucketIfNotExists([]byte("log"))
			for _, l := range logs {
				if err == nil {
					err = bucket.Put(binary.BigEndian.AppendUint64(nil, l.Index), appendEntry(nil, l))
				}
			}
			return err
		})
	}
}

// bytesWritten is what this process has made the kernel write to disks.
func bytesWritten(b *testing.B) int64 {
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		b.Skip(err)
	}
	_, after, _ := strings.Cut(string(text), "\nwrite_bytes: ")
	var n int64
	if _, err := fmt.Sscan(after, &n); err != nil {
		b.Fatal(err)
	}
	return n
}
