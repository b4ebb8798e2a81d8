package chaos

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"github.com/baton-db/baton/internal/netlab"
)

func netKinds() []Kind {
	on := []Part{Net}
	hold := lasts(1800*time.Millisecond, 3*time.Second)
	return []Kind{
		{Name: "isolate-primary", Role: Primary, Parts: on, Effect: Survived, Weight: 12, Hold: hold, inject: impaired(netlab.Cut, both, everybody)},
		{Name: "isolate-replica", Role: Replica, Parts: on, Effect: Survived, Weight: 6, Hold: hold, inject: impaired(netlab.Cut, both, everybody)},
		{Name: "isolate-leader", Role: Leader, Parts: on, Effect: Survived, Weight: 6, Hold: hold, inject: impaired(netlab.Cut, both, everybody)},
		{Name: "split", Role: Primary, Parts: on, Effect: Survived, Weight: 12, Hold: hold, inject: impaired(netlab.Cut, both, servers)},
		{Name: "cut-ackers", Role: Primary, Parts: on, Effect: Survived, Weight: 9, Hold: hold, inject: impaired(netlab.CutSQL, both, servers)},
		{Name: "cut-coordinators", Role: Primary, Parts: on, Effect: Survived, Weight: 9, Hold: hold, inject: impaired(netlab.CutBaton, both, servers)},
		{Name: "cut-one-link", Role: Primary, Parts: on, Effect: Survived, Weight: 6, Hold: hold, inject: impaired(netlab.Cut, both, next)},
		{Name: "one-way-out", Role: Primary, Parts: on, Effect: Survived, Weight: 9, Hold: hold, inject: impaired(netlab.Cut, out, servers)},
		{Name: "one-way-in", Role: Primary, Parts: on, Effect: Survived, Weight: 9, Hold: hold, inject: impaired(netlab.Cut, in, servers)},
		{Name: "one-way-leader", Role: Leader, Parts: on, Effect: Survived, Weight: 6, Hold: hold, inject: impaired(netlab.Cut, in, servers)},
		{Name: "loss-30", Role: Primary, Parts: on, Effect: Harmless, Weight: 6, Hold: lasts(3*time.Second, 5*time.Second), inject: impaired(netlab.Lossy, out, everybody)},
		{Name: "slow-link", Role: Primary, Parts: on, Effect: Blocking, Weight: 3, Hold: hold, inject: slow},
		{Name: "flap", Role: Primary, Parts: on, Effect: Blocking, Weight: 6, Hold: hold, inject: flap},
	}
}

// peers says to whom the links of a host are impaired.
type peers func(host int) []netlab.Host

func servers(host int) []netlab.Host {
	var all []netlab.Host
	for h := range hosts {
		if h != host {
			all = append(all, netlab.Host(h))
		}
	}
	return all
}

// everybody are the servers, the client host and the outside.
func everybody(host int) []netlab.Host {
	return append(servers(host), clientHost, netlab.Outside)
}

func next(host int) []netlab.Host { return []netlab.Host{netlab.Host((host + 1) % hosts)} }

// direction says which way of a link is impaired, seen from the host that is struck.
type direction int

const (
	out direction = iota
	in
	both
)

func links(host int, d direction, to []netlab.Host) []netlab.Link {
	var all []netlab.Link
	for _, h := range to {
		if d != in {
			all = append(all, netlab.Link{From: netlab.Host(host), To: h})
		}
		if d != out {
			all = append(all, netlab.Link{From: h, To: netlab.Host(host)})
		}
	}
	return all
}

// impaired makes the injection that does something to some links of the host.
func impaired(how netlab.Way, d direction, to peers) func(context.Context, *field, int) (heal, error) {
	return func(_ context.Context, f *field, host int) (heal, error) {
		all := links(host, d, to(host))
		return func(context.Context) error { return f.net.Heal(how, all...) }, f.net.Impair(how, all...)
	}
}

func slow(_ context.Context, f *field, host int) (heal, error) {
	h := netlab.Host(host)
	return func(context.Context) error { return f.net.Speed(h) }, f.net.Slow(h)
}

// flap takes the link away and gives it back every 200 ms.
func flap(_ context.Context, f *field, host int) (heal, error) {
	all := links(host, both, everybody(host))
	stop := make(chan struct{})
	var running sync.WaitGroup
	var err error
	running.Go(func() {
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for err == nil {
			if err = f.net.Impair(netlab.Cut, all...); err != nil {
				return
			}
			select {
			case <-tick.C:
			case <-stop:
			}
			err = f.net.Heal(netlab.Cut, all...)
			select {
			case <-tick.C:
			case <-stop:
				return
			}
		}
	})
	return func(context.Context) error {
		close(stop)
		running.Wait()
		return err
	}, nil
}

func diskKinds() []Kind {
	hold := lasts(1800*time.Millisecond, 3500*time.Millisecond)
	return []Kind{
		{Name: "disk-full", Role: Primary, Parts: []Part{Disk, Server}, Effect: Survived, Weight: 6, Hold: hold, inject: fill},
		{Name: "disk-stall", Role: Primary, Parts: []Part{Disk, Server}, Effect: Survived, Weight: 9, Hold: hold, inject: stall},
		{Name: "disk-dead", Role: Primary, Parts: []Part{Disk, Server}, Effect: Survived, Weight: 6, Hold: hold, inject: abort},
		{Name: "disk-full-replica", Role: Replica, Parts: []Part{Disk, Server}, Effect: Survived, Weight: 3, Hold: hold, inject: fill},
	}
}

func fill(_ context.Context, f *field, host int) (heal, error) {
	d := f.disks[host]
	undo := func(context.Context) error {
		if err := d.Free(); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		return nil
	}
	return undo, d.Fill()
}

func stall(_ context.Context, f *field, host int) (heal, error) {
	d := f.disks[host]
	return func(context.Context) error { return d.Thaw() }, d.Freeze()
}

// abort needs another mount, and so that nobody uses the disk any more.
func abort(_ context.Context, f *field, host int) (heal, error) {
	d, s := f.disks[host], f.rig.Databases[host]
	return func(ctx context.Context) error {
		err := s.Kill()
		if err == nil {
			err = d.Unmount()
		}
		if err == nil {
			err = d.Mount()
		}
		if err == nil {
			err = s.Start(ctx)
		}
		return err
	}, d.Abort()
}
