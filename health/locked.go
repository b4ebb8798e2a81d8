package health

import (
	"context"
	"fmt"
	"time"

	"github.com/baton-db/baton/mysqld"
)

// waitersEvery is the pause between two looks at what a canary waits for. A canary gives up a lock after a second and is sent again:
// the second look is over before.
const waitersEvery = 400 * time.Millisecond

// lockHolds is how long a lock that a canary was seen to wait for is believed: it may be missed by a look, which falls into the
// moment in which a canary comes or goes, and canaries that fail at once are not looked at.
const lockHolds = 3 * time.Second

// watchWaiters tells a primary whose commits wait for ackers, or for a lock that somebody holds, from a stuck one. What cannot be
// asked is neither.
func (c *Checker) watchWaiters(ctx context.Context, done <-chan struct{}) {
	ticker := time.NewTicker(waitersEvery)
	defer ticker.Stop()
	for {
		select {
		case <-done:
			return
		case <-ticker.C:
		}
		n, err := c.server.CommitsWaitForAcks(ctx)
		acks, lock := err == nil && n > 0, mysqld.Lock{}
		if !acks {
			lock, err = c.server.CanaryLock(ctx)
		}
		c.update(func(s *seen) bool {
			was := s.canary
			s.canary.WaitingForAcks = acks
			if locked := err == nil && lock != (mysqld.Lock{}); locked || acks {
				s.canary.Lock, s.lockedAt = Lock{Waits: lock.State, Session: lock.Session, Account: lock.Account}, time.Now()
			}
			return was.WaitingForAcks != acks || was.Lock != s.canary.Lock
		})
	}
}

// Lock is what a primary's commits wait for because another session was told to take it. Waits is the server's own word for it and
// empty where they do not; Session, the number of one that has it, and Account, its user@host, are empty where the server does
// not say.
type Lock struct {
	Waits   string `json:"waits,omitempty"`
	Session string `json:"session,omitempty"`
	Account string `json:"account,omitempty"`
}

// Held says who has the lock, and how they are made to give it up.
func (l Lock) Held() string {
	if l.Session == "" {
		return "the server does not say who has it. Way out: wait for the backup, the LOCK TABLES or the change of a table that took it, or find its session in SHOW PROCESSLIST and KILL it"
	}
	return fmt.Sprintf("session %s of %s has it, or is the next to. Way out: wait for it, or KILL %s on that server", l.Session, l.Account, l.Session)
}
