package process

import (
	"context"
	"iter"
)

// Model is a run of a server that is made of memory. No kernel knows it, so it says itself what a kernel would say of a
// process. It is for simulations of whole nodes; its values must be comparable.
type Model interface {
	// Incarnation, Watch and Kill are those of Run.
	Incarnation() string
	Watch(ctx context.Context) iter.Seq[State]
	Kill() error
}

// Modelled returns the run that m is. It has no number.
func Modelled(m Model) Run { return Run{model: m} }
