// Command baton turns a command line into one call: it runs a node, asks a cluster, or demonstrates a failover.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/config"
	"github.com/baton-db/baton/demo"
)

// version is set by the linker.
var version = "dev"

// Exit codes, documented in docs/cli.md.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitUnreachable = 3
	exitRefused     = 4
	exitRunning     = 5
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// usageError is a command line that makes no sense.
type usageError struct{ error }

// run does what args say and returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintf(stderr, "Error: %v\n", err)
	return exitCode(err)
}

func exitCode(err error) int {
	var usage usageError
	var bad *config.Error
	var problem *api.Problem
	switch {
	case errors.As(err, &usage), errors.As(err, &bad):
		return exitUsage
	case errors.Is(err, errStillRunning):
		return exitRunning
	case errors.Is(err, demo.ErrBroken):
		return exitFailed
	case errors.Is(err, api.ErrNotLeader), errors.Is(err, api.ErrNoQuorum):
		return exitUnreachable
	case errors.As(err, &problem):
		return exitRefused
	case isUnreachable(err):
		return exitUnreachable
	}
	return exitFailed
}

func newRoot() *cobra.Command {
	o := &options{}
	root := &cobra.Command{
		Use:           "baton",
		Short:         "Keep a MySQL or MariaDB database writable at one name, and tell every machine where each service is",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w. See: %s --help", err, c.CommandPath())}
	})
	flags := root.PersistentFlags()
	flags.StringVarP(&o.output, "output", "o", "table", "table or json")
	flags.StringSliceVar(&o.addrs, "addr", envList("BATON_ADDR"), "API addresses of servers, host:port (BATON_ADDR)")
	flags.StringVar(&o.identity, "identity", envOr("BATON_IDENTITY", "/var/lib/baton/tls"), "directory with ca.pem, node.pem and node-key.pem (BATON_IDENTITY)")
	flags.DurationVar(&o.timeout, "timeout", defaultTimeout, "how long to wait for an answer")
	root.AddCommand(agentCommand(), demoCommand(o), statusCommand(o), membersCommand(o), dbCommand(o), configCommand(o), versionCommand(o))
	return root
}
