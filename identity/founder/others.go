package founder

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/baton-db/baton/identity"
)

// askFor bounds the question whether anybody else is there.
const askFor = 2 * time.Second

// nobodyElse refuses when another server or a seed answers, except with ours, the authority that an earlier start made;
// nil when there is none. All are asked at once.
func (s Server) nobodyElse(ctx context.Context, ours *identity.Authority) error {
	ctx, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	found := make(chan error, len(s.Servers)+len(s.Seeds))
	var asked sync.WaitGroup
	for name, addr := range s.Servers {
		asked.Go(func() { found <- s.askServer(ctx, name, addr, ours) })
	}
	for _, addr := range s.Seeds {
		asked.Go(func() { found <- s.askSeed(ctx, addr, ours) })
	}
	asked.Wait()
	close(found)
	var all []error
	for err := range found {
		all = append(all, err)
	}
	return errors.Join(all...)
}

func (s Server) askServer(ctx context.Context, name, addr string, ours *identity.Authority) error {
	fingerprint, is, err := identity.AuthorityAt(ctx, addr)
	switch {
	case errors.Is(err, identity.ErrNobody):
		return nil
	case err != nil:
		return fmt.Errorf("first server: %s, where %s should be, is in use: %w. If bootstrap = true stands in the node file of %s too, keep it on one of the two; "+
			"otherwise stop what is there", addr, name, err, name)
	case ours == nil:
		return fmt.Errorf("first server: %s at %s answers as %s of authority %.8s: the cluster is there already, and this is not its first server. %s",
			name, addr, is, fingerprint, s.wayIn())
	case fingerprint != ours.Fingerprint():
		return fmt.Errorf("first server: %s at %s answers as %s of authority %.8s, but %s holds authority %.8s. %s",
			name, addr, is, fingerprint, s.ca(), ours.Fingerprint(), s.wayIn())
	}
	return nil
}

// askSeed takes any answer for that of a node: gossip does not say whose it is, and no node opens that port before it
// has a certificate.
func (s Server) askSeed(ctx context.Context, addr string, ours *identity.Authority) error {
	if ours != nil {
		return nil
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil // nobody is there
	}
	_ = conn.Close() // nothing was sent
	return fmt.Errorf("first server: a node listens at %s, one of join: the cluster is there already, and this is not its first server. %s", addr, s.wayIn())
}

func (s Server) wayIn() string {
	return fmt.Sprintf("Make this node's certificate where that authority is (%s), copy its files to %s, and take bootstrap out of the node file",
		identity.IssueCommand(s.Name, s.ca()), s.tls())
}
