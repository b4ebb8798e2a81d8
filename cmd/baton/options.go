package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/identity"
)

const defaultTimeout = 10 * time.Second

// errStillRunning is returned when something was accepted and had not ended when the wait was over.
var errStillRunning = errors.New("accepted, and still running")

// options are the flags of every command.
type options struct {
	output   string
	addrs    []string
	identity string
	timeout  time.Duration
}

func envOr(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}

func envList(name string) []string {
	if v := os.Getenv(name); v != "" {
		return strings.Split(v, ",")
	}
	return []string{"127.0.0.1:7450"}
}

// ask runs do with a client that has this operator's identity.
func (o *options) ask(c *cobra.Command, do func(context.Context, *api.Client) error) error {
	id, err := identity.Load(o.identity)
	if err != nil {
		return fmt.Errorf("%w. Give the directory with your certificate: --identity DIR", err)
	}
	transport := api.NewTransport(api.TransportConfig{TLS: func() *tls.Config { return id.ClientTLS("", identity.ALPNHTTP2) }})
	defer transport.Close()
	client, err := api.NewClient(api.ClientConfig{Addrs: api.Static(o.addrs...), Transport: transport, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Context(), o.timeout)
	defer cancel()
	err = do(ctx, client)
	if isUnreachable(err) {
		return fmt.Errorf("%w. No server answers at %s: is baton running there? Name others with --addr", err, strings.Join(o.addrs, ", "))
	}
	return err
}

// isUnreachable reports whether no server could be asked at all.
func isUnreachable(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) || errors.Is(err, context.DeadlineExceeded)
}

// print writes v as JSON, or as the table that draw makes.
func (o *options) print(w io.Writer, v any, draw func(*tabwriter.Writer)) error {
	switch o.output {
	case "json":
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(v)
	case "table":
		t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
		draw(t)
		return t.Flush()
	}
	return usageError{fmt.Errorf("unknown output %q: want table or json", o.output)}
}

// row writes the columns of one line.
func row(t *tabwriter.Writer, columns ...any) {
	for i, c := range columns {
		if i > 0 {
			fmt.Fprint(t, "\t")
		}
		if s := fmt.Sprint(c); s != "" {
			fmt.Fprint(t, s)
		} else {
			fmt.Fprint(t, "-")
		}
	}
	fmt.Fprintln(t)
}

// exact refuses a wrong number of arguments in the way of this program.
func exact(n int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != n {
			return usageError{fmt.Errorf("%d arguments, want %d. Usage: %s", len(args), n, c.UseLine())}
		}
		return nil
	}
}
