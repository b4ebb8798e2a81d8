package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/baton-db/baton/identity"
)

func caCommand(o *options) *cobra.Command {
	parent := group(&cobra.Command{
		Use:   "ca",
		Short: "Make the certificates by which the nodes of a cluster know each other",
		Example: `  baton ca issue db2 --ca /var/lib/baton/ca --node db2 --role server
  baton ca create ca --cluster prod`,
	})
	parent.AddCommand(caCreateCommand(o), caIssueCommand(o))
	return parent
}

func caCreateCommand(o *options) *cobra.Command {
	var cluster string
	c := &cobra.Command{
		Use:   "create DIR",
		Short: "Make the authority of a new cluster: ca.pem and ca-key.pem in DIR",
		Long: `Make the authority of a new cluster: ca.pem and ca-key.pem in DIR.

Whoever has ca-key.pem can join the cluster and command it. There is no second one: keep a copy where the nodes are not.
The first server makes an authority by itself (bootstrap = true in its node file); this is for one that is to be elsewhere.`,
		Example: "  baton ca create ca --cluster prod",
		Args:    exact(1),
		RunE: func(c *cobra.Command, args []string) error {
			a, err := identity.NewAuthority(cluster, time.Now())
			if err != nil {
				return usageError{helpful{err, "Give the name of the cluster, as in every node file: --cluster prod"}}
			}
			if err := a.Save(args[0]); err != nil {
				return err
			}
			v := struct {
				Dir         string `json:"dir"`
				Cluster     string `json:"cluster"`
				Fingerprint string `json:"fingerprint"`
			}{args[0], a.Cluster(), fmt.Sprint(a.Fingerprint())}
			return o.print(c.OutOrStdout(), v, func(p *page) { p.line("authority of cluster %s in %s", v.Cluster, v.Dir) })
		},
	}
	c.Flags().StringVar(&cluster, "cluster", "", "name of the cluster, as in every node file")
	return c
}

func caIssueCommand(o *options) *cobra.Command {
	var ca, node, role string
	c := &cobra.Command{
		Use:   "issue DIR",
		Short: "Make a certificate for a node or a person: ca.pem, node.pem and node-key.pem in DIR",
		Long: `Make a certificate for a node or a person: ca.pem, node.pem and node-key.pem in DIR.

Run it where the authority is, usually on the first server, and copy the files to tls/ below the node's data_dir; name and
role must be those of its node file. An operator is a person or a program that uses this command line. Run again, it
renews what is in DIR, with a new key.`,
		Example: `  baton ca issue db2 --ca /var/lib/baton/ca --node db2 --role server
  baton ca issue ~/.baton --ca /var/lib/baton/ca --node alice --role operator`,
		Args: exact(1),
		RunE: func(c *cobra.Command, args []string) error {
			a, err := identity.LoadAuthority(ca)
			if err != nil {
				return usageError{helpful{err, "Give the directory of the authority, ca/ below the data_dir of the first server, or what baton ca create made: --ca DIR"}}
			}
			name := identity.Name{Cluster: a.Cluster(), Role: identity.Role(role), Node: node}
			if err := name.Validate(); err != nil {
				return usageError{helpful{err, "Give --node NAME and --role server, client or operator."}}
			}
			if there, err := identity.Load(args[0]); err == nil && there.Name() != name {
				return usageError{helpful{fmt.Errorf("%s holds the certificate of %s", args[0], there.Name()), "Give another directory: baton ca issue DIR"}}
			}
			cert, key, err := a.Issue(name.Role, name.Node, time.Now())
			if err != nil {
				return err
			}
			if err := identity.Save(args[0], a.CertPEM(), cert, key); err != nil {
				return err
			}
			v := struct {
				Dir  string `json:"dir"`
				Name string `json:"name"`
			}{args[0], name.String()}
			return o.print(c.OutOrStdout(), v, func(p *page) { p.line("certificate of %s in %s", v.Name, v.Dir) })
		},
	}
	c.Flags().StringVar(&ca, "ca", "", "directory of the authority")
	c.Flags().StringVar(&node, "node", "", "name of the node or of the person")
	c.Flags().StringVar(&role, "role", "", "server, client or operator")
	return c
}
