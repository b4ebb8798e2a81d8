package witness

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/demo"
	"github.com/baton-db/baton/identity"
	"github.com/baton-db/baton/registry"
)

// A register of the registry: the lag limit in the policy of a database that has no member. Written by a command, read
// through the log (G9).
const (
	registerOps  = 400 // operations on one register before the next one is begun
	registerRate = 150 * time.Millisecond
)

// access is the input of one operation; its output is the value read, an int.
type access struct {
	register int
	value    int // to write; 0: a read
}

// Register is the workload.
type Register struct {
	client    *api.Client
	transport *api.Transport

	mu   sync.Mutex
	next int // also the value of the next write
	ops  []porcupine.Operation
}

// NewRegister speaks as a server, which may propose any command.
func NewRegister(rig *demo.Rig) (*Register, error) {
	id, err := identity.Load(filepath.Join(rig.Nodes[0].Data(), "tls"))
	if err != nil {
		return nil, err
	}
	r := &Register{transport: api.NewTransport(api.TransportConfig{TLS: func() *tls.Config { return id.ClientTLS("", identity.ALPNHTTP2) }})}
	r.client, err = api.NewClient(api.ClientConfig{Addrs: api.Static(rig.APIs()...), Transport: r.transport, Log: slog.New(slog.DiscardHandler)})
	return r, err
}

// Run writes and reads with some clients until ctx ends.
func (r *Register) Run(ctx context.Context) {
	const clients = 3
	var all sync.WaitGroup
	for c := range clients {
		all.Go(func() {
			for ctx.Err() == nil {
				r.one(ctx, c)
				rest(ctx, registerRate)
			}
		})
	}
	all.Wait()
	r.transport.Close()
}

func registerName(n int) registry.DatabaseName {
	return registry.DatabaseName(fmt.Sprintf("register%d", n))
}

func (r *Register) one(ctx context.Context, client int) {
	r.mu.Lock()
	r.next++
	in := access{register: r.next / registerOps, value: r.next}
	r.mu.Unlock()
	if rand.IntN(2) == 0 {
		in.value = 0
	}
	asked, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	op := porcupine.Operation{ClientId: client, Input: in, Output: in.value, Call: time.Now().UnixNano(), Return: math.MaxInt64}
	if in.value > 0 {
		policy := registry.DefaultPolicy()
		policy.MaxLagSeconds, policy.Paused = in.value, true // nobody shall look for its members
		_, err := r.client.Propose(asked, &registry.PutDatabase{Name: registerName(in.register), Policy: policy})
		if err == nil {
			op.Return = time.Now().UnixNano()
		}
		r.record(op) // one that failed may happen later
		return
	}
	v, err := r.client.Database(asked, registerName(in.register), api.Current)
	op.Return = time.Now().UnixNano()
	switch {
	case err == nil:
		op.Output = v.Database.Policy.MaxLagSeconds
	case !absent(err):
		return // nothing was read
	}
	r.record(op)
}

// absent reports whether the answer was that there is no such database, which is a value too: 0.
func absent(err error) bool {
	var p *api.Problem
	return errors.As(err, &p) && p.Code == api.CodeNoDatabase
}

func (r *Register) record(op porcupine.Operation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ops = append(r.ops, op)
}

// Check says how many operations there were and what is wrong with them.
func (r *Register) Check(patience time.Duration) (count int, problem string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.ops), Linearizable(r.ops, patience)
}

// Linearizable says what is wrong with a history of registers, or nothing.
func Linearizable(history []porcupine.Operation, patience time.Duration) string {
	// A write whose outcome is not known and whose value nobody read can be left out: with or without it the others fit or
	// do not. Each of them would double the work.
	read := map[int]bool{}
	for _, op := range history {
		if op.Input.(access).value == 0 {
			read[op.Output.(int)] = true
		}
	}
	var kept []porcupine.Operation
	for _, op := range history {
		if op.Return != math.MaxInt64 || read[op.Input.(access).value] {
			kept = append(kept, op)
		}
	}
	switch porcupine.CheckOperationsTimeout(registerModel(), kept, patience) {
	case porcupine.Illegal:
		return "reads and writes of the registry are not linearizable"
	case porcupine.Unknown:
		return "whether reads and writes of the registry are linearizable was not found out in time"
	}
	return ""
}

func registerModel() porcupine.Model {
	return porcupine.Model{
		Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
			byRegister := map[int][]porcupine.Operation{}
			for _, op := range history {
				n := op.Input.(access).register
				byRegister[n] = append(byRegister[n], op)
			}
			var all [][]porcupine.Operation
			for _, part := range byRegister {
				all = append(all, part)
			}
			return all
		},
		Init: func() any { return 0 },
		Step: func(state, input, output any) (bool, any) {
			if in := input.(access); in.value > 0 {
				return true, in.value
			}
			return output == state, state
		},
	}
}
