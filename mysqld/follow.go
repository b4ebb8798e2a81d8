package mysqld

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/baton-db/baton/mysqld/gtid"
)

// ErrWaiting: commits wait here for acknowledgements, and what was asked for would answer them with OK although nobody
// else has them.
var ErrWaiting = errors.New("commits wait for acknowledgements")

// Source is whom a replica follows, and how. Host, Port, User and Password are required.
type Source struct {
	Host     string
	Port     uint16
	User     string
	Password Secret
	// SemiSync makes this replica acknowledge what it receives.
	SemiSync bool
	// HeartbeatPeriod is how often a silent source says that it is there; 0 means 200 ms.
	HeartbeatPeriod time.Duration
	// ConnectRetry is the pause between two attempts to connect, in whole seconds; 0 means 1 s.
	ConnectRetry time.Duration
	// CA, Cert and Key are files that the database server can read. CA turns TLS on and is what the source must be signed
	// by. Empty ones leave the server's TLS settings as they are.
	CA, Cert, Key string
}

func (src Source) withDefaults() Source {
	src.HeartbeatPeriod = cmp.Or(src.HeartbeatPeriod, 200*time.Millisecond)
	src.ConnectRetry = cmp.Or(src.ConnectRetry, time.Second)
	return src
}

func (src Source) String() string { return fmt.Sprintf("%s@%s:%d", src.User, src.Host, src.Port) }

// Follow makes the server replicate from src, for the first time or after another source, without ever losing what it
// has received. It may be repeated: a server that follows as asked is left alone. Where applying has to end first it
// waits, until ctx ends. The semi-sync source side is turned off; on a former primary writes are refused first, and
// ErrWaiting is returned while a commit waits. That the server has nothing that src lacks is for the caller to know.
func (s *Server) Follow(ctx context.Context, src Source) error {
	src = src.withDefaults()
	return s.on(ctx, s.control, "follow "+src.String(), func(ctx context.Context, c *session) error {
		err := s.follow(ctx, c, src)
		if err != nil {
			return hiding{err, src.Password}
		}
		return nil
	})
}

func (s *Server) follow(ctx context.Context, c *session, src Source) error {
	st, err := c.status(ctx)
	if err != nil {
		return err
	}
	if err := single(st.Replication); err != nil || follows(st, src) {
		return err
	}
	if st.SemiSync.SourceEnabled {
		if err := s.mayStopAsking(ctx, c); err != nil {
			return err
		}
	}
	if c.flavor == MariaDB {
		// With the source side on, stopping an applier whose commit waits hangs.
		if st.SemiSync.SourceEnabled {
			err = c.do(ctx, c.stopAsking)
		}
		if err == nil {
			err = c.followMariaDB(ctx, st.Replication, st.Received, src)
		}
		return err
	}
	if err := c.followMySQL(ctx, st.Replication, st.Received, src); err != nil || !st.SemiSync.SourceEnabled {
		return err
	}
	// Last, because it takes up to a second, in which the receiver can acknowledge and only the applier waits.
	return c.do(ctx, c.stopAsking)
}

// follows says whether nothing is left to do.
func follows(st Status, src Source) bool {
	rep := st.Replication
	return rep != nil && rep.SourceHost == src.Host && rep.SourcePort == src.Port && rep.SourceUser == src.User && rep.autoPosition &&
		rep.Applier && rep.Receiver != ReceiverStopped && !st.SemiSync.SourceEnabled && st.SemiSync.ReplicaEnabled == src.SemiSync &&
		(rep.Receiver == ReceiverConnecting || rep.SemiSyncActive == src.SemiSync)
}

// mayStopAsking proves that the semi-sync source side can be turned off, which answers OK to whatever waits: a completed
// refusal of writes says that no client's commit is under way and none can come.
func (s *Server) mayStopAsking(ctx context.Context, c *session) error {
	if err := s.closeWrites(ctx, c); err != nil {
		return err
	}
	if n, err := c.clientsWait(ctx); err != nil || n > 0 {
		return errors.Join(err, fmt.Errorf("%d %w", n, ErrWaiting))
	}
	return nil
}

func (c *session) followMySQL(ctx context.Context, rep *Replication, received GTIDSet, src Source) error {
	auto := setAutoPosition
	if rep != nil {
		err := c.stopReceiver(ctx, rep)
		if err == nil && rep.Receiver != ReceiverStopped { // something may have arrived
			rep, received, err = c.look(ctx)
		}
		if err != nil {
			return err
		}
		if rep.autoPosition {
			// With the applier running the receiver can be pointed elsewhere and the relay log stays.
			auto, err = keepAutoPosition, c.keepApplying(ctx, rep, received)
		} else {
			err = c.drain(ctx, rep)
		}
		if err != nil {
			return err
		}
	}
	if err := c.do(ctx, c.point(src, auto)); err != nil {
		return err
	}
	if err := c.stillReceived(ctx, received); err != nil {
		return err
	}
	return c.heedAndStart(ctx, src)
}

// heedAndStart sets the semi-sync replica side before the receiver starts: it takes effect then, and what is fetched
// unacknowledged leaves the commit on the source waiting until a later one is acknowledged.
func (c *session) heedAndStart(ctx context.Context, src Source) error {
	on := 0
	if src.SemiSync {
		on = 1
	}
	switch {
	case c.heed != "":
		if err := c.do(ctx, fmt.Sprintf(c.heed, on)); err != nil {
			return err
		}
	case src.SemiSync:
		return errors.New("the server has no semi-sync replica plugin")
	}
	return c.startBoth(ctx, src)
}

// errNoRelayLog is ER_REPLICA_RLI_INIT_REPOSITORY: a crash has left the relay log and what is written down of it at odds.
const errNoRelayLog = 1872

// startBoth starts to replicate. A MySQL server whose relay log is at odds with what it has written down never starts again by
// itself. It begins a new one when everything that is known to have been received is applied; what it acknowledged
// before that crash nobody counts, because its process is another one.
func (c *session) startBoth(ctx context.Context, src Source) error {
	err := c.do(ctx, textStartBoth)
	if code(err) != errNoRelayLog || c.flavor != MySQL {
		return err
	}
	_, received, errLook := c.look(ctx)
	executed, errWhere := c.where(ctx)
	if unseen := errors.Join(errLook, errWhere); unseen != nil {
		return errors.Join(err, unseen)
	}
	if lost := received.Minus(executed); !lost.IsEmpty() {
		return fmt.Errorf("%w: %s: %w", ErrRelayLogLost, gtid.Short(lost.String()), err)
	}
	c.log.Warn("the relay log cannot be used, and all that was received is applied: beginning a new one", "err", err)
	return c.do(ctx, textStopBoth, "RESET REPLICA", c.point(src, setAutoPosition), textStartBoth)
}

// drain stops both threads after everything that was received is applied.
func (c *session) drain(ctx context.Context, rep *Replication) error {
	if err := c.stopReceiver(ctx, rep); err != nil {
		return err
	}
	_, received, err := c.look(ctx)
	if err != nil {
		return err
	}
	if err := c.waitApplied(ctx, received); err != nil {
		return err
	}
	return c.do(ctx, textStopBoth)
}

func (c *session) followMariaDB(ctx context.Context, rep *Replication, received GTIDSet, src Source) error {
	if rep != nil {
		if rep.Receiver == ReceiverStopped && !rep.Applier {
			// Both threads are down: the server will delete its relay log whatever starts next, and fetch it again.
			c.log.Warn("both replication threads were down: what was received and not applied is fetched again",
				"received", gtid.Short(received.String()))
		} else if err := c.drain(ctx, rep); err != nil {
			return err
		}
	}
	if err := c.demote(ctx); err != nil {
		return err
	}
	if err := c.do(ctx, c.point(src, setAutoPosition)); err != nil {
		return err
	}
	return c.heedAndStart(ctx, src)
}

// demote makes a former MariaDB primary start to replicate after its own transactions: gtid_slave_pos knows nothing of
// them.
func (c *session) demote(ctx context.Context) error {
	r, err := c.one(ctx, "SELECT @@GLOBAL.gtid_binlog_pos AS executed, @@GLOBAL.gtid_slave_pos AS applied")
	if err != nil {
		return err
	}
	both, err := c.executed(r)
	if err != nil {
		return err
	}
	applied, err := ParseGTIDSet(MariaDB, r["applied"])
	if err != nil || both.PerDomain() == applied.PerDomain() {
		return err
	}
	return c.do(ctx, "SET GLOBAL gtid_slave_pos = "+quote(both.PerDomain()))
}
