// Command baton turns a command line into one call: it runs a node, asks a cluster, or demonstrates a failover.
package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// version is set by the linker.
var version = "dev"

func main() {
	ends := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // as under nohup
		ends = append(ends, syscall.SIGHUP) // a terminal that was closed
	}
	ctx, stop := signal.NotifyContext(context.Background(), ends...)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends at once
	// A closed pipe at the other end of stdout is an error of the write, and not the end of this process: a demo has
	// servers to stop. Nobody listens to the channel.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	code := run(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr})
	stop()
	os.Exit(code)
}

// streams are where a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// outlet cancels what a command does once nobody reads what it says.
type outlet struct {
	io.Writer
	cancel context.CancelFunc
	closed bool
}

func (o *outlet) Write(b []byte) (int, error) {
	n, err := o.Writer.Write(b)
	if errors.Is(err, syscall.EPIPE) {
		o.closed = true
		o.cancel()
	}
	return n, err
}

// run does what args say and returns the exit code.
func run(ctx context.Context, args []string, s streams) int {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	out := &outlet{Writer: s.out, cancel: cancel}
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(s.in)
	root.SetOut(out)
	root.SetErr(s.err)
	err := root.ExecuteContext(ctx)
	switch {
	case out.closed:
		return exitFailed // whoever closed it knows
	case err == nil:
		return 0
	}
	report(s.err, err)
	return exitCode(err)
}

func newRoot() *cobra.Command {
	o := &options{}
	root := group(&cobra.Command{
		Use:   "baton",
		Short: "Keep a MySQL or MariaDB database writable at one name, and tell every machine where each service is",
		Long: `Keep a MySQL or MariaDB database writable at one name, and tell every machine where each service is.

Exit status: 0 done, 1 failed, 2 wrong command line or configuration, 3 no server or no leader answers,
4 refused by a safety rule, 5 accepted but not known to be over.`,
		Example: `  baton demo                          see a failover on this machine
  baton config validate /etc/baton    check a configuration
  baton status                        look at a cluster`,
		SilenceUsage:      true,
		SilenceErrors:     true,
		PersistentPreRunE: func(*cobra.Command, []string) error { return o.validate() },
	})
	root.SetFlagErrorFunc(flagError)
	root.CompletionOptions.HiddenDefaultCmd = true
	flags := root.PersistentFlags()
	flags.StringVarP(&o.output, "output", "o", "table", "table or json")
	flags.StringSliceVar(&o.addrs, "addr", envList("BATON_ADDR"), "API addresses of servers, HOST[:PORT],... (BATON_ADDR)")
	flags.StringVar(&o.identity, "identity", envOr("BATON_IDENTITY", "/var/lib/baton/tls"), "directory with ca.pem, node.pem and node-key.pem (BATON_IDENTITY)")
	flags.DurationVar(&o.timeout, "timeout", defaultTimeout, "how long to wait for an answer")
	root.AddCommand(agentCommand(), demoCommand(o), statusCommand(o), membersCommand(o), serverCommand(o), dbCommand(o), configCommand(o), caCommand(o), versionCommand(o))
	return root
}
