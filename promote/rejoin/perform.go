package rejoin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/mysqld/archive"
	"github.com/baton-db/baton/mysqld/offline"
	"github.com/baton-db/baton/registry"
)

// The longest that each step may take before everything is looked at again.
const (
	askLimit     = 10 * time.Second
	startLimit   = 30 * time.Second
	archiveLimit = 6 * time.Hour
	recoverLimit = 2 * time.Hour
	cloneLimit   = 24 * time.Hour
)

func (r *Returner) perform(ctx context.Context, d *registry.Database, l Local, s Step) error {
	switch s.Verb {
	case DoExamine:
		return r.examine(ctx, d)
	case DoArchive:
		return r.archive(ctx, d, l)
	case DoRewind:
		return r.rewind(ctx, l)
	case DoStart:
		return r.start(ctx, l)
	case DoClone:
		return r.clone(ctx, d, l)
	case DoConcede:
		return r.concede(ctx, l)
	case DoFinish:
		return r.finish(ctx, l)
	}
	return fmt.Errorf("no such step %q", s.Verb)
}

// theirs is what the present primary has.
func (r *Returner) theirs(ctx context.Context, d *registry.Database) (mysqld.GTIDSet, error) {
	primary, ok := d.Member(d.Primary)
	if !ok {
		return mysqld.GTIDSet{}, fmt.Errorf("no member %q", d.Primary)
	}
	src, err := r.source(primary)
	if err != nil {
		return mysqld.GTIDSet{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	theirs, err := r.Server.SourcePosition(ctx, src)
	if err != nil {
		return mysqld.GTIDSet{}, err
	}
	return theirs, reigned(d, r.facts.Places.Flavor, theirs)
}

// reigned returns an error where a server at the primary's address has less than the reign began with: another one answers
// there, or it was emptied, and what it lacks says nothing of what was acknowledged (G2).
func reigned(d *registry.Database, flavor mysqld.Flavor, theirs mysqld.GTIDSet) error {
	base, err := mysqld.ParseGTIDSet(flavor, d.Reign.Base)
	if err != nil {
		return fmt.Errorf("base of epoch %d: %w", d.Epoch, err)
	}
	if missing := base.Minus(theirs); !missing.IsEmpty() {
		return fmt.Errorf("%s lacks %s, with which its reign began: it is not the server that was elected", d.Primary, missing)
	}
	return nil
}

// examine sees what a dead server has in its last log and the primary lacks.
func (r *Returner) examine(ctx context.Context, d *registry.Database) error {
	tail, err := offline.LastLog(r.facts.Places)
	if err != nil {
		return err
	}
	found := &Examined{Crashed: tail.Crashed}
	if d.Phase == registry.Serving && d.Primary != r.cfg.Instance {
		theirs, err := r.theirs(ctx, d)
		if err != nil {
			return err
		}
		primary, _ := d.Member(d.Primary)
		found.Compared, found.Extra = true, tail.Holds.Minus(theirs).Without(primary.SourceKey()).String()
	}
	r.mu.Lock()
	r.examined = found
	r.mu.Unlock()
	return nil
}

// archive keeps what the primary lacks at this moment, so that nothing that it gets meanwhile passes for lost.
func (r *Returner) archive(ctx context.Context, d *registry.Database, l Local) error {
	text := l.Extra
	if !l.Up {
		text = l.Examined.Extra
	}
	extra, err := mysqld.ParseGTIDSet(r.facts.Places.Flavor, text)
	if err != nil {
		return err
	}
	theirs, err := r.theirs(ctx, d)
	if err != nil {
		return err
	}
	if !extra.Intersect(theirs).IsEmpty() {
		r.mu.Lock()
		r.examined = nil
		r.mu.Unlock()
		return errNotLacking
	}
	ctx, cancel := context.WithTimeout(ctx, archiveLimit)
	defer cancel()
	tool, err := archive.FindTool(ctx, r.facts.Places)
	if err != nil {
		return err
	}
	e, err := archive.Save(ctx, r.archives(), archive.Request{Database: string(d.Name), Instance: string(r.cfg.Instance), Primary: string(d.Primary),
		Epoch: uint64(d.Epoch), Wanted: extra, Places: r.facts.Places, Tool: tool, Now: time.Now()})
	if err != nil {
		return err
	}
	if err := r.list(); err != nil {
		return err
	}
	r.log.Warn("archived what the primary lacks", "gtids", e.GTIDs, "transactions", e.Count, "dir", e.Dir, "primary", d.Primary, "epoch", d.Epoch)
	return r.begin(func(j *Journal) {
		if j.Extra != text {
			j.Tried = nil
		}
		j.Extra, j.Archive, j.Epoch = text, e.Dir, d.Epoch
	})
}

// rewind takes back what is archived, from a server that is dead and stays so meanwhile.
func (r *Returner) rewind(ctx context.Context, l Local) error {
	if err := r.begin(func(j *Journal) { j.Stage = Rewinding }); err != nil {
		return err
	}
	extra, err := mysqld.ParseGTIDSet(r.facts.Places.Flavor, l.Journal.Extra)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, recoverLimit)
	defer cancel()
	if err := r.cfg.Stop(ctx); err != nil {
		return fmt.Errorf("stop the server, so that nobody starts it: %w", err)
	}
	if r.facts.Places.Flavor == mysqld.MySQL {
		err = offline.Cut(r.facts.Places, extra)
	} else {
		err = offline.Recover(ctx, r.facts.Program, r.facts.Places, extra)
	}
	if err != nil && !errors.Is(err, offline.ErrCommitted) {
		return err
	}
	return r.begin(func(j *Journal) {
		j.Stage = Starting
		if err != nil {
			j.Tried[Rewind] = err.Error()
		}
	})
}

// start starts the server, and returns before it answers.
func (r *Returner) start(ctx context.Context, l Local) error {
	if l.Journal.Stage == Idle {
		if err := r.begin(func(j *Journal) { j.Stage = Starting }); err != nil {
			return err
		}
	}
	r.mu.Lock()
	r.started = time.Now()
	r.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	if err := r.cfg.Start(ctx); err != nil {
		return fmt.Errorf("start the server: %w", err)
	}
	return nil
}

// finish ends a stage. Whether the server has now what it should, the guard sees.
func (r *Returner) finish(ctx context.Context, l Local) error {
	switch l.Journal.Stage {
	case Cloning, Emptied:
		return r.copied(ctx, l)
	case Rewinding:
		return r.begin(func(j *Journal) { j.Stage = Idle })
	}
	return r.begin(func(j *Journal) {
		j.Stage = Idle
		if j.Tried[Rewind] == "" && j.Extra != "" {
			j.Tried[Rewind] = "it was taken back from its log, and had been committed in its tables"
		}
	})
}
