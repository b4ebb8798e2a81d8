package simnet

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// window is how many bytes one direction of a connection holds that have not been read.
const window = 256 << 10

// conn is one end of a connection.
type conn struct {
	net           *Net
	local, remote *net.TCPAddr
	in, out       *half

	// Guarded by net.mu.
	closed                      bool
	readDeadline, writeDeadline time.Time
}

// half is one direction of a connection. The network's lock guards it.
type half struct {
	net      *Net
	from, to *Host
	writer   *conn         // at from
	reader   *conn         // at to
	queue    []segment     // written and under way, in order
	size     int           // bytes in queue and arrived
	arrived  []byte        // to be read
	end      error         // after arrived: io.EOF, or why the stream broke
	deaf     bool          // the reading end is closed: what arrives is dropped
	due      time.Time     // when the newest segment arrives
	timer    *time.Timer   // set for the first segment under way
	wake     chan struct{} // closed and replaced at each change
}

// segment is some bytes of a stream, or its end.
type segment struct {
	bytes []byte
	end   error
	due   time.Time
}

// connect makes both ends of a connection. Callers hold mu.
func (n *Net) connect(nearAddr, farAddr *net.TCPAddr, nearHost, farHost *Host) (near, far *conn) {
	there := &half{net: n, from: nearHost, to: farHost, wake: make(chan struct{})}
	back := &half{net: n, from: farHost, to: nearHost, wake: make(chan struct{})}
	n.streams[there], n.streams[back] = true, true
	near = &conn{net: n, local: nearAddr, remote: farAddr, in: back, out: there}
	far = &conn{net: n, local: farAddr, remote: nearAddr, in: there, out: back}
	there.writer, there.reader, back.writer, back.reader = near, far, far, near
	return near, far
}

// Read reads what has arrived, or waits for it.
func (c *conn) Read(b []byte) (int, error) {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	for {
		switch {
		case c.closed:
			return 0, c.fail("read", net.ErrClosed)
		case past(c.readDeadline):
			return 0, c.fail("read", os.ErrDeadlineExceeded)
		case len(c.in.arrived) > 0:
			count := copy(b, c.in.arrived)
			c.in.arrived = c.in.arrived[count:]
			c.in.size -= count
			c.in.signal() // the window has room again
			return count, nil
		case errors.Is(c.in.end, io.EOF):
			return 0, io.EOF
		case c.in.end != nil:
			return 0, c.fail("read", c.in.end)
		case len(b) == 0:
			return 0, nil
		}
		c.await(c.in, c.readDeadline)
	}
}

// Write puts b under way, waiting while the window is full.
func (c *conn) Write(b []byte) (int, error) {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	for done := 0; ; {
		switch {
		case c.closed:
			return done, c.fail("write", net.ErrClosed)
		case past(c.writeDeadline):
			return done, c.fail("write", os.ErrDeadlineExceeded)
		case c.out.end != nil && !errors.Is(c.out.end, io.EOF):
			return done, c.fail("write", c.out.end)
		case c.out.deaf && c.in.end != nil:
			return done, c.fail("write", syscall.EPIPE) // the other end closed, and this one knows
		case done == len(b):
			return done, nil
		}
		if room := window - c.out.size; room > 0 {
			count := min(room, len(b)-done)
			c.out.send(append([]byte(nil), b[done:done+count]...), nil)
			done += count
			continue
		}
		c.await(c.out, c.writeDeadline)
	}
}

// Close ends the connection: the other end reads what is under way and then the end of the stream.
func (c *conn) Close() error {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	if c.closed {
		return c.fail("close", net.ErrClosed)
	}
	c.closed = true
	c.in.deafen()
	if c.out.end == nil {
		c.out.send(nil, io.EOF)
	}
	c.out.signal()
	return nil
}

// abandon resets the connection from this end: what is under way is lost, and the other end learns of it when the network
// lets the reset through. Callers hold mu.
func (c *conn) abandon() {
	c.closed = true
	c.in.deafen()
	if out := c.out; out.end == nil {
		out.queue = nil
		out.size = len(out.arrived)
		out.send(nil, syscall.ECONNRESET)
	}
	c.out.signal()
}

// LocalAddr is the address of this end.
func (c *conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr is the address of the other end.
func (c *conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline sets both deadlines.
func (c *conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline also ends a Read that waits.
func (c *conn) SetReadDeadline(t time.Time) error { return c.setDeadline(&c.readDeadline, c.in, t) }

// SetWriteDeadline also ends a Write that waits.
func (c *conn) SetWriteDeadline(t time.Time) error { return c.setDeadline(&c.writeDeadline, c.out, t) }

func (c *conn) setDeadline(deadline *time.Time, h *half, t time.Time) error {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	if c.closed {
		return c.fail("set", net.ErrClosed)
	}
	*deadline = t
	h.signal()
	return nil
}

func (c *conn) fail(op string, err error) error {
	return &net.OpError{Op: op, Net: "tcp", Source: c.local, Addr: c.remote, Err: err}
}

// await gives up the lock until h changes or the deadline passes.
func (c *conn) await(h *half, deadline time.Time) {
	wake := h.wake
	c.net.mu.Unlock()
	defer c.net.mu.Lock()
	if deadline.IsZero() {
		<-wake
		return
	}
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case <-wake:
	case <-timer.C:
	}
}

func past(deadline time.Time) bool { return !deadline.IsZero() && !time.Now().Before(deadline) }

// send puts bytes, or the end of the stream, under way.
func (h *half) send(bytes []byte, end error) {
	due := time.Now().Add(h.net.travelReliably(h.from, h.to, retransmit))
	if due.Before(h.due) {
		due = h.due
	}
	h.due = due
	h.size += len(bytes)
	h.queue = append(h.queue, segment{bytes, end, due})
	h.pump()
}

// fail breaks the stream at once for both ends.
func (h *half) fail(err error) {
	h.queue = nil
	if h.end == nil {
		h.end = err
	}
	h.finish()
}

// deafen drops what has arrived and what will.
func (h *half) deafen() {
	h.deaf = true
	h.size -= len(h.arrived)
	h.arrived = nil
	h.signal()
}

// pump lets arrive what is due and free to pass, and sets the timer for the rest.
func (h *half) pump() {
	if h.end != nil || !h.net.open(h.from, h.to) {
		return
	}
	now := time.Now()
	for len(h.queue) > 0 && !h.queue[0].due.After(now) {
		s := h.queue[0]
		h.queue = h.queue[1:]
		if h.deaf {
			h.size -= len(s.bytes)
		} else {
			h.arrived = append(h.arrived, s.bytes...)
		}
		if s.end != nil {
			h.end = s.end
			h.finish()
			return
		}
		h.signal()
	}
	if len(h.queue) > 0 {
		h.schedule(h.queue[0].due.Sub(now))
	}
}

func (h *half) schedule(d time.Duration) {
	if h.timer != nil {
		h.timer.Stop()
	}
	h.timer = time.AfterFunc(d, func() {
		h.net.mu.Lock()
		defer h.net.mu.Unlock()
		h.pump()
	})
}

// finish takes a stream that has ended off the network's list.
func (h *half) finish() {
	delete(h.net.streams, h)
	if h.timer != nil {
		h.timer.Stop()
	}
	h.signal()
}

// signal wakes whoever waits on the stream to look again.
func (h *half) signal() {
	close(h.wake)
	h.wake = make(chan struct{})
}
