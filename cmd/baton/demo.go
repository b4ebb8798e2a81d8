package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/baton-db/baton/demo"
	"github.com/baton-db/baton/internal/lab"
)

func demoCommand(o *options) *cobra.Command {
	var (
		family string
		faults []string
		keep   bool
		opts   demo.Options
	)
	c := &cobra.Command{
		Use:   "demo",
		Short: "Run a whole cluster on this machine, break its primary under load, and check every acknowledged write",
		Long: `Run a whole cluster on this machine, break its primary under load, and check every acknowledged write.

Real database servers and baton nodes run as processes of their own, on loopback addresses and in temporary directories.
Nothing else on the machine is touched, root is not needed, and everything is removed in the end.`,
		Example: `  baton demo
  baton demo --kill crash --kill freeze --kill switchover
  baton demo --keep                                         look around afterwards, until Ctrl-C`,
		Args: exact(0),
		RunE: func(c *cobra.Command, _ []string) error {
			self, err := os.Executable()
			if err != nil {
				return fmt.Errorf("find this program: %w", err)
			}
			opts.Baton, opts.Out, opts.Log = []string{self}, c.OutOrStdout(), slog.New(slog.DiscardHandler)
			opts.Restart = time.Second
			if opts.Families, err = families(family); err != nil {
				return usageError{err}
			}
			for _, f := range faults {
				fault, err := demo.ParseFault(f)
				if err != nil {
					return usageError{err}
				}
				opts.Faults = append(opts.Faults, fault)
			}
			if err := opts.Validate(); err != nil {
				return usageError{err}
			}
			if opts.Dir, err = unused(opts.Dir); err != nil {
				return err
			}
			if o.output == "json" {
				opts.Out = c.ErrOrStderr()
			}
			return runDemo(c, o, opts, keep)
		},
	}
	f := c.Flags()
	f.StringVar(&family, "db", "auto", "database servers to run: mysql, mariadb or auto (what can be had)")
	f.IntVar(&opts.Nodes, "nodes", 3, "3 or 5 nodes, each a Raft server and the guard of one database server")
	f.StringArrayVar(&faults, "kill", []string{"crash"}, "what to do to the primary: crash, freeze, switchover or none; may be repeated")
	f.IntVar(&opts.PerSecond, "load", 200, "rows a second that the writers write")
	f.BoolVar(&keep, "keep", false, "leave everything running at the end, until Ctrl-C")
	f.StringVar(&opts.Dir, "dir", "", "where the nodes keep their files (default: a temporary directory that is removed)")
	return c
}

// unused is the whole path of dir, for node files. The files of an earlier run are refused: the nodes would remember a
// cluster whose servers and certificates are gone.
func unused(dir string) (string, error) {
	path, err := filepath.Abs(dir)
	if dir == "" || err != nil {
		return dir, err
	}
	if _, err := os.Lstat(filepath.Join(path, "db1")); err == nil {
		return "", usage("Remove it, or name another one.", "--dir %s holds the files of an earlier run", dir)
	}
	return path, nil
}

// runDemo runs it; with keep the end is Ctrl-C, and no failure.
func runDemo(c *cobra.Command, o *options, opts demo.Options, keep bool) error {
	var wait func(context.Context, *demo.Rig)
	kept := false
	if keep {
		wait = func(ctx context.Context, r *demo.Rig) {
			kept = true
			look(ctx, opts.Out, r)
		}
	}
	res, err := demo.Run(c.Context(), opts, wait)
	interrupted := c.Context().Err() != nil && (err == nil || err == context.Canceled) // alone: everything was removed
	switch {
	case interrupted && kept:
		fmt.Fprintln(opts.Out, "Everything that ran was stopped and removed.")
	case interrupted:
		return errors.New("interrupted: everything that ran was stopped and removed")
	case errors.Is(err, lab.ErrNoServer):
		return noServers(err, opts.Families)
	case err != nil:
		return err
	}
	if o.output == "json" {
		return o.print(c.OutOrStdout(), res, nil)
	}
	return nil
}

// noServers says how to get a server of one of the families; the demo needs the programs and no running service.
func noServers(err error, families []lab.Family) error {
	how := "Any one of these is enough. The programs are needed, no service:"
	for _, f := range families {
		how += howToGet[f]
	}
	return helpful{fmt.Errorf("this machine has no database server that the demo could run\n%w", err), how}
}

var howToGet = map[lab.Family]string{
	lab.MariaDB: `
  Debian, Ubuntu (as root)      apt-get install --no-install-recommends mariadb-server-core mariadb-client-core
  Fedora, RHEL (as root)        dnf install mariadb-server`,
	lab.MySQL: `
  Debian, Ubuntu without root   scripts/get-mysql from the source of baton; then again: baton demo
  anywhere                      MySQL 8.0.26 or later, with mysqld in PATH`,
}

func families(name string) ([]lab.Family, error) {
	switch name {
	case "auto":
		return []lab.Family{lab.MariaDB, lab.MySQL}, nil
	case "mysql":
		return []lab.Family{lab.MySQL}, nil
	case "mariadb":
		return []lab.Family{lab.MariaDB}, nil
	}
	return nil, fmt.Errorf("unknown database family %q: want mysql, mariadb or auto", name)
}

// look prints how to look around, and waits for Ctrl-C.
func look(ctx context.Context, out io.Writer, r *demo.Rig) {
	fmt.Fprintf(out, "\nEverything goes on running until Ctrl-C. Look around from another terminal:\n")
	for _, line := range r.Commands() {
		fmt.Fprintf(out, "  %s\n", line)
	}
	<-ctx.Done()
}
