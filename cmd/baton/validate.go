package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/baton-db/baton/config"
)

func configCommand(o *options) *cobra.Command {
	parent := group(&cobra.Command{Use: "config", Short: "Look at the configuration of a node", Example: "  baton config validate /etc/baton"})
	parent.AddCommand(validateCommand(o))
	return parent
}

// validity is what `config validate -o json` says.
type validity struct {
	Path    string           `json:"path"`
	Valid   bool             `json:"valid"`
	Cluster string           `json:"cluster,omitempty"`
	Node    string           `json:"node,omitempty"`
	Errors  []config.Finding `json:"errors,omitempty"`
}

func validateCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "validate PATH",
		Short: "Say everything that is wrong with a node file, without touching anything",
		Example: `  baton config validate /etc/baton
  baton config validate baton.hcl -o json`,
		Args: exact(1),
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := config.Load(args[0])
			v := validity{Path: args[0], Valid: err == nil, Cluster: string(cfg.Cluster), Node: string(cfg.Node)}
			var bad *config.Error
			if errors.As(err, &bad) {
				v.Errors = bad.Findings
			}
			if err != nil && o.output != "json" {
				return err
			}
			return errors.Join(err, o.print(c.OutOrStdout(), v, func(p *page) {
				p.line("%s is valid: node %s of cluster %s", v.Path, v.Node, v.Cluster)
			}))
		},
	}
}
