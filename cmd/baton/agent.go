package main

import (
	"errors"
	"fmt"
	"log/slog"

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
get theirs from there with baton ca issue.`,
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
