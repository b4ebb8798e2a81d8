package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/baton-db/baton/agent"
	"github.com/baton-db/baton/config"
	"github.com/baton-db/baton/identity"
	"github.com/baton-db/baton/registry"
)

func agentCommand() *cobra.Command {
	var path string
	c := &cobra.Command{
		Use:   "agent",
		Short: "Run the node that a configuration describes, until SIGTERM",
		Long: `Run the node that a configuration describes, until SIGTERM.

A node has its certificate in tls/ below its data_dir. The first server of a cluster, the one with bootstrap = true in its
node file, makes the authority of the cluster in ca/, its own certificate, and the gossip key if there is none; the others
get theirs from there with baton ca issue.

Beside a database server a node should cost next to nothing, so it uses one processor at a time. Where it answers more DNS
questions than one processor can, set GOMAXPROCS in its environment.`,
		Example: "  baton agent --config /etc/baton",
		Args:    exact(0),
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := config.Load(path)
			if err != nil {
				return err
			}
			level := slog.LevelInfo
			if cfg.Debug {
				level = slog.LevelDebug
			}
			beFrugal()
			log := slog.New(slog.NewTextHandler(c.ErrOrStderr(), &slog.HandlerOptions{Level: level}))
			a, err := agent.New(cfg, version, log)
			switch {
			case errors.Is(err, agent.ErrNoCertificates) && cfg.Role == registry.RoleServer:
				return helpful{err, wayIn(cfg) + "\nIf this is itself the first server of a new cluster, write into its node file: bootstrap = true"}
			case errors.Is(err, agent.ErrNoCertificates), errors.Is(err, identity.ErrExpired):
				return helpful{err, wayIn(cfg)}
			}
			if err != nil {
				return err
			}
			return a.Run(c.Context())
		},
	}
	c.Flags().StringVar(&path, "config", "/etc/baton", "node file, or directory with baton.hcl and conf.d/*.hcl")
	return c
}

// beFrugal makes a node that waits cost less; what a person has set in the environment stays. With two processors Go wakes a
// second thread at each of a few hundred small events a second, which finds nothing to do: a quarter of the whole. And a heap of
// a few megabytes is not worth being collected at every doubling.
func beFrugal() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(1)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(200)
	}
}

// wayIn is how a node gets a certificate.
func wayIn(cfg agent.Config) string {
	name := identity.Name{Cluster: string(cfg.Cluster), Role: identity.Role(cfg.Role), Node: string(cfg.Node)}
	return fmt.Sprintf("On the first server, the one with bootstrap = true (its data_dir may be another), run\n  %s\nand copy the files in %s/ to %s of this node.",
		identity.IssueCommand(name, agent.AuthorityDir(cfg.DataDir)), cfg.Node, agent.CertificateDir(cfg.DataDir))
}

func versionCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Say which version this is",
		Example: "  baton version -o json",
		Args:    exact(0),
		RunE: func(c *cobra.Command, _ []string) error {
			v := struct {
				Version string `json:"version"`
			}{version}
			return o.print(c.OutOrStdout(), v, func(p *page) { p.line("baton %s", version) })
		},
	}
}
