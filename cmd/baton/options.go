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
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/baton-db/baton/agent"
	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/identity"
	"github.com/baton-db/baton/registry"
)

const defaultTimeout = 10 * time.Second

// patience outlasts an election of the servers, with a leader that is only frozen.
const patience = 3 * time.Second

// options are the flags of every command.
type options struct {
	output   string
	addrs    []string
	identity string
	timeout  time.Duration
}

// validate refuses flags that cannot be used, before anything is done.
func (o *options) validate() error {
	if o.output != "table" && o.output != "json" {
		return usage("Want table or json.", "unknown output %.80q", o.output)
	}
	if o.timeout <= 0 {
		return usage("Want a positive duration, such as 10s.", "--timeout %s", o.timeout)
	}
	if len(o.addrs) == 0 {
		return usage("Name at least one server: --addr HOST[:PORT] or BATON_ADDR.", "--addr is empty")
	}
	for i, addr := range o.addrs {
		if _, _, err := net.SplitHostPort(addr); err != nil {
			addr = net.JoinHostPort(strings.Trim(addr, "[]"), strconv.Itoa(agent.DefaultAPIPort))
		}
		host, port, err := net.SplitHostPort(addr)
		if n, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil || n == 0 || host == "" {
			return usage("Want HOST or HOST:PORT, such as 10.0.0.11:7450.", "--addr %.80q", o.addrs[i])
		}
		o.addrs[i] = addr
	}
	return nil
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
	return []string{"127.0.0.1:" + strconv.Itoa(agent.DefaultAPIPort)}
}

// ask runs do with a client that has this operator's identity.
func (o *options) ask(c *cobra.Command, do func(context.Context, *api.Client) error) error {
	id, err := identity.Load(o.identity)
	if err != nil {
		return usageError{helpful{err, "Give the directory with your certificate: --identity DIR or BATON_IDENTITY.\nbaton ca issue --help says how to make one."}}
	}
	transport := api.NewTransport(api.TransportConfig{TLS: func() *tls.Config { return id.ClientTLS("", identity.ALPNHTTP2) }})
	defer transport.Close()
	client, err := api.NewClient(api.ClientConfig{Addrs: api.Static(o.addrs...), Transport: transport, Patience: min(o.timeout/2, patience), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Context(), o.timeout)
	defer cancel()
	err = do(ctx, client)
	switch {
	case err != nil && c.Context().Err() != nil && !errors.Is(err, errStillRunning):
		return fmt.Errorf("interrupted: %w", err)
	case isUnreachable(err) && !errors.Is(err, api.ErrInDoubt):
		return helpful{fmt.Errorf("no server answers\n%w", err), "Is baton running there? Name other servers with --addr or BATON_ADDR."}
	}
	return err
}

// shown makes what a command runs that asks one question and prints the answer.
func shown[T any](o *options, question func(context.Context, *api.Client) (T, error), draw func(*page, T)) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, _ []string) error { return show(o, c, question, draw) }
}

// shownOf is shown for a question about the database that is the command's one argument.
func shownOf[T any](o *options, question func(context.Context, *api.Client, registry.DatabaseName) (T, error), draw func(*page, T)) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		name, err := database(args[0])
		if err != nil {
			return err
		}
		return show(o, c, func(ctx context.Context, client *api.Client) (T, error) { return question(ctx, client, name) }, draw)
	}
}

func show[T any](o *options, c *cobra.Command, question func(context.Context, *api.Client) (T, error), draw func(*page, T)) error {
	return o.ask(c, func(ctx context.Context, client *api.Client) error {
		v, err := question(ctx, client)
		if err != nil {
			return err
		}
		return o.print(c.OutOrStdout(), v, func(p *page) { draw(p, v) })
	})
}

// database reads the name of a database from the command line.
func database(s string) (registry.DatabaseName, error) {
	if registry.ValidName(s) != nil {
		return "", usage("A name is 1 to 63 of a-z, 0-9 and inner hyphens. baton db list shows the databases.", "%.80q is not the name of a database", s)
	}
	return registry.DatabaseName(s), nil
}

// print writes v as JSON, or what draw makes of it.
func (o *options) print(w io.Writer, v any, draw func(*page)) error {
	if o.output == "json" {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(v)
	}
	p := newPage()
	draw(p)
	return p.flush(w)
}

// page is text and tables for a person.
type page struct {
	all strings.Builder
	tab *tabwriter.Writer
}

func newPage() *page {
	p := &page{}
	p.tab = tabwriter.NewWriter(&p.all, 0, 8, 2, ' ', 0)
	return p
}

// line writes text that belongs to no table; a table before it ends there.
func (p *page) line(format string, args ...any) {
	_ = p.tab.Flush() // into memory
	fmt.Fprintf(&p.all, format+"\n", args...)
}

// row writes the columns of one line of a table.
func (p *page) row(columns ...any) {
	for i, c := range columns {
		if i > 0 {
			fmt.Fprint(p.tab, "\t")
		}
		if s := clean(fmt.Sprint(c)); s != "" {
			fmt.Fprint(p.tab, s)
		} else {
			fmt.Fprint(p.tab, "-")
		}
	}
	fmt.Fprintln(p.tab)
}

// text writes s broken into lines, all of them indented, the first with a label before it. What stands behind "Way out:"
// gets a line of its own.
func (p *page) text(label, s string) {
	_ = p.tab.Flush() // into memory
	s, out, found := strings.Cut(clean(s), "Way out: ")
	margin := strings.Repeat(" ", len(label))
	for i, l := range wrap(strings.TrimRight(s, "; "), textWidth-len(label)) {
		if i > 0 {
			label = margin
		}
		fmt.Fprintf(&p.all, "%s%s\n", label, l)
	}
	if found {
		p.text(margin+"way out: ", out)
	}
}

// flush writes everything; the only place where a page meets errors.
func (p *page) flush(w io.Writer) error {
	_ = p.tab.Flush() // into memory
	var out strings.Builder
	for l := range strings.Lines(p.all.String()) {
		out.WriteString(strings.TrimRight(l, " \n") + "\n")
	}
	_, err := io.WriteString(w, out.String())
	if err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	return nil
}
