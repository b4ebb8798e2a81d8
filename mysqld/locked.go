package mysqld

import (
	"context"
	"slices"
	"strings"
)

// Lock is what a commit waits for because another session was told to take it; zero: it waits for none.
type Lock struct {
	// State is the server's own word for the wait, as "Waiting for global read lock".
	State string
	// Session is the number of one that has it, or that waits in front of us for it, and Account its user@host. Empty where the
	// server does not say: MariaDB says of such a session that it sleeps.
	Session, Account string
}

// lockStates are the waits for what backups, LOCK TABLES and changes of tables take. What a thread of the server holds for a
// moment is none of them: a server that is stuck there is stuck.
func lockStates() []string {
	return []string{"Waiting for global read lock", "Waiting for commit lock", "Waiting for backup lock", "Waiting for table metadata lock",
		"Waiting for schema metadata lock", "Waiting for table level lock", "Waiting for table flush"}
}

const canaryBegins = "INSERT INTO baton.canary "

// textHolders is who on MySQL has, or waits for, a lock that stops a canary, who has it first. An intention, which all writers
// have, stops none.
const textHolders = "SELECT p.ID AS id, p.USER AS user, p.HOST AS host FROM performance_schema.metadata_locks l " +
	"JOIN performance_schema.processlist p ON PS_THREAD_ID(p.ID) = l.OWNER_THREAD_ID " +
	"WHERE l.OBJECT_TYPE IN ('GLOBAL', 'COMMIT') AND l.LOCK_TYPE = 'SHARED' OR l.OBJECT_SCHEMA = 'baton' AND l.LOCK_TYPE IN " +
	"('SHARED_READ_ONLY', 'SHARED_NO_WRITE', 'SHARED_NO_READ_WRITE', 'EXCLUSIVE') ORDER BY l.LOCK_STATUS = 'GRANTED' DESC, p.ID"

// CanaryLock says for which lock a canary waits now, on a connection that no canary uses. Who has it is asked on MySQL only, and
// that this account may not ask is no error.
func (s *Server) CanaryLock(ctx context.Context) (Lock, error) {
	var found Lock
	err := s.on(ctx, s.side, "see what a canary waits for", func(ctx context.Context, c *session) error {
		all, err := c.rows(ctx, textSessions)
		i := slices.IndexFunc(all, func(r row) bool {
			return r["User"] == s.cfg.User && strings.HasPrefix(r["Info"], canaryBegins) && slices.Contains(lockStates(), r["State"])
		})
		if err != nil || i < 0 {
			return err
		}
		found.State = all[i]["State"]
		if c.flavor != MySQL {
			return nil
		}
		holders, err := c.rows(ctx, textHolders)
		if err != nil {
			c.log.Debug("see who has a lock", "err", err)
		}
		i = slices.IndexFunc(holders, func(r row) bool { return r["user"] != s.cfg.User })
		if i >= 0 {
			host, _, _ := strings.Cut(holders[i]["host"], ":")
			found.Session, found.Account = holders[i]["id"], holders[i]["user"]+"@"+host
		}
		return nil
	})
	return found, err
}
