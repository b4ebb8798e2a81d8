package raft

import (
	"fmt"
	"io"
	"log/slog"

	hraft "github.com/hashicorp/raft"

	"github.com/baton-db/baton/raft/raftlog"
	"github.com/baton-db/baton/registry"
	"github.com/baton-db/baton/registry/codec"
)

// A machine applies committed entries to the registry and publishes the result. The vendor calls it on one goroutine;
// before that, Open does. Nothing in it blocks.
type machine struct {
	cluster registry.ClusterID
	feed    *registry.Feed
	log     *slog.Logger
	// fatal is told, once, that an entry cannot be understood.
	fatal func(error)
	// restored is told the index of a state that came from a snapshot.
	restored func(registry.Index)
	// applied is the index of the last entry applied, whatever became of it. Entries at or below it are skipped: Open
	// applies what is committed before the vendor starts and offers it again.
	applied uint64
	halted  error
	recent  raftlog.Recent
}

var _ hraft.BatchingFSM = (*machine)(nil)

// outcome is what Propose gets back: the error of a refused command.
type outcome struct{ err error }

// Apply applies one entry.
func (m *machine) Apply(l *hraft.Log) any { return m.ApplyBatch([]*hraft.Log{l})[0] }

// ApplyBatch applies entries and publishes once. A refused command changes nothing; an entry that this baton cannot read
// halts the machine, because a server that skipped a decision would differ from the others for ever.
func (m *machine) ApplyBatch(logs []*hraft.Log) []any {
	before := m.feed.State()
	state := before
	outcomes := make([]any, len(logs))
	for i, l := range logs {
		var err error
		if l.Type == hraft.LogCommand && l.Index > m.applied {
			state, err = m.step(state, l)
		}
		outcomes[i] = outcome{err}
	}
	if state != before {
		m.feed.Publish(state)
	}
	return outcomes
}

func (m *machine) step(state *registry.State, l *hraft.Log) (*registry.State, error) {
	if m.halted != nil {
		return state, m.halted
	}
	command, err := codec.Decode(l.Data)
	if err != nil {
		m.halted = fmt.Errorf("entry %d of the log cannot be read; is another server's baton newer than this one?: %w", l.Index, err)
		m.fatal(m.halted)
		return state, m.halted
	}
	m.applied = l.Index
	next, err := state.Next(registry.Index(l.Index), command)
	if err != nil {
		return state, err
	}
	m.recent.Add(raftlog.Committed{Index: l.Index, Bytes: l.Data})
	return next, nil
}

// Snapshot returns the present state, which is immutable, for writing beside further Applies.
func (m *machine) Snapshot() (hraft.FSMSnapshot, error) {
	if m.halted != nil {
		return nil, m.halted
	}
	return snapshot{m.feed.State()}, nil
}

// Restore replaces the state by one from a snapshot, unless that is older than what is published already: both are
// prefixes of the same history, and nobody who reads goes back in it (G6).
func (m *machine) Restore(from io.ReadCloser) error {
	defer from.Close()
	b, err := io.ReadAll(from)
	if err != nil {
		return fmt.Errorf("read snapshot: %w", err)
	}
	state, err := codec.DecodeState(b)
	if err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	if state.Cluster() != m.cluster {
		return fmt.Errorf("snapshot of cluster %s, this is %s: %w", state.Cluster(), m.cluster, ErrForeign)
	}
	m.restored(state.Index())
	if uint64(state.Index()) <= m.applied {
		return nil
	}
	m.applied = uint64(state.Index())
	m.recent.Forget(uint64(state.Index()))
	m.feed.Publish(state)
	m.log.Info("took over a snapshot", "index", state.Index())
	return nil
}

// snapshot is a state on its way to a file or another server.
type snapshot struct{ state *registry.State }

// Persist writes the state.
func (s snapshot) Persist(sink hraft.SnapshotSink) error {
	b, err := codec.EncodeState(s.state)
	if err == nil {
		_, err = sink.Write(b)
	}
	if err != nil {
		return fmt.Errorf("write snapshot: %w", err)
	}
	return sink.Close()
}

// Release does nothing: the state is garbage collected.
func (snapshot) Release() {}
