package discovery

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// How many addresses are joined at the same time, and how many failed members are tried in one round of Run.
const (
	joinsAtOnce    = 8
	failedPerRound = 3
)

// Join exchanges all it knows with the members at addrs, "host" or "host:port", and returns with how many it did. The
// error joins what went wrong with the others, and is not nil even if some succeeded: whoever needs only one looks at the
// count. Names are looked up, and each of their addresses tried. One attempt takes at most Timing.Stream, also when ctx
// ends sooner.
func (g *Gossip) Join(ctx context.Context, addrs []string) (int, error) {
	var (
		mu     sync.Mutex
		joined int
		errs   []error
		wg     sync.WaitGroup
		slots  = make(chan struct{}, joinsAtOnce)
	)
	for _, addr := range addrs {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			n, err := g.joinOne(ctx, addr)
			mu.Lock()
			defer mu.Unlock()
			joined += n
			if err != nil {
				errs = append(errs, fmt.Errorf("join %s: %w", addr, err))
			}
		})
	}
	wg.Wait()
	return joined, errors.Join(errs...)
}

func (g *Gossip) joinOne(ctx context.Context, addr string) (joined int, err error) {
	targets, err := resolve(ctx, addr)
	if err != nil {
		return 0, err
	}
	var errs []error
	for _, t := range targets {
		if err := ctx.Err(); err != nil {
			return joined, err
		}
		n, err := g.list.Join([]string{t.String()})
		joined += n
		if err != nil {
			errs = append(errs, explainJoin(g.cfg.Cluster, err))
		}
	}
	return joined, errors.Join(errs...)
}

// explainJoin says what the two mistakes look like that people make, a wrong key and a wrong cluster, of which the second
// is answered by silence. memberlist hands on texts only, so texts are what there is to look at.
func explainJoin(cluster string, err error) error {
	if one := errors.Unwrap(err); one != nil {
		err = one // the first of memberlist's list, which has one, without its bullets
	}
	text := err.Error()
	if strings.Contains(text, "decrypt") {
		return fmt.Errorf("it has another gossip key: %w", err)
	}
	for _, hangup := range []string{"EOF", "broken pipe", "connection reset"} {
		if strings.Contains(text, hangup) {
			return fmt.Errorf("it hung up without an answer; does it belong to cluster %s? %w", cluster, err)
		}
	}
	return err
}

// resolve looks addr up. memberlist would do so too, but without a limit of time, and by asking for ANY over TCP first.
func resolve(ctx context.Context, addr string) ([]netip.AddrPort, error) {
	if ip, err := netip.ParseAddr(addr); err == nil {
		return []netip.AddrPort{netip.AddrPortFrom(ip, DefaultPort)}, nil
	}
	host, service, err := net.SplitHostPort(addr)
	if err != nil {
		host, service = addr, strconv.Itoa(DefaultPort)
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil || port == 0 {
		return nil, fmt.Errorf("port %q is not a number from 1 to 65535", service)
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.AddrPort{netip.AddrPortFrom(ip.Unmap(), uint16(port))}, nil
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	var all []netip.AddrPort
	for _, ip := range ips {
		all = append(all, netip.AddrPortFrom(ip.Unmap(), uint16(port)))
	}
	return all, nil
}

// Run keeps the seeds and the failed members joined, spreads urgent news, logs what happens to members, passes memberlist's
// log on, and drops members that have been gone for long. It returns when ctx ends. Without it a Gossip works, but never
// tries again, and a freeze that LAN promises to forgive may be reported.
func (g *Gossip) Run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() { g.logs.follow(ctx, g.cfg.Log) })
	wg.Go(func() { g.logEvents(ctx) })
	wg.Go(func() { g.hurry(ctx) })
	g.rejoin(ctx)
	wg.Wait()
}

func (g *Gossip) logEvents(ctx context.Context) {
	for e := range g.Events(ctx) {
		m := e.Member
		if m.Name == g.cfg.Name {
			continue
		}
		g.cfg.Log.Info("member "+e.Kind.String(), "member", m.Name, "addr", m.Addr.String(), "role", m.Meta.Role, "version", m.Meta.Version)
	}
}

// rejoin looks for who is missing at every change and tries to join them, more and more slowly while it fails.
func (g *Gossip) rejoin(ctx context.Context) {
	t := g.cfg.Timing
	pace := backoff.NewExponentialBackOff()
	pace.InitialInterval, pace.MaxInterval = t.RejoinMin, t.RejoinMax
	complain := true
	for ctx.Err() == nil {
		changed := g.Changed()
		g.members.forget(t.ForgetFailed, t.ForgetLeft, time.Now())
		missing, err := g.missing(ctx)
		wait := t.RejoinMax // a seed's name may stand for another machine by then
		switch {
		case len(missing) == 0 && err == nil:
			pace.Reset()
			complain = true
		default:
			var joined int
			if len(missing) > 0 {
				var joinErr error
				joined, joinErr = g.Join(ctx, missing)
				err = errors.Join(err, joinErr)
			}
			if joined > 0 {
				pace.Reset()
			}
			if err != nil && complain && ctx.Err() == nil {
				g.cfg.Log.Warn("cannot join, trying on", "missing", strings.Join(missing, " "), "error", err)
				complain = false // until nobody is missing
			}
			wait = pace.NextBackOff()
			changed = nil // the pace is not quickened by others' news
		}
		pause(ctx, changed, wait)
	}
}

func pause(ctx context.Context, changed <-chan struct{}, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-changed:
	case <-ctx.Done():
	}
}

// missing is where Run should try to join: seeds that are no alive member, and a few members that failed. A seed that is
// this node itself is never missing. One that said goodbye is: it may be back and know nobody else to join.
func (g *Gossip) missing(ctx context.Context) ([]string, error) {
	here := make(map[netip.AddrPort]bool)
	var failed []string
	for _, m := range g.Members() {
		switch m.State {
		case Alive:
			here[m.Addr] = true
		case Failed:
			failed = append(failed, m.Addr.String())
		}
	}
	var missing []string
	var errs []error
	for _, seed := range g.cfg.Seeds {
		lookup, cancel := context.WithTimeout(ctx, g.cfg.Timing.Stream)
		addrs, err := resolve(lookup, seed)
		cancel()
		if err != nil {
			errs = append(errs, fmt.Errorf("seed %s: %w", seed, err))
			continue
		}
		if !slices.ContainsFunc(addrs, func(a netip.AddrPort) bool { return here[a] }) {
			missing = append(missing, seed)
		}
	}
	rand.Shuffle(len(failed), func(i, j int) { failed[i], failed[j] = failed[j], failed[i] })
	missing = append(missing, failed[:min(len(failed), failedPerRound)]...)
	slices.Sort(missing)
	return slices.Compact(missing), errors.Join(errs...)
}
