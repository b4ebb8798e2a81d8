package rejoin

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/baton-db/baton/health"
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
	case Cloning:
		ctx, cancel := context.WithTimeout(ctx, askLimit)
		defer cancel()
		if err := r.Server.ForgetCopied(ctx); err != nil {
			return err
		}
		why := "it was copied, and still has them"
		if p, err := r.Server.CloneProgress(ctx); err == nil && p.Error != "" {
			why = p.Error
		}
		// The guard sees at once whether it has; else this stands.
		return r.begin(func(j *Journal) { j.Stage, j.Incarnation, j.Tried[Clone] = Idle, "", why })
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

var errCopying = errors.New("a copy is under way already")

// mayCopy proves once more that the server has what the primary lacks, and that no copy is under way: an agent that was
// killed may have left one.
func (r *Returner) mayCopy(ctx context.Context, d *registry.Database, l Local) error {
	if p, err := r.Server.CloneProgress(ctx); err == nil && p.Running {
		return errCopying
	}
	extra, err := mysqld.ParseGTIDSet(r.facts.Places.Flavor, l.Journal.Extra)
	if err != nil {
		return err
	}
	theirs, err := r.theirs(ctx, d)
	if err == nil && theirs.Contains(extra) {
		err = errNotLacking
	}
	return err
}

// clone replaces the server's data, and returns when the server ends or restarts for it.
func (r *Returner) clone(ctx context.Context, d *registry.Database, l Local) error {
	if err := r.mayCopy(ctx, d, l); errors.Is(err, errNotLacking) {
		return r.begin(func(j *Journal) { j.Stage, j.Incarnation = Idle, "" }) // the guard may look again
	} else if err != nil {
		return err
	}
	var failed error
	for _, m := range donors(d, r.cfg.Instance) {
		src, err := r.source(m)
		if err != nil {
			return err
		}
		if err := r.begin(func(j *Journal) { j.Stage, j.Incarnation = Cloning, l.Incarnation }); err != nil {
			return err
		}
		r.log.Info("bring back: copying", "donor", m.ID)
		err = r.copyFrom(ctx, src, l, m.ID)
		if ctx.Err() != nil {
			return ctx.Err() // whoever is next looks
		}
		if !refused(err) {
			return nil // the server restarts, or has ended
		}
		if mysqld.DonorBusy(err) { // one at a time: it is asked again
			return errors.Join(err, r.begin(func(j *Journal) { j.Stage, j.Incarnation = Idle, "" }))
		}
		failed = errors.Join(failed, fmt.Errorf("from %s: %w", m.ID, err))
	}
	return errors.Join(failed, r.begin(func(j *Journal) { j.Stage, j.Incarnation, j.Tried[Clone] = Idle, "", fmt.Sprint(failed) }))
}

// copyFrom copies, and reports how far it is.
func (r *Returner) copyFrom(ctx context.Context, src mysqld.Source, l Local, donor registry.InstanceID) error {
	ctx, cancel := context.WithTimeout(ctx, cloneLimit)
	defer cancel()
	watching, stop := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-watching.Done():
				return
			case <-tick.C:
			}
			if p, err := r.Server.CloneProgress(watching); err == nil && p.Running {
				r.set(&health.Returning{Doing: string(DoClone), Extra: l.Journal.Extra, Archive: l.Journal.Archive, Why: "copying " + string(donor),
					Progress: fmt.Sprintf("%s: %d of %d MiB", p.Stage, p.Bytes>>20, p.Of>>20)})
			}
		}
	})
	err := r.Server.Clone(ctx, src)
	stop()
	watch.Wait()
	return err
}

// refused reports whether the server itself said no, and goes on as it was. A copy that was begun ends with the server.
func refused(err error) bool { return mysqld.Refused(err) }

// donors are whom to copy, best first: replicas, which have less to do, before the primary.
func donors(d *registry.Database, me registry.InstanceID) []registry.Member {
	var all []registry.Member
	for _, m := range d.Members {
		if m.ID != me && m.ID != d.Primary && d.IsAcker(m.ID) && m.OutOf.Zero() && m.Leaving.Zero() {
			all = append(all, m)
		}
	}
	if p, ok := d.Member(d.Primary); ok && p.ID != me {
		all = append(all, p)
	}
	return all
}
