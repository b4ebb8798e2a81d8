package mysqld

import (
	"context"
	"slices"
	"strings"
	"time"
)

// errNotOwner: the account may not end that session.
const errNotOwner = 1095

// endApplier stops both threads after everything that was received whole is applied, and never waits for the rest of a
// transaction of which only the beginning was received.
//
// STOP REPLICA of MySQL does wait for it, a minute long, whatever rpl_stop_replica_timeout says (measured on 9.7.4 with a
// receiver that was stopped in mid-transaction). Nobody can have been told that such a transaction is committed: no replica
// acknowledges a part of one. So once all else is applied the coordinator is killed, which rolls that part back, and
// STOP REPLICA returns at once. Killing it needs SYSTEM_USER.
func (c *session) endApplier(ctx context.Context, rep *Replication) error {
	if c.flavor == MariaDB {
		return c.drain(ctx, rep)
	}
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
	if err := c.giveUpRest(ctx); err != nil {
		return err
	}
	return c.do(ctx, textStopBoth)
}

// giveUpRest kills a coordinator that waits for the rest of a transaction. Everything before is applied.
func (c *session) giveUpRest(ctx context.Context) error {
	queued, err := c.rows(ctx, textQueueing)
	if err != nil && code(err) != errDenied {
		return err
	}
	if len(queued) == 0 || queued[0]["part"] == "" {
		return nil
	}
	all, err := c.rows(ctx, textSessions)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(s row) bool { return s["User"] == "system user" && strings.HasSuffix(s["State"], coordinatorWaits) })
	if i < 0 {
		return nil
	}
	err = c.kill(ctx, all[i]["Id"])
	if code(err) == errNotOwner {
		c.log.Warn("stopping the applier may take a minute, because a part of a transaction was received. Way out: GRANT SYSTEM_USER ON *.* TO baton's account",
			"gtid", queued[0]["part"])
		return nil
	}
	if err != nil {
		return err
	}
	c.log.Info("gave up the beginning of a transaction whose rest was not received", "gtid", queued[0]["part"])
	return c.applierEnds(ctx)
}

// applierEnds waits for the end of a coordinator that was killed: one that is told to stop before it has seen that waits
// for the rest all the same. It gives up after a second, for then something else keeps it.
func (c *session) applierEnds(ctx context.Context) error {
	patience := time.NewTimer(time.Second)
	defer patience.Stop()
	for {
		rep, _, err := c.look(ctx)
		if err != nil || rep == nil || !rep.Applier {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-patience.C:
			return nil
		case <-time.After(time.Millisecond):
		}
	}
}

const (
	textQueueing = "SELECT QUEUEING_TRANSACTION AS part FROM performance_schema.replication_connection_status WHERE CHANNEL_NAME = ''"
	// coordinatorWaits is how the state of an applier ends that has come to the end of the relay log, in old words and new.
	coordinatorWaits = " has read all relay log; waiting for more updates"
)

// rights warns where a wait for the rest of a transaction could not be ended. It sees what is granted directly.
func (c *session) rights(ctx context.Context) ([]Finding, error) {
	if c.flavor == MariaDB {
		return nil, nil
	}
	granted, err := c.rows(ctx, "SELECT 1 AS granted FROM information_schema.USER_PRIVILEGES WHERE PRIVILEGE_TYPE = 'SYSTEM_USER' LIMIT 1")
	if err != nil || len(granted) > 0 {
		return nil, err
	}
	return []Finding{{Code: "BT-3225", Setting: "SYSTEM_USER", Have: "not granted", Want: "granted to baton's account",
		Why: "a failover in the middle of a large transaction takes up to a minute without it", Fix: "GRANT SYSTEM_USER ON *.* TO baton's account"}}, nil
}
