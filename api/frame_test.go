package api_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/registry"
	"github.com/baton-db/baton/registry/codec"
)

// update rewrites the golden bytes; a change of them is a change of the protocol.
var update = flag.Bool("update", false, "rewrite testdata")

func frames(t testing.TB) map[string]api.Frame {
	t.Helper()
	state, err := codec.EncodeState(registry.New("prod").WithIndex(7))
	if err != nil {
		t.Fatal(err)
	}
	cmd, err := codec.Encode(&registry.RemoveNode{ID: "web1"})
	if err != nil {
		t.Fatal(err)
	}
	return map[string]api.Frame{
		"snapshot":  {Kind: api.FrameSnapshot, Index: 7, State: state},
		"commands":  {Kind: api.FrameCommands, Index: 11, Contact: 1500 * time.Millisecond, Prev: 7, Commands: []api.Committed{{Index: 8, Bytes: cmd}, {Index: 11, Bytes: cmd}}},
		"keepalive": {Kind: api.FrameKeepalive, Index: 11, Contact: 20 * time.Millisecond},
	}
}

func TestFramesKeepTheirBytes(t *testing.T) {
	for name, f := range frames(t) {
		path := filepath.Join("testdata", name+".frame.hex")
		got := hex.Dump(api.AppendFrame(nil, f))
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s (-golden +now):\n%s", name, diff)
		}
		back, err := api.ReadFrame(bytes.NewReader(api.AppendFrame(nil, f)))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(f, back); diff != "" {
			t.Errorf("%s is read as another (-sent +read):\n%s", name, diff)
		}
	}
}

func TestWhatIsNoFrameIsAnError(t *testing.T) {
	keepalive := api.AppendFrame(nil, frames(t)["keepalive"])
	commands := api.AppendFrame(nil, frames(t)["commands"])
	change := func(b []byte, at int, to byte) []byte {
		c := bytes.Clone(b)
		c[at] = to
		return c
	}
	for name, c := range map[string]struct {
		bytes []byte
		err   error
	}{
		"nothing":                {nil, io.EOF},
		"half a length":          {keepalive[:2], io.ErrUnexpectedEOF},
		"half a frame":           {keepalive[:10], io.ErrUnexpectedEOF},
		"only a length":          {keepalive[:4], io.ErrUnexpectedEOF},
		"too short":              {binary.BigEndian.AppendUint32(nil, 13), api.ErrFrame},
		"too long":               {[]byte{0xff, 0xff, 0xff, 0xff}, api.ErrFrame},
		"long and cut off":       {[]byte{0x0f, 0xff, 0xff, 0xff, 1}, io.ErrUnexpectedEOF},
		"another version":        {change(keepalive, 4, 2), api.ErrFrame},
		"a kind of later":        {change(keepalive, 5, 4), api.ErrFrame},
		"a keepalive with more":  {change(commands, 5, 3), api.ErrFrame},
		"index not the last":     {change(commands, 13, 99), api.ErrFrame},
		"does not grow":          {change(commands, 25, 8), api.ErrFrame},
		"command cut short":      {change(commands, 37, 200), api.ErrFrame},
		"commands without any":   {api.AppendFrame(nil, api.Frame{Kind: api.FrameCommands, Index: 7, Prev: 7}), api.ErrFrame},
		"commands that are bare": {change(keepalive, 5, 2), api.ErrFrame},
	} {
		if _, err := api.ReadFrame(bytes.NewReader(c.bytes)); !errors.Is(err, c.err) {
			t.Errorf("%s: %v, want %v", name, err, c.err)
		}
	}
}

func TestABatchFillsAFrameAndIsNeverEmpty(t *testing.T) {
	big := api.Committed{Index: 1, Bytes: make([]byte, codec.MaxCommand)}
	small := api.Committed{Index: 2, Bytes: []byte("x")}
	for _, c := range []struct {
		commands []api.Committed
		want     int
	}{
		{[]api.Committed{small}, 1},
		{[]api.Committed{small, small, small}, 3},
		{[]api.Committed{big, small}, 1},
		{[]api.Committed{small, big, small}, 2},
	} {
		if got := api.Batch(c.commands); got != c.want {
			t.Errorf("got %d, want %d", got, c.want)
		}
	}
	f := api.Frame{Kind: api.FrameCommands, Index: 4, Prev: 1, Commands: []api.Committed{
		{Index: 2, Bytes: make([]byte, 1<<20-13)}, {Index: 4, Bytes: make([]byte, codec.MaxCommand)}}}
	if api.Batch(f.Commands) != 2 {
		t.Fatal("not the largest frame there is")
	}
	if _, err := api.ReadFrame(bytes.NewReader(api.AppendFrame(nil, f))); err != nil {
		t.Errorf("the largest frame: %v", err)
	}
}

func FuzzReadFrame(f *testing.F) {
	for _, fr := range frames(f) {
		f.Add(api.AppendFrame(nil, fr))
	}
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		fr, err := api.ReadFrame(r)
		if err != nil {
			return
		}
		read := b[:len(b)-r.Len()]
		if again := api.AppendFrame(nil, fr); !bytes.Equal(again, read) {
			t.Errorf("read\n%x\nwrites\n%x", read, again)
		}
	})
}

func TestAProblemSaysTheWayOut(t *testing.T) {
	p := api.NewProblem(api.CodeLagging, "wait", "db2 is %d s behind", 40)
	if got, want := p.Error(), "db2 is 40 s behind (BT-3115); wait"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if p.Status != 409 || !strings.HasSuffix(p.Type, string(p.Code)) {
		t.Errorf("%+v", p)
	}
}
