package identity

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
)

// ErrNobody is what AuthorityAt returns where no connection comes about.
var ErrNobody = errors.New("nobody answers")

// AuthorityAt says which authority the server at addr (host:port) shows, and who the server says it is. It believes
// nothing, shows nothing and sends nothing. The error is ErrNobody when no connection comes about; any other error is
// about somebody who is there and is no node of baton, or does not answer before ctx ends.
func AuthorityAt(ctx context.Context, addr string) (Fingerprint, Name, error) {
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return Fingerprint{}, Name{}, fmt.Errorf("%w at %s: %w", ErrNobody, addr, err)
	}
	defer func() { _ = raw.Close() }() // nothing was sent that could be lost
	// The certificates come within the handshake, before the other side misses ours.
	conn := tls.Client(raw, &tls.Config{MinVersion: tls.VersionTLS13, InsecureSkipVerify: true, NextProtos: []string{ALPNHTTP2}})
	if err := conn.HandshakeContext(ctx); err != nil {
		return Fingerprint{}, Name{}, fmt.Errorf("handshake with %s: %w", addr, err)
	}
	shown := conn.ConnectionState().PeerCertificates
	ca := shown[len(shown)-1] // a server sends its authority behind its own
	name, err := checkIssued(ca, shown[0])
	if err != nil {
		return Fingerprint{}, Name{}, fmt.Errorf("certificate of %s: %w", addr, err)
	}
	return fingerprintOf(ca), name, nil
}
