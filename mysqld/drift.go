package mysqld

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// Forever is the semi-sync timeout that a source gets: no commit goes on without its acknowledgements.
const Forever = never * time.Millisecond

// Weak says how commits of a source that waits could be answered all the same without every acknowledgement, in the words of
// today's settings; "" where they cannot, or where nothing is to wait. Somebody has changed a setting then: RequireAcks puts
// all of them back.
func (s SemiSync) Weak() string {
	switch {
	case !s.SourceEnabled:
		return ""
	case !s.SourceWaits:
		return "it gave up waiting"
	case s.WaitPoint != "AFTER_SYNC":
		return "rpl_semi_sync_source_wait_point = " + s.WaitPoint
	case !s.WaitNoReplica:
		return "rpl_semi_sync_source_wait_no_replica = OFF"
	case s.Timeout < Forever:
		return fmt.Sprintf("rpl_semi_sync_source_timeout = %d", s.Timeout.Milliseconds())
	}
	return ""
}

// Follower is a replica that is connected to a source, by what it says of itself.
type Follower struct {
	ServerID uint32
	Host     string // report_host; often empty
	Port     uint16
}

// followers are the replicas connected to a source, whether they acknowledge or not; none when the account may not see them.
func (c *session) followers(ctx context.Context) ([]Follower, error) {
	text := "SHOW REPLICAS"
	if c.flavor == MariaDB {
		text = "SHOW REPLICA HOSTS"
	}
	all, err := c.rows(ctx, text)
	if err != nil {
		if code(err) == errNoPrivilege || code(err) == errDenied {
			return nil, nil
		}
		return nil, err
	}
	var out []Follower
	for _, r := range all {
		id, err := strconv.ParseUint(r["Server_Id"]+r["Server_id"], 10, 32) // MySQL's name and MariaDB's
		if err != nil {
			return nil, fmt.Errorf("%s: server id: %w", text, err)
		}
		out = append(out, Follower{ServerID: uint32(id), Host: r["Host"], Port: r.port("Port")})
	}
	return out, nil
}

// errNoPrivilege: the statement as a whole is not allowed.
const errNoPrivilege = 1227
