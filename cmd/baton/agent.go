package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/baton-db/baton/agent"
	"github.com/baton-db/baton/config"
)

func agentCommand() *cobra.Command {
	var path string
	c := &cobra.Command{
		Use:     "agent",
		Short:   "Run the node that a configuration describes, until SIGTERM",
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
			if errors.Is(err, fs.ErrNotExist) {
				return helpful{err, fmt.Sprintf("Make its certificates where the authority is, and put them there:\nbaton ca issue %s --ca DIR --node %s --role %s",
					filepath.Join(cfg.DataDir, "tls"), cfg.Node, cfg.Role)}
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
