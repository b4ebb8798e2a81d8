package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/baton-db/baton/demo"
	"github.com/baton-db/baton/internal/lab"
)

// Supervise is how long after its end a database server is started again.
const supervise = 300 * time.Millisecond

func serverKinds() []Kind {
	on := []Part{Server}
	return []Kind{
		{Name: "server-kill", Role: Primary, Parts: on, Effect: Survived, Weight: 12, inject: crash},
		{Name: "server-kill-replica", Role: Replica, Parts: on, Effect: Survived, Weight: 6, inject: crash},
		{Name: "server-kill-two", Role: Primary, Parts: on, Effect: Blocking, Weight: 6, inject: crashTwo},
		{Name: "server-back-at-once", Role: Primary, Parts: on, Effect: Survived, Weight: 6, inject: backAtOnce},
		{Name: "server-shutdown", Role: Primary, Parts: on, Effect: Survived, Weight: 6, Hold: lasts(1*time.Second, 2*time.Second), inject: shutDown},
		{Name: "server-pause-200ms", Role: Primary, Parts: on, Effect: Harmless, Weight: 6, Hold: lasts(200*time.Millisecond, 200*time.Millisecond), inject: pause},
		{Name: "server-pause-1s", Role: Primary, Parts: on, Effect: Harmless, Weight: 3, Hold: lasts(time.Second, time.Second), inject: pause},
		{Name: "server-pause-3s", Role: Primary, Parts: on, Effect: Survived, Weight: 9, Hold: lasts(3*time.Second, 4*time.Second), inject: pause},
		{Name: "server-pause-60s", Role: Primary, Parts: on, Effect: Survived, Weight: 1, Hold: lasts(time.Minute, time.Minute), inject: pause},
		{Name: "server-pause-replica", Role: Replica, Parts: on, Effect: Survived, Weight: 6, Hold: lasts(time.Second, 5*time.Second), inject: pause},
		{Name: "host-pause", Role: Primary, Parts: []Part{Server, Baton}, Effect: Survived, Weight: 9, Hold: lasts(2*time.Second, 4*time.Second), inject: pauseHost},
	}
}

func crash(_ context.Context, f *field, host int) (heal, error) {
	return nothing, f.rig.Databases[host].Crash()
}

func crashTwo(_ context.Context, f *field, host int) (heal, error) {
	other := (host + 1) % len(f.rig.Databases)
	return nothing, errors.Join(f.rig.Databases[host].Crash(), f.rig.Databases[other].Crash())
}

// backAtOnce is a supervisor that starts the server again before anybody has decided anything.
func backAtOnce(ctx context.Context, f *field, host int) (heal, error) {
	s := f.rig.Databases[host]
	if err := s.Kill(); err != nil {
		return nothing, err
	}
	return nothing, s.Start(ctx)
}

// shutDown is a person who stops the server and starts it again.
func shutDown(ctx context.Context, f *field, host int) (heal, error) {
	s := f.rig.Databases[host]
	short, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err := s.Stop(short); err != nil && short.Err() == nil {
		return nothing, err
	}
	return func(ctx context.Context) error {
		if err := s.Kill(); err != nil {
			return err
		}
		return s.Start(ctx)
	}, nil
}

func pause(_ context.Context, f *field, host int) (heal, error) {
	s := f.rig.Databases[host]
	if err := s.Freeze(); err != nil {
		return nothing, skip(err)
	}
	return thaw(s), nil
}

// thaw lets a server go on. One that was killed meanwhile, as an agent does that fences it, has nothing to go on with.
func thaw(s *lab.Server) heal {
	return func(context.Context) error {
		if err := s.Thaw(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return err
		}
		return nil
	}
}

func pauseHost(ctx context.Context, f *field, host int) (heal, error) {
	server, err := pause(ctx, f, host)
	if err != nil {
		return nothing, err
	}
	baton, err := pauseBaton(ctx, f, host)
	return func(ctx context.Context) error { return errors.Join(baton(ctx), server(ctx)) }, err
}

func batonKinds() []Kind {
	on := []Part{Baton}
	short, long := lasts(100*time.Millisecond, 1500*time.Millisecond), lasts(2*time.Second, 4*time.Second)
	return []Kind{
		{Name: "baton-kill-primary", Role: Primary, Parts: on, Effect: Survived, Weight: 6, Hold: short, inject: killBaton},
		{Name: "baton-kill-leader", Role: Leader, Parts: on, Effect: Survived, Weight: 9, Hold: short, inject: killBaton},
		{Name: "baton-kill-follower", Role: Follower, Parts: on, Effect: Survived, Weight: 6, Hold: short, inject: killBaton},
		{Name: "baton-kill-two", Role: Leader, Parts: on, Effect: Survived, Weight: 3, Hold: long, inject: killTwoBatons},
		{Name: "baton-kill-all", Role: All, Parts: on, Effect: Survived, Weight: 6, Hold: short, inject: killAllBatons},
		{Name: "baton-restart-leader", Role: Leader, Parts: on, Effect: Survived, Weight: 6, inject: restartBaton},
		{Name: "baton-pause-1s", Role: Primary, Parts: on, Effect: Harmless, Weight: 3, Hold: lasts(time.Second, time.Second), inject: pauseBaton},
		{Name: "baton-pause-primary", Role: Primary, Parts: on, Effect: Survived, Weight: 6, Hold: long, inject: pauseBaton},
		{Name: "baton-pause-leader", Role: Leader, Parts: on, Effect: Survived, Weight: 9, Hold: long, inject: pauseBaton},
		{Name: "baton-pause-leader-20s", Role: Leader, Parts: on, Effect: Survived, Weight: 1, Hold: lasts(20*time.Second, 20*time.Second), inject: pauseBaton},
	}
}

// back starts nodes again.
func back(f *field, nodes ...*demo.Node) heal {
	return func(context.Context) error {
		var errs []error
		for _, n := range nodes {
			errs = append(errs, f.rig.StartNode(n))
		}
		return errors.Join(errs...)
	}
}

func killBatons(f *field, nodes ...*demo.Node) (heal, error) {
	var errs []error
	for _, n := range nodes {
		errs = append(errs, n.Kill())
	}
	return back(f, nodes...), errors.Join(errs...)
}

func killBaton(_ context.Context, f *field, host int) (heal, error) {
	return killBatons(f, f.rig.Nodes[host])
}

func killTwoBatons(_ context.Context, f *field, host int) (heal, error) {
	return killBatons(f, f.rig.Nodes[host], f.rig.Nodes[(host+1)%hosts])
}

func killAllBatons(_ context.Context, f *field, _ int) (heal, error) {
	return killBatons(f, f.rig.Nodes[:hosts]...)
}

func restartBaton(_ context.Context, f *field, host int) (heal, error) {
	n := f.rig.Nodes[host]
	return nothing, errors.Join(n.Stop(), f.rig.StartNode(n))
}

func pauseBaton(_ context.Context, f *field, host int) (heal, error) {
	n := f.rig.Nodes[host]
	if err := n.Signal(syscall.SIGSTOP); err != nil {
		return nothing, fmt.Errorf("pause baton on %s: %w", n.Name, err)
	}
	return func(context.Context) error { return n.Signal(syscall.SIGCONT) }, nil
}
