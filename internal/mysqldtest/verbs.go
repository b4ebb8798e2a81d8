package mysqldtest

import (
	"context"
	"errors"
	"fmt"

	"github.com/baton-db/baton/mysqld"
)

var (
	// ErrWaits is returned where a real server would wait; what was asked for goes on, and the call is repeated.
	ErrWaits = errors.New("would wait")
	// ErrDown is returned by a server that does not run, or is frozen.
	ErrDown = errors.New("no answer")
	// ErrRefused is returned by a server that is in no state to do what was asked.
	ErrRefused = errors.New("refused")
)

// on runs one verb.
func (s *Server) on(ctx context.Context, do func() error) error {
	s.group.mu.Lock()
	defer s.group.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if !s.answers() {
		return ErrDown
	}
	return do()
}

// StartApplier starts an applier that was stopped beside a receiver that runs.
func (s *Server) StartApplier(ctx context.Context) error {
	return s.on(ctx, func() error {
		if s.set && s.receiver && s.broken == "" {
			s.startApplier()
		}
		return nil
	})
}

// HumanStopsApplier is STOP REPLICA SQL_THREAD.
func (s *Server) HumanStopsApplier() {
	s.group.mu.Lock()
	defer s.group.mu.Unlock()
	if s.answers() {
		s.applier, s.sql = false, 0
		s.changes++
	}
}

// StopReceiver stops fetching; a stopped applier of MariaDB is started before, so that the relay log is kept.
func (s *Server) StopReceiver(ctx context.Context) error {
	return s.on(ctx, func() error { s.stopReceiver(); return nil })
}

func (s *Server) stopReceiver() {
	if !s.receiver {
		return
	}
	if s.group.Flavor == mysqld.MariaDB {
		s.startApplier()
	}
	s.receiver, s.broken = false, ""
	s.conn++
}

// FenceReceiver points a stopped receiver of MySQL at nothing; on MariaDB one that is started acknowledges nothing.
func (s *Server) FenceReceiver(ctx context.Context, tag string) error {
	return s.on(ctx, func() error {
		switch {
		case !s.set:
			return nil
		case s.receiver:
			return fmt.Errorf("%w: the receiver runs", ErrRefused)
		case s.group.Flavor == mysqld.MariaDB:
			s.heeds = false
			return nil
		}
		if !s.applier { // a CHANGE would purge the relay log
			s.startApplier()
		}
		s.fenced = tag
		return nil
	})
}

// WaitApplied succeeds once everything in base is committed.
func (s *Server) WaitApplied(ctx context.Context, base mysqld.GTIDSet) error {
	return s.on(ctx, func() error {
		executed, _ := s.sets()
		switch {
		case executed.Contains(base):
			return nil
		case s.applier:
			return ErrWaits
		case !s.set || (s.group.Flavor == mysqld.MariaDB && !s.receiver):
			return fmt.Errorf("%w: the applier does not run, %s is missing", ErrRefused, base.Minus(executed))
		}
		s.startApplier()
		return ErrWaits
	})
}

// BecomeSource forgets the source, after everything received is applied, and asks for k acknowledgements.
func (s *Server) BecomeSource(ctx context.Context, k int) error {
	return s.on(ctx, func() error {
		if !s.readOnly {
			return fmt.Errorf("%w: the server takes writes", ErrRefused)
		}
		if s.group.Flavor == mysqld.MariaDB && k > 1 {
			return fmt.Errorf("%w: MariaDB waits for one acknowledgement only", ErrRefused)
		}
		s.stopReceiver()
		if len(s.relay) > 0 {
			s.group.reached(DrainedBeforeForgotten)
			if !s.applier && s.group.Flavor == mysqld.MariaDB {
				return fmt.Errorf("%w: both threads are stopped", ErrRefused)
			}
			s.startApplier()
			return ErrWaits
		}
		s.set, s.source, s.fenced, s.applier, s.heeds = false, nil, "", false, false
		if !s.waits {
			s.listen()
		}
		s.waits, s.k = k > 0, k
		if k == 0 {
			s.commitTo(len(s.log)) // whoever waited was cut
		}
		return nil
	})
}

// RequireAcks changes how many acknowledgements a commit waits for.
func (s *Server) RequireAcks(ctx context.Context, k int) error {
	return s.on(ctx, func() error {
		switch {
		case s.group.Flavor == mysqld.MariaDB && k > 1:
			return fmt.Errorf("%w: MariaDB waits for one acknowledgement only", ErrRefused)
		case k == 0:
			s.waits, s.k = false, 0
			s.commitTo(len(s.log))
			return nil
		}
		s.waits, s.k = true, k
		s.release()
		return nil
	})
}

// Prove writes a transaction, or goes on waiting for the one of the same revision, and succeeds when it is acknowledged.
func (s *Server) Prove(ctx context.Context, k int, _ string, revision uint64) error {
	return s.on(ctx, func() error {
		if s.readOnly || !s.waits || s.k < k {
			return fmt.Errorf("%w: it waits for no %d acknowledgements", ErrRefused, k)
		}
		if s.proveAt == 0 || s.proveOf != s.starts || s.proveFor != revision {
			s.write(Marker)
			s.proveAt, s.proveOf, s.proveFor = len(s.log), s.starts, revision
		}
		if s.committed < s.proveAt {
			s.nudge()
			return ErrWaits
		}
		s.proveAt = 0
		return nil
	})
}

// nudge writes a transaction beside one that waits although enough ackers are connected: they got it without acknowledging
// it, and it is not sent again. Package mysqld does so after half a second.
func (s *Server) nudge() {
	idle := 0
	for _, to := range s.group.servers {
		if to.acking && to.connected() == s && to.holds(s.log[len(s.log)-1]) {
			idle++
		}
	}
	if idle >= s.k && len(s.inbox) == 0 {
		s.write(Marker)
	}
}

// Mark writes a marker, or goes on waiting for the one of the same epoch that waits already.
func (s *Server) Mark(ctx context.Context, _ uint64, _, _ string) error {
	return s.on(ctx, func() error {
		switch {
		case !s.readOnly:
			return fmt.Errorf("%w: the server takes writes", ErrRefused)
		case !s.waits:
			return fmt.Errorf("%w: it waits for no acknowledgements", ErrRefused)
		}
		if s.full {
			return ErrWaits
		}
		if s.markAt == 0 || s.markOf != s.starts {
			s.write(Marker)
			s.markAt, s.markOf = len(s.log), s.starts
		}
		if s.committed < s.markAt {
			s.nudge()
			return ErrWaits
		}
		s.markAt = 0
		return nil
	})
}

// MarkAlone writes a marker that nobody has to acknowledge.
func (s *Server) MarkAlone(ctx context.Context, _ uint64, _, _ string) error {
	return s.on(ctx, func() error {
		switch {
		case !s.readOnly:
			return fmt.Errorf("%w: the server takes writes", ErrRefused)
		case s.waits:
			return fmt.Errorf("%w: it waits for acknowledgements", ErrRefused)
		case s.full:
			return ErrWaits
		}
		s.write(Marker)
		return nil
	})
}

// OpenAlone lets applications in on a server that follows nobody.
func (s *Server) OpenAlone(ctx context.Context) error {
	return s.on(ctx, func() error {
		if s.set {
			return fmt.Errorf("%w: it follows somebody", ErrRefused)
		}
		s.readOnly = false
		return nil
	})
}

// OpenWrites lets applications in; it refuses a server that waits for no acknowledgements.
func (s *Server) OpenWrites(ctx context.Context) error {
	return s.on(ctx, func() error {
		if !s.waits {
			return fmt.Errorf("%w: it waits for no acknowledgements", ErrRefused)
		}
		s.readOnly = false
		return nil
	})
}

// CloseWrites refuses writes. It fails while a commit waits, and the server stays open.
func (s *Server) CloseWrites(ctx context.Context) error {
	return s.on(ctx, s.closeWrites)
}

func (s *Server) closeWrites() error {
	if s.full && !s.readOnly {
		return ErrWaits
	}
	if s.committed < len(s.log) {
		s.group.reached(CloseRefusedWhileCommitsWait)
		return fmt.Errorf("%w: %d commits wait for acknowledgements", ErrRefused, len(s.log)-s.committed)
	}
	s.readOnly = true
	return nil
}

// CutClients does nothing that the model shows.
func (s *Server) CutClients(ctx context.Context) error {
	return s.on(ctx, func() error { return nil })
}

// Follow points the server at src and starts to fetch.
func (s *Server) Follow(ctx context.Context, src mysqld.Source) error {
	return s.on(ctx, func() error {
		if s.source == s.group.at(src.Host, src.Port) && s.set && s.fenced == "" && s.receiver && s.applier && !s.waits && s.heeds == src.SemiSync && s.acking == src.SemiSync {
			return nil
		}
		if s.waits {
			if err := s.closeWrites(); err != nil {
				return err
			}
			s.waits = false
		}
		if s.full {
			return ErrWaits
		}
		down := !s.receiver && !s.applier
		s.stopReceiver()
		if s.group.Flavor == mysqld.MariaDB {
			if len(s.relay) > 0 && !down {
				s.group.reached(DrainedBeforeForgotten)
				return ErrWaits // drained first: every CHANGE deletes the relay log
			}
			s.applier = false
		} else if !s.applier && s.set && len(s.relay) > 0 {
			s.startApplier()
			return ErrWaits
		}
		s.set, s.source, s.fenced, s.heeds = true, s.group.at(src.Host, src.Port), "", src.SemiSync
		s.start()
		return nil
	})
}

// SourcePosition reads what is committed on another server.
func (s *Server) SourcePosition(ctx context.Context, src mysqld.Source) (set mysqld.GTIDSet, err error) {
	err = s.on(ctx, func() error {
		other := s.group.at(src.Host, src.Port)
		if other == nil || !other.answers() || s.group.isCut(s, other) {
			return ErrDown
		}
		set, _ = other.sets()
		return nil
	})
	return set, err
}

// SourceClosed reports whether another server takes no writes.
func (s *Server) SourceClosed(ctx context.Context, src mysqld.Source) (closed bool, err error) {
	err = s.on(ctx, func() error {
		other := s.group.at(src.Host, src.Port)
		if other == nil || !other.answers() || s.group.isCut(s, other) {
			return ErrDown
		}
		closed = other.readOnly
		return nil
	})
	return closed, err
}
