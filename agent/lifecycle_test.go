package agent

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// journal is what parts did, in order.
type journal struct {
	mu   sync.Mutex
	said []string
}

func (j *journal) say(what string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.said = append(j.said, what)
}

// lasting is a part, in a bubble, that runs until it is stopped and then takes its time.
func (j *journal) lasting(name string, takes time.Duration, err error) part {
	return part{name, func(ctx context.Context) error {
		j.say("+" + name)
		<-ctx.Done()
		time.Sleep(takes)
		j.say("-" + name)
		return err
	}}
}

func TestPartsStopOneByOneInReverseOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		ctx, cancel := context.WithCancel(t.Context())
		parts := []part{j.lasting("port", 0, nil), j.lasting("replica", time.Second, errors.New("slow disk")), j.lasting("leadership", 3*time.Second, nil)}
		time.AfterFunc(time.Minute, cancel)
		if err := runParts(ctx, slog.New(slog.DiscardHandler), parts); err != nil {
			t.Errorf("an orderly end is the error %v", err)
		}
		if got, want := j.said[3:], []string{"-leadership", "-replica", "-port"}; !slices.Equal(got, want) {
			t.Errorf("stopped in the order %v, want %v", got, want)
		}
	})
}

func TestTheFirstPartThatEndsEndsTheNode(t *testing.T) {
	broken := errors.New("disk is gone")
	for name, tt := range map[string]struct {
		ends error
		want error
	}{
		"with an error":    {broken, broken},
		"without an error": {nil, errEnded},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var j journal
				early := part{"early", func(context.Context) error {
					time.Sleep(time.Second)
					return tt.ends
				}}
				parts := []part{j.lasting("first", time.Second, nil), early, j.lasting("last", 0, errors.New("hidden by the first"))}
				err := runParts(t.Context(), slog.New(slog.DiscardHandler), parts)
				if !errors.Is(err, tt.want) || err.Error()[:len("early: ")] != "early: " {
					t.Errorf("ended with %v, want early: %v", err, tt.want)
				}
				if got, want := j.said[2:], []string{"-last", "-first"}; !slices.Equal(got, want) {
					t.Errorf("stopped in the order %v, want %v", got, want)
				}
			})
		})
	}
}

func TestAPartThatEndsWhileItIsStoppedIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		var j journal
		canceled := part{"canceled", func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}}
		if err := runParts(ctx, slog.New(slog.DiscardHandler), []part{j.lasting("port", 0, nil), canceled}); err != nil {
			t.Error(err)
		}
	})
}
