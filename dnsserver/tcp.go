package dnsserver

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"sync"
	"time"
)

// What a TCP client may do.
const (
	idleTimeout    = 10 * time.Second // between questions
	messageTimeout = 2 * time.Second  // from the first byte of a question to its last, and to take an answer
	maxWaiting     = 128              // held questions of one connection; the next ones are answered at once
	maxUnsent      = 64               // answers that wait for the client to read; then no question is read
)

// serveTCP accepts connections on k until ctx ends, and returns when all of them are done.
func (s *Server) serveTCP(ctx context.Context, k *socket, d *door) error {
	var conns sync.WaitGroup
	defer conns.Wait()
	defer context.AfterFunc(ctx, func() { _ = k.tcp.Close() })()
	for {
		conn, err := k.tcp.AcceptTCP()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				_ = conn.Close()
			}
			return nil
		case err != nil && transient(err):
			pause(ctx)
			continue
		case err != nil:
			return fmt.Errorf("accept DNS connections on tcp %s: %w", k.addr, err)
		}
		g := d.admit(conn)
		conns.Go(func() {
			defer d.leave(g)
			s.serveConn(ctx, g)
		})
	}
}

// stream is one connection: this goroutine reads, one writes, and one waits for each question that is held.
type stream struct {
	guest   *guest
	answers chan []byte
	waiting chan struct{} // one token for each held question
}

// serveConn answers the questions of one connection until the client goes, misbehaves, or ctx ends.
func (s *Server) serveConn(ctx context.Context, g *guest) {
	defer func() { _ = g.conn.Close() }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ctx, func() { _ = g.conn.SetReadDeadline(time.Unix(1, 0)) })()
	c := &stream{guest: g, answers: make(chan []byte, maxUnsent), waiting: make(chan struct{}, maxWaiting)}
	var writer, held sync.WaitGroup
	writer.Go(func() { c.write(cancel) })
	s.converse(ctx, c, &held)
	held.Wait()
	close(c.answers)
	writer.Wait()
}

// converse reads questions and hands on the answers.
func (s *Server) converse(ctx context.Context, c *stream, held *sync.WaitGroup) {
	for {
		packet, err := c.guest.read(ctx)
		if err != nil {
			return
		}
		reply, wait := s.respond(packet, overTCP)
		if wait == nil {
			c.pass(reply)
			continue
		}
		select {
		case c.waiting <- struct{}{}:
			held.Go(func() {
				c.pass(wait(ctx))
				<-c.waiting
			})
		default:
			c.pass(wait(ended()))
		}
	}
}

// pass queues an answer, if there is one; it blocks while the client does not read the ones before. The writer takes
// answers until the queue is closed, so it never blocks for ever.
func (c *stream) pass(reply []byte) {
	if reply != nil {
		c.answers <- reply
	}
}

// write sends the answers until the queue is closed. After an error it calls gone and throws the rest away.
func (c *stream) write(gone context.CancelFunc) {
	failed := false
	for reply := range c.answers {
		if failed {
			continue
		}
		_ = c.guest.conn.SetWriteDeadline(time.Now().Add(messageTimeout))
		framed := binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(reply)), uint16(len(reply)))
		if _, err := c.guest.conn.Write(append(framed, reply...)); err != nil {
			failed = true
			gone()
		}
	}
}

// read returns the next question. A client may be idle between questions but not inside of one.
func (g *guest) read(ctx context.Context) ([]byte, error) {
	var size [2]byte
	if err := g.fill(ctx, size[:1], idleTimeout); err != nil {
		return nil, err
	}
	g.seen(time.Now())
	if err := g.fill(ctx, size[1:], messageTimeout); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint16(size[:]))
	if n < headerSize {
		return nil, fmt.Errorf("%w: %d bytes", errPacket, n)
	}
	packet := make([]byte, n)
	return packet, g.fill(ctx, packet, messageTimeout)
}

// fill reads len(b) bytes within the timeout, and nothing once ctx has ended: the deadline is looked at again after it
// was set, because the end of ctx sets it too.
func (g *guest) fill(ctx context.Context, b []byte, timeout time.Duration) error {
	if err := g.conn.SetReadDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	_, err := io.ReadFull(g.conn, b)
	return err
}

// ended is a context that has ended.
func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
