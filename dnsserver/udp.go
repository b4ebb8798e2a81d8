package dnsserver

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// serveUDP answers on k until ctx ends. One goroutine reads and answers; only a question that is held gets its own.
func (s *Server) serveUDP(ctx context.Context, k *socket) error {
	var held sync.WaitGroup
	defer held.Wait()
	defer context.AfterFunc(ctx, func() { _ = k.udp.SetReadDeadline(time.Unix(1, 0)) })()
	packet := make([]byte, 65535)
	var oob []byte
	if k.wildcard {
		oob = make([]byte, 256)
	}
	for {
		n, control, _, from, err := k.udp.ReadMsgUDPAddrPort(packet, oob)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && transient(err):
			pause(ctx)
			continue
		case err != nil:
			return fmt.Errorf("read DNS questions on udp %s: %w", k.addr, err)
		case from.Port() == 0: // forged: nobody can have sent it
			continue
		}
		source, ok := []byte(nil), true
		if k.wildcard {
			source, ok = replyFrom(oob[:control])
		}
		if !ok {
			continue
		}
		reply, wait := s.respond(packet[:n], overUDP)
		if wait != nil {
			held.Go(func() { k.send(wait(ctx), source, from) })
			continue
		}
		k.send(reply, source, from)
	}
}

// send sends reply, if there is one. An answer that cannot be sent is lost like any other packet: the client asks again.
func (k *socket) send(reply, source []byte, to netip.AddrPort) {
	if reply != nil {
		_, _, _ = k.udp.WriteMsgUDPAddrPort(reply, source, to)
	}
}

// pause is a short rest after a transient error, so that one which lasts does not take a processor.
func pause(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(20 * time.Millisecond):
	}
}

// transient reports whether err is about one packet or one moment and not about the socket.
func transient(err error) bool {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return false
	}
	switch errno {
	case syscall.ENOBUFS, syscall.ENOMEM, syscall.EMFILE, syscall.ENFILE, syscall.ECONNABORTED, syscall.ECONNREFUSED,
		syscall.EPERM, syscall.EPROTO, syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.ENETDOWN:
		return true
	}
	return false
}
