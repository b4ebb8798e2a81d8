package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// group makes c a command that only has other commands: alone it shows them, and it says which one was probably meant.
func group(c *cobra.Command) *cobra.Command {
	c.Args = cobra.ArbitraryArgs
	c.SuggestionsMinimumDistance = 2
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return c.Help()
		}
		return usage(suggestion(c.SuggestionsFor(args[0]), "See: "+c.CommandPath()+" --help"), "unknown command %.80q for %q", args[0], c.CommandPath())
	}
	return c
}

// flagError says which flag was probably meant.
func flagError(c *cobra.Command, err error) error {
	fix := "See: " + c.CommandPath() + " --help"
	if name, ok := strings.CutPrefix(err.Error(), "unknown flag: --"); ok {
		flags := &cobra.Command{SuggestionsMinimumDistance: 2}
		c.Flags().VisitAll(func(f *pflag.Flag) {
			flags.AddCommand(&cobra.Command{Use: f.Name, Run: func(*cobra.Command, []string) {}})
		})
		var near []string
		for _, s := range flags.SuggestionsFor(name) {
			near = append(near, "--"+s)
		}
		fix = suggestion(near, fix)
	}
	return usage(fix, "%.200s", err)
}

func suggestion(near []string, otherwise string) string {
	if len(near) == 0 {
		return otherwise
	}
	return fmt.Sprintf("Did you mean %s?", strings.Join(near, " or "))
}

// exact refuses a wrong number of arguments in the way of this program.
func exact(n int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != n {
			return usage("Usage: "+c.UseLine(), "%d arguments, want %d", len(args), n)
		}
		return nil
	}
}
