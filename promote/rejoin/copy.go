package rejoin

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/registry"
)

var (
	errCopying = errors.New("a copy is under way already")
	errChanged = errors.New("something else was decided meanwhile")
)

// copyPause is the pause between two attempts to copy a server that was emptied. Each may cost a donor its whole bandwidth.
const copyPause = 10 * time.Second

// ask sees what became of the copy that was begun, while that matters.
func (r *Returner) ask(ctx context.Context) {
	o := r.Observer.Latest()
	r.mu.Lock()
	j, resting := r.journal, time.Since(r.failed) < copyPause
	r.mu.Unlock()
	c := Copy{Unasked: "nobody has asked yet"}
	if j.copying() && up(o) {
		c = r.askServer(ctx, o, j)
	}
	c.Resting = resting
	r.mu.Lock()
	r.copy, r.copyOf = c, o.Incarnation
	r.mu.Unlock()
}

func (r *Returner) askServer(ctx context.Context, o health.Observation, j Journal) Copy {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	c := Copy{Moved: j.Source != "" && o.Status.UUID != "" && o.Status.UUID != j.Source}
	p, err := r.Server.CloneProgress(ctx)
	if err != nil {
		c.Unasked = err.Error()
		return c
	}
	// The server may tell of the copy before, when it was killed before it had written down this one.
	mine := p.Begun != j.Before
	c.Running, c.Removed, c.Completed = p.Running, p.Removed && mine, p.Completed && mine
	return c
}

// copying reports whether what is on the server may be gone.
func (j Journal) copying() bool { return j.Stage == Cloning || j.Stage == Emptied }

// copied ends a copy: it is complete, or it never began, or the server is another one.
func (r *Returner) copied(ctx context.Context, l Local) error {
	if !l.Copy.Completed || l.Copy.Moved { // nothing was copied here: whom it follows is its own
		return r.begin(func(j *Journal) {
			j.uncopied()
			if l.Copy.Moved {
				j.Extra, j.Archive, j.Tried = "", "", nil
			}
		})
	}
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	if err := r.Server.ForgetCopied(ctx); err != nil {
		return err
	}
	// The guard sees at once whether it has; else this stands.
	return r.begin(func(j *Journal) { j.uncopied(); j.Tried[Clone] = "it was copied, and still has them" })
}

// uncopied forgets the copy that was begun.
func (j *Journal) uncopied() {
	j.Stage, j.Incarnation, j.Source, j.Before, j.BegunMillis, j.Lost = Idle, "", "", "", 0, ""
}

// concede writes down that what was on the server is gone.
func (r *Returner) concede(ctx context.Context, l Local) error {
	why := "it ended meanwhile"
	if p, err := r.Server.CloneProgress(ctx); err == nil && p.Error != "" {
		why = p.Error
	}
	r.log.Error("bring back: a copy did not end, and has removed what was on the server", "why", why, "archive", l.Journal.Archive)
	return r.begin(func(j *Journal) { j.Stage, j.Lost = Emptied, why })
}

// mayCopy proves once more that the server has what the primary lacks, and that no copy is under way: an agent that was
// killed may have left one. It returns the last copy that the server knows of: who cannot tell that can never tell either that
// the next one is complete, so that is not begun.
func (r *Returner) mayCopy(ctx context.Context, d *registry.Database, l Local) (mysqld.CloneProgress, error) {
	p, err := r.Server.CloneProgress(ctx)
	if err != nil {
		return p, fmt.Errorf("how a copy ends could not be seen: %w", err)
	}
	if p.Running {
		return p, errCopying
	}
	extra, err := mysqld.ParseGTIDSet(r.facts.Places.Flavor, l.Journal.Extra)
	if err != nil {
		return p, err
	}
	theirs, err := r.theirs(ctx, d)
	if err == nil && l.Journal.Stage != Emptied && theirs.Contains(extra) {
		err = errNotLacking
	}
	return p, err
}

// clone replaces the server's data, and returns when the server ends or restarts for it.
func (r *Returner) clone(ctx context.Context, d *registry.Database, l Local) error {
	last, err := r.mayCopy(ctx, d, l)
	if errors.Is(err, errNotLacking) {
		return r.begin((*Journal).uncopied) // the guard may look again
	}
	if err != nil {
		return err
	}
	if l.Journal.Stage == Emptied {
		return r.copyAgain(ctx, d, l)
	}
	var failed error
	for _, m := range donors(d, r.cfg.Instance) {
		src, err := r.source(m)
		if err != nil {
			return err
		}
		if err := r.claim(d, l, last); err != nil {
			return err
		}
		err = r.copyFrom(ctx, src, l, m.ID)
		if ctx.Err() != nil {
			return ctx.Err() // whoever is next looks
		}
		if !mysqld.Refused(err) {
			return nil // the server restarts, or has ended
		}
		if p, bad := r.Server.CloneProgress(ctx); bad != nil || p.Removed {
			return fmt.Errorf("from %s: %w", m.ID, errors.Join(err, bad)) // what is on the server now is seen at the next look
		}
		if mysqld.DonorBusy(err) { // one at a time: it is asked again
			return errors.Join(err, r.begin((*Journal).uncopied))
		}
		failed = errors.Join(failed, fmt.Errorf("from %s: %w", m.ID, err))
	}
	return errors.Join(failed, r.begin(func(j *Journal) { j.uncopied(); j.Tried[Clone] = fmt.Sprint(failed) }))
}

// claim writes down that a copy begins, so that the guard lets the server alone, and sees then that nothing was decided
// meanwhile for which the guard may have spoken for what is on the server.
func (r *Returner) claim(d *registry.Database, l Local, last mysqld.CloneProgress) error {
	err := r.begin(func(j *Journal) {
		j.Stage, j.Incarnation, j.Source, j.Before = Cloning, l.Incarnation, r.facts.Places.Source, last.Begun
		j.BegunMillis = time.Now().UnixMilli()
	})
	if err != nil {
		return err
	}
	if now, ok := r.Feed.State().Database(d.Name); !ok || now.Epoch != d.Epoch || !mayReplace(now, r.cfg.Instance) {
		return errors.Join(errChanged, r.begin((*Journal).uncopied))
	}
	return nil
}

// copyAgain copies a server that was emptied, each time from another donor. It stays what it is until a copy is complete.
func (r *Returner) copyAgain(ctx context.Context, d *registry.Database, l Local) error {
	all := donors(d, r.cfg.Instance)
	if len(all) == 0 {
		return errors.New("there is nobody to copy")
	}
	m := all[r.attempts%len(all)]
	src, err := r.source(m)
	if err != nil {
		return err
	}
	err = r.copyFrom(ctx, src, l, m.ID)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	r.mu.Lock()
	r.failed = time.Now() // also of one that goes on: its end is seen before the next
	r.mu.Unlock()
	if mysqld.Refused(err) {
		return fmt.Errorf("from %s: %w", m.ID, err)
	}
	return nil
}

// copyFrom copies, and reports how far it is.
func (r *Returner) copyFrom(ctx context.Context, src mysqld.Source, l Local, donor registry.InstanceID) error {
	r.attempts++
	r.log.Info("bring back: copying", "donor", donor)
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
