package server

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/api/strict"
	"github.com/baton-db/baton/health"
)

// maxReport is the longest line of a report stream in bytes; GTID sets are long.
const maxReport = 4 << 20

// reports hands each line of the body to the backend as it arrives. The head of the answer is sent at once, so that
// the agent knows that it is heard; the stream ends with the body, with a line that is no report, or with this server.
func (s *Server) reports(c *call) (any, error) {
	if err := c.mediaType(api.ReportsType); err != nil {
		return nil, err
	}
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	rc := http.NewResponseController(c.w)
	_ = rc.EnableFullDuplex() // HTTP/1.1 needs it, HTTP/2 is born with it
	stopped := make(chan struct{})
	stop := context.AfterFunc(c.closing(), func() {
		_ = rc.SetReadDeadline(time.Now()) // wakes the scanner
		close(stopped)
	})
	defer func() {
		if !stop() {
			<-stopped // rc must not be used behind the handler
		}
	}()
	c.w.Header().Set("Content-Type", api.ReportsType)
	if err := rc.Flush(); err != nil {
		return nil, nil // the agent is gone
	}
	lines := bufio.NewScanner(c.r.Body)
	lines.Buffer(nil, maxReport)
	for n := 1; s.nextLine(c, rc, lines); n++ {
		if err := s.receive(c.peer, lines.Bytes()); err != nil {
			s.endReports(c, n, err)
			return nil, nil
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		s.endReports(c, 0, api.NewProblem(api.CodeTooLarge, "", "a report is longer than %d bytes", maxReport))
	}
	return nil, nil
}

// nextLine waits for a line for as long as an agent may be silent.
func (s *Server) nextLine(c *call, rc *http.ResponseController, lines *bufio.Scanner) bool {
	_ = rc.SetReadDeadline(time.Now().Add(s.cfg.ReportSilence))
	return c.closing().Err() == nil && lines.Scan()
}

// endReports tells the agent why, as the one line of the response's body: its head is sent already.
func (s *Server) endReports(c *call, line int, err error) {
	p := api.ProblemOf(err)
	p.Node, p.Index = s.cfg.Node, s.cfg.Backend.State().Index()
	s.cfg.Log.Warn("report stream refused", "from", c.peer.String(), "line", line, "error", err)
	_ = json.NewEncoder(c.w).Encode(p) // the agent is gone: nobody to tell
}

func (s *Server) receive(from api.Peer, line []byte) error {
	var r health.Report
	if err := strict.Lenient(line, &r); err != nil {
		return malformed(err)
	}
	return s.Receive(from, r)
}

// Receive takes a report that did not come through the door, from whom its sender knows itself to be: a server's report to
// itself. It is judged like every other. It does not block and keeps r.
func (s *Server) Receive(from api.Peer, r health.Report) error {
	if err := authorizeReport(from, s.cfg.Backend.State(), &r); err != nil {
		return err
	}
	s.cfg.Backend.Receive(r)
	return nil
}
