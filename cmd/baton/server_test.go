package main

import (
	"bytes"
	"strings"
	"testing"
)

// Whoever adds a server is often on that server, which knows nobody until it is added.
func TestAPlanCountsTheServersOfTheLeader(t *testing.T) {
	f := newFake(t)
	f.waiting = true
	var out, said bytes.Buffer
	args := []string{"server", "add", "db4", "10.0.0.14:7450", "--yes", "--addr", f.addr, "--identity", f.operator}
	if code := run(t.Context(), args, streams{strings.NewReader(""), &out, &said}); code != 0 {
		t.Fatalf("exit %d: %s", code, said.String())
	}
	if want := "3 servers now, 4 then"; !strings.Contains(said.String(), want) {
		t.Errorf("the plan does not say %q:\n%s", want, said.String())
	}
}
