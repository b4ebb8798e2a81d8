package mysqld

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
)

// Clone replaces everything on this closed MySQL server by a copy of donor, with its own clone plugin. The account of
// donor needs BACKUP_ADMIN there, baton's own needs CLONE_ADMIN here. It lasts as long as the copy does. In the end the
// server restarts itself, or ends where nobody watches over it: then, and when it is interrupted, the call returns an error
// although the copy may be whole. What is true shows when the server answers again.
//
// super_read_only goes off for it, because the server would refuse; read_only stays on.
func (s *Server) Clone(ctx context.Context, donor Source) error {
	return s.on(ctx, s.marker, "clone "+donor.String(), func(ctx context.Context, c *session) error {
		if c.flavor != MySQL {
			return errors.New("only MySQL has a clone plugin")
		}
		r, err := c.one(ctx, c.state)
		if err != nil {
			return err
		}
		if !r.on("read_only") {
			return ErrOpen
		}
		address := net.JoinHostPort(donor.Host, strconv.Itoa(int(donor.Port)))
		err = c.do(ctx, "SET GLOBAL read_only = ON", "SET GLOBAL super_read_only = OFF", "SET GLOBAL clone_valid_donor_list = "+quote(address),
			fmt.Sprintf("CLONE INSTANCE FROM %s@%s:%d IDENTIFIED BY %s", quote(donor.User), quote(donor.Host), donor.Port, quote(string(donor.Password))))
		if Refused(err) { // it goes on, and what was on it may be gone
			err = errors.Join(err, c.do(ctx, "SET GLOBAL super_read_only = ON"))
		}
		if err != nil {
			return hiding{err, donor.Password}
		}
		return nil
	})
}

// errNotSupervised is how a server ends after a copy that nobody restarts.
const errNotSupervised = 3707

// Refused reports whether err is the word of a server that goes on, and no lost connection. After a CLONE that does not mean
// that it is as it was: see CloneProgress.Removed.
func Refused(err error) bool { n := code(err); return n != 0 && n != errNotSupervised }

// errDonorBusy: a server is copied by one at a time.
const errDonorBusy = 3634

// DonorBusy reports whether err says that the donor serves another copy.
func DonorBusy(err error) bool { return code(err) == errDonorBusy }

// CloneProgress is what a server knows of the last copy onto it. That outlasts its restarts, and is forgotten with its data
// directory. All of it was measured on MySQL 9.7.4; see package promote/rejoin.
type CloneProgress struct {
	// Begun names the copy, by when it began; empty: the server knows of none. A server that was killed while its first copy
	// removed what was on it knows of none, and of a later one it may know the one before.
	Begun string
	// Running: it is under way in this process. Completed: it has ended well, in the process before this one.
	Running, Completed bool
	// Removed: it has begun to remove what was on the server. Without it what was there is there.
	Removed bool
	Stage   string // the server's word: DROP DATA, FILE COPY, PAGE COPY, REDO COPY, FILE SYNC, RESTART, RECOVERY
	// Bytes are those that have come, Of how many there are in this stage, as the server guesses.
	Bytes, Of uint64
	Error     string // why it failed
}

const (
	askCloneStatus   = `SELECT STATE, PID, ERROR_MESSAGE, UNIX_TIMESTAMP(BEGIN_TIME) AS BEGUN FROM performance_schema.clone_status`
	askCloneProgress = `SELECT STAGE, DATA, ESTIMATE FROM performance_schema.clone_progress WHERE STATE <> 'Not Started' ORDER BY BEGIN_TIME DESC, END_TIME IS NULL DESC`
	askInstrumented  = `SELECT @@GLOBAL.performance_schema AS instrumented`
)

// CloneProgress asks for it. baton's account needs SELECT on performance_schema.clone_status and clone_progress; without that
// the error says so.
func (s *Server) CloneProgress(ctx context.Context) (CloneProgress, error) {
	var out CloneProgress
	err := s.on(ctx, s.side, "ask how far the copy is", func(ctx context.Context, c *session) error {
		all, err := c.rows(ctx, askCloneStatus)
		if err != nil {
			return lacking(err, "performance_schema.clone_status")
		}
		if len(all) == 0 {
			r, err := c.one(ctx, askInstrumented)
			if err == nil && !r.on("instrumented") {
				err = errors.New("performance_schema is OFF, and without it a server does not say how its copies ended")
			}
			return err
		}
		r := all[0]
		// Of a copy during which the server was killed it says "In Progress" for ever, and no longer who makes it.
		out = CloneProgress{Begun: r["BEGUN"], Running: r["STATE"] == "In Progress" && r["PID"] != "0", Completed: r["STATE"] == "Completed", Error: r["ERROR_MESSAGE"]}
		if all, err = c.rows(ctx, askCloneProgress); err != nil || len(all) == 0 {
			return lacking(err, "performance_schema.clone_progress")
		}
		out.Removed = true // that is the first of the stages
		out.Stage = all[0]["STAGE"]
		out.Bytes, _ = strconv.ParseUint(all[0]["DATA"], 10, 64)
		out.Of, _ = strconv.ParseUint(all[0]["ESTIMATE"], 10, 64)
		return nil
	})
	return out, err
}

// lacking says which right is missing, where that is why.
func lacking(err error, table string) error {
	if code(err) == errDenied {
		return fmt.Errorf("baton's account lacks SELECT on %s: %w", table, err)
	}
	return err
}

// ForgetCopied makes a server that is a fresh copy forget whom the original followed. Nothing that it received is lost: a
// copy has no relay log.
func (s *Server) ForgetCopied(ctx context.Context) error {
	return s.on(ctx, s.control, "forget whom the original followed", func(ctx context.Context, c *session) error {
		rep, _, err := c.follows(ctx)
		if err != nil || rep == nil {
			return err
		}
		return c.do(ctx, textStopBoth, textForgetSource)
	})
}
