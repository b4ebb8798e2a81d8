package mysqld_test

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// opening is a server that hangs when it is to open writes, as one that is frozen in that moment. What it was told last goes on
// in it when its client has gone, until the session is killed.
type opening struct {
	*fake
	mu     sync.Mutex
	opener string // the session that hangs; "": none
	deaf   bool   // it lists nobody, and kills nobody
	said   []string
}

func hangingOpen(t *testing.T) *opening {
	o := &opening{}
	state, _ := replica()
	state["read_only"] = "1"
	usual := answers(state, nil)
	o.fake = &fake{answer: func(query string) *table {
		if strings.HasPrefix(query, "SHOW REPLICA STATUS") {
			return &table{columns: []string{"Source_Host"}}
		}
		return usual(query)
	}}
	o.hear = o.listen
	o.serve(t)
	return o
}

func (o *opening) listen(session int, query string) *table {
	o.mu.Lock()
	defer o.mu.Unlock()
	id, ok := strconv.Itoa(session), &table{}
	switch {
	case strings.HasPrefix(query, "SELECT CONNECTION_ID"):
		return &table{columns: []string{"id"}, rows: [][]any{{id}}}
	case strings.HasPrefix(query, "SHOW PROCESSLIST") && o.deaf:
		return &table{hang: true}
	case strings.HasPrefix(query, "SHOW PROCESSLIST"):
		list := &table{columns: []string{"Id", "User", "Command"}, rows: [][]any{{id, "baton", "Query"}}}
		if o.opener != "" {
			list.rows = append(list.rows, []any{o.opener, "baton", "Sleep"})
		}
		return list
	case strings.HasPrefix(query, "SET GLOBAL read_only = OFF"):
		o.opener = id
		o.said = append(o.said, "open")
		return &table{hang: true}
	case strings.HasPrefix(query, "KILL "):
		if strings.TrimPrefix(query, "KILL ") == o.opener {
			o.opener = ""
		}
		o.said = append(o.said, "kill")
		return ok
	case strings.HasPrefix(query, "SET GLOBAL super_read_only = ON"):
		o.said = append(o.said, "close")
		return ok
	case strings.HasPrefix(query, "SET "):
		return ok
	}
	return nil
}

func (o *opening) story() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.said)
}

// A server that is told to open and does not answer in time may do it much later, when its lease is over.
func TestAnOpeningThatWasGivenUpDoesNotHappenLater(t *testing.T) {
	o := hangingOpen(t)
	server := fakeServer(t, o.fake)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := server.OpenAlone(ctx); err == nil {
		t.Fatal("it is open")
	}
	if got, want := o.story(), []string{"open", "kill"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if err := server.CloseWrites(t.Context()); err != nil {
		t.Error(err)
	}
	if got, want := o.story(), []string{"open", "kill", "close"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// Who could not end the session has not closed the server either, until it can.
func TestNothingIsClosedWhileAnOpeningMayComeAfterIt(t *testing.T) {
	o := hangingOpen(t)
	o.deaf = true
	server := fakeServer(t, o.fake)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := server.OpenAlone(ctx); err == nil {
		t.Fatal("it is open")
	}
	closing, stop := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer stop()
	if err := server.CloseWrites(closing); err == nil {
		t.Error("it was closed, and will be opened")
	}
	if got := o.story(); slices.Contains(got, "close") {
		t.Errorf("%q", got)
	}
	o.mu.Lock()
	o.deaf = false
	o.mu.Unlock()
	if err := server.CloseWrites(t.Context()); err != nil {
		t.Error(err)
	}
	if got, want := o.story(), []string{"open", "kill", "close"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
