package mysqld

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/baton-db/baton/mysqld/gtid"
)

var (
	// ErrChannels: the server follows more than one source, or one by a name. Nothing is done to such a server.
	ErrChannels = errors.New("replication channels other than the one without a name are not supported")
	// ErrApplierStopped: events that were received cannot be applied as things are, and going on would throw them away.
	ErrApplierStopped = errors.New("the applier does not run")
	// ErrRelayLogLost: transactions that were received and not applied are gone. The server may have acknowledged them.
	ErrRelayLogLost = errors.New("received transactions were lost")
)

// look reads whom the server follows before a verb acts on it.
func (c *session) look(ctx context.Context) (*Replication, GTIDSet, error) {
	rep, received, err := c.follows(ctx)
	if err == nil {
		err = single(rep)
	}
	return rep, received, err
}

// single refuses what no verb acts on.
func single(rep *Replication) error {
	if rep == nil || (rep.Channels <= 1 && rep.channel == "") {
		return nil
	}
	return fmt.Errorf("%d channels, the first is %q: %w", rep.Channels, rep.channel, ErrChannels)
}

// where reads what is committed.
func (c *session) where(ctx context.Context) (GTIDSet, error) {
	r, err := c.one(ctx, c.written)
	if err != nil {
		return GTIDSet{}, err
	}
	return c.executed(r)
}

// StopReceiver stops fetching events, also from a source that is silent or gone. What was received stays and goes on
// being applied. On a server that follows nobody it does nothing.
//
// It takes milliseconds while the source lives or is dead. Of a source that is frozen: MySQL 9.7.4 takes 4 ms while the
// receiver is still connected, and up to replica_net_timeout while it is dialing again, so that setting is better left
// long; MariaDB 10.11.19 takes rpl_semi_sync_slave_kill_conn_timeout, 1 s at least, in both cases (measured).
//
// MariaDB deletes its relay log when a thread starts while neither runs, so there the applier is made sure to run before
// the receiver stops; a server on which neither runs is left alone.
func (s *Server) StopReceiver(ctx context.Context) error {
	return s.on(ctx, s.control, "stop receiver", func(ctx context.Context, c *session) error {
		rep, _, err := c.look(ctx)
		if err != nil || rep == nil {
			return err
		}
		return c.stopReceiver(ctx, rep)
	})
}

func (c *session) stopReceiver(ctx context.Context, rep *Replication) error {
	if rep.Receiver == ReceiverStopped {
		return nil
	}
	if c.flavor == MariaDB && !rep.Applier {
		if err := c.do(ctx, textStartApplier); err != nil {
			return err
		}
	}
	return c.do(ctx, textStopReceiver)
}

// ApplierIdle says that the applier was stopped, and by no error, beside a receiver that runs.
func (r *Replication) ApplierIdle() bool {
	return !r.Applier && r.ApplierErrorNumber == 0 && r.Receiver == ReceiverRunning
}

// StartApplier starts an applier that somebody stopped beside a receiver that runs; one that an error stopped it leaves alone.
// With the receiver stopped as well, a start would throw away what MariaDB has received.
func (s *Server) StartApplier(ctx context.Context) error {
	return s.on(ctx, s.control, "start applier", func(ctx context.Context, c *session) error {
		rep, _, err := c.look(ctx)
		if err == nil && rep != nil && rep.ApplierIdle() {
			err = c.do(ctx, textStartApplier)
		}
		return err
	})
}

// FenceReceiver makes a stop durable: a restart of the server or START REPLICA by hand no longer reaches the old source.
// The receiver must be stopped. tag becomes a part of the host name that the server is pointed at instead.
//
// On MySQL the source is changed to fenced-<tag>.invalid while the applier runs; only then the relay log is kept. An applier
// that does not run is started and must first apply everything. ErrRelayLogLost says that the applier stopped in
// that very moment.
//
// On MariaDB every way to change the source deletes what was received and not applied. There the promise of the guard alone keeps
// the receiver stopped until everything has been applied and Follow names the next source; but who starts it by hand, or
// restarts the server, starts one that acknowledges nothing.
func (s *Server) FenceReceiver(ctx context.Context, tag string) error {
	return s.on(ctx, s.control, "fence receiver", func(ctx context.Context, c *session) error {
		rep, received, err := c.look(ctx)
		host := "fenced-" + tag + ".invalid"
		switch {
		case err != nil || rep == nil || rep.SourceHost == host:
			return err
		case rep.Receiver != ReceiverStopped:
			return fmt.Errorf("the receiver is %s", rep.Receiver)
		case c.flavor == MariaDB:
			return c.do(ctx, fmt.Sprintf(c.heed, 0))
		}
		if err := c.keepApplying(ctx, rep, received); err != nil {
			return err
		}
		if err := c.do(ctx, "CHANGE REPLICATION SOURCE TO SOURCE_HOST="+quote(host)); err != nil {
			return err
		}
		return c.stillReceived(ctx, received)
	})
}

// keepApplying makes sure that the applier runs, so that a CHANGE on MySQL keeps the relay log. One that had to be started
// may stop again at the next event, in the middle of that CHANGE; so it has to get through everything first.
func (c *session) keepApplying(ctx context.Context, rep *Replication, received GTIDSet) error {
	if rep.Applier {
		return nil
	}
	return c.waitApplied(ctx, received)
}

// stillReceived says whether a CHANGE kept the relay log.
func (c *session) stillReceived(ctx context.Context, before GTIDSet) error {
	executed, err := c.where(ctx)
	if err != nil {
		return err
	}
	_, received, err := c.look(ctx)
	if err != nil {
		return err
	}
	if lost := before.Minus(executed.Union(received)); !lost.IsEmpty() {
		return fmt.Errorf("%w: %s", ErrRelayLogLost, gtid.Short(lost.String()))
	}
	return nil
}

// WaitApplied returns when everything in want is committed here, or an error when ctx ends or the applier cannot go on. It
// starts an applier that is stopped, and never in a way that deletes the relay log: on MariaDB, when neither thread runs
// and something is missing, it returns ErrApplierStopped and leaves the decision to the caller.
func (s *Server) WaitApplied(ctx context.Context, want GTIDSet) error {
	return s.on(ctx, s.control, "wait until applied", func(ctx context.Context, c *session) error {
		return c.waitApplied(ctx, want)
	})
}

// glance is how long the server is left waiting before the applier is looked at again: it may have stopped by an error,
// and nothing would ever arrive.
const glance = 250 * time.Millisecond

func (c *session) waitApplied(ctx context.Context, want GTIDSet) error {
	started := false
	for {
		executed, err := c.where(ctx)
		missing := want.Minus(executed)
		if err != nil || missing.IsEmpty() {
			return err
		}
		rep, _, err := c.look(ctx)
		switch {
		case err != nil:
			return err
		case rep == nil:
			return fmt.Errorf("%w and follows nobody, %s is missing", ErrApplierStopped, gtid.Short(missing.String()))
		case rep.Applier:
		case c.flavor == MariaDB && rep.Receiver == ReceiverStopped:
			return fmt.Errorf("%w and neither does the receiver: a start would delete what was received; %s is missing", ErrApplierStopped, gtid.Short(missing.String()))
		case started:
			return fmt.Errorf("%w: error %d: %s", ErrApplierStopped, rep.ApplierErrorNumber, rep.ApplierError)
		default:
			if err := c.do(ctx, textStartApplier); err != nil {
				return err
			}
			started = true
		}
		if err := c.awaitPosition(ctx, want, missing); err != nil {
			return fmt.Errorf("%w; %s is missing", err, gtid.Short(missing.String()))
		}
	}
}

// awaitPosition lets the server wait for a glance.
func (c *session) awaitPosition(ctx context.Context, want, missing GTIDSet) error {
	seconds := strconv.FormatFloat(glance.Seconds(), 'f', 3, 64)
	query := "SELECT WAIT_FOR_EXECUTED_GTID_SET(" + quote(want.String()) + ", " + seconds + ") AS done"
	if c.flavor == MariaDB {
		query = "SELECT MASTER_GTID_WAIT(" + quote(missing.PerDomain()) + ", " + seconds + ") AS done"
	}
	r, err := c.one(ctx, query)
	if err != nil {
		return err
	}
	if r["done"] != "0" || c.flavor == MySQL {
		return nil
	}
	// The position is reached and something that it does not name is still missing: let some time pass here.
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(5 * time.Millisecond):
		return nil
	}
}
