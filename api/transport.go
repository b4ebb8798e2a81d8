package api

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"time"
)

// TransportConfig says how to reach the API of other nodes.
type TransportConfig struct {
	// Dial connects to host:port. Default: net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// TLS is asked at every connection, so that a renewed certificate is used from then on. It checks the peer; baton
	// does not go by host names. Nil: no TLS, for tests.
	TLS func() *tls.Config
	// DialTime bounds connecting and the TLS handshake together. Default: 1 s, after which another server is asked.
	DialTime time.Duration
}

// Transport speaks HTTP/2 to the API of other nodes. Everything that shares one shares a connection to each node.
type Transport struct {
	scheme string
	rt     *http.Transport
}

// NewTransport returns a transport; Close it in the end.
func NewTransport(cfg TransportConfig) *Transport {
	if cfg.Dial == nil {
		cfg.Dial = (&net.Dialer{KeepAlive: 15 * time.Second}).DialContext
	}
	if cfg.DialTime == 0 {
		cfg.DialTime = time.Second
	}
	var protocols http.Protocols
	t := &Transport{scheme: "http", rt: &http.Transport{
		DialContext:     cfg.dialPlain,
		IdleConnTimeout: 90 * time.Second,
		Protocols:       &protocols,
		// Within two seconds a connection whose other end is gone fails all its streams.
		HTTP2: &http.HTTP2Config{SendPingTimeout: time.Second, PingTimeout: time.Second, WriteByteTimeout: 2 * time.Second},
	}}
	if cfg.TLS == nil {
		protocols.SetUnencryptedHTTP2(true)
		return t
	}
	t.scheme = "https"
	protocols.SetHTTP2(true)
	t.rt.DialTLSContext = cfg.dialTLS
	return t
}

// RoundTrip is http.RoundTripper's.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) { return t.rt.RoundTrip(r) }

// Close drops the connections that are idle.
func (t *Transport) Close() { t.rt.CloseIdleConnections() }

// URL is where a path of the API is at host:port addr.
func (t *Transport) URL(addr, path, query string) string {
	if query != "" {
		query = "?" + query
	}
	return t.scheme + "://" + addr + path + query
}

// dialError: there was no connection.
type dialError struct{ err error }

func (e *dialError) Error() string { return e.err.Error() }
func (e *dialError) Unwrap() error { return e.err }

// Unsent reports whether err, of a Transport, says that no byte of the request was sent.
func Unsent(err error) bool {
	_, ok := errors.AsType[*dialError](err)
	return ok
}

func (c TransportConfig) dialPlain(ctx context.Context, network, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, c.DialTime)
	defer cancel()
	conn, err := c.Dial(ctx, network, addr)
	if err != nil {
		return nil, &dialError{err}
	}
	return conn, nil
}

func (c TransportConfig) dialTLS(ctx context.Context, network, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, c.DialTime)
	defer cancel()
	raw, err := c.Dial(ctx, network, addr)
	if err != nil {
		return nil, &dialError{err}
	}
	cfg := c.TLS().Clone()
	if !slices.Contains(cfg.NextProtos, "h2") {
		cfg.NextProtos = []string{"h2"}
	}
	conn := tls.Client(raw, cfg)
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, &dialError{errors.Join(fmt.Errorf("handshake with %s: %w", addr, err), raw.Close())}
	}
	return conn, nil
}
