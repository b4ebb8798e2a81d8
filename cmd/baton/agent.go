package main

import (
	"fmt"
	"log/slog"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/baton-db/baton/agent"
	"github.com/baton-db/baton/config"
)

func agentCommand() *cobra.Command {
	var path string
	c := &cobra.Command{
		Use:   "agent",
		Short: "Run the node that a configuration describes, until SIGTERM",
		Args:  exact(0),
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
			if err != nil {
				return err
			}
			return a.Run(c.Context())
		},
	}
	c.Flags().StringVar(&path, "config", "/etc/baton", "node file, or directory with baton.hcl and conf.d/*.hcl")
	return c
}

func configCommand(o *options) *cobra.Command {
	parent := &cobra.Command{Use: "config", Short: "Look at the configuration of a node"}
	parent.AddCommand(&cobra.Command{
		Use:   "validate PATH",
		Short: "Say everything that is wrong with a node file, without touching anything",
		Args:  exact(1),
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := config.Load(args[0])
			if err != nil {
				return err
			}
			v := struct {
				Path  string `json:"path"`
				Node  string `json:"node"`
				Valid bool   `json:"valid"`
			}{args[0], string(cfg.Node), true}
			return o.print(c.OutOrStdout(), v, func(t *tabwriter.Writer) {
				fmt.Fprintf(t, "%s is valid: node %s of cluster %s\n", args[0], cfg.Node, cfg.Cluster)
			})
		},
	})
	return parent
}

func versionCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Say which version this is",
		Args:  exact(0),
		RunE: func(c *cobra.Command, _ []string) error {
			v := struct {
				Version string `json:"version"`
			}{version}
			return o.print(c.OutOrStdout(), v, func(t *tabwriter.Writer) { fmt.Fprintln(t, "baton", version) })
		},
	}
}
