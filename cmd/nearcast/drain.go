package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"nearcast/cdn"
	"nearcast/control/wire"
)

func newDrain() *cobra.Command {
	var f operatorFlags
	cmd := &cobra.Command{
		Use:   "drain",
		Short: "Keep new visitors away from a POP or a node, to work on it",
		Long: `Keep new visitors away from a POP or a node. Its visitors move to others little by little, within about a
minute; its caches go on serving whoever still comes, and nothing is stopped or forgotten. It stays so, whatever is
restarted, until it is undone: then visitors come back little by little.

Without a subcommand: show what is being drained.

What would leave too little is refused without --force: the last edge POP that works, more than half of what all edge
POPs can send, more than half of the nodes of a POP.`,
		Example: `  nearcast drain
  nearcast drain pop lon
  nearcast drain pop lon --undo
  nearcast drain node fra-1`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return listDrains(cmd, &f) },
	}
	f.register(cmd)
	cmd.AddCommand(newDrainOf("pop", "POP"), newDrainOf("node", "node"))
	return cmd
}

func listDrains(cmd *cobra.Command, f *operatorFlags) error {
	api, err := f.connect()
	if err != nil {
		return err
	}
	drains, err := api.Drains(cmd.Context())
	if err != nil {
		return err
	}
	if len(drains) == 0 {
		fmt.Fprintln(cmd.ErrOrStderr(), "nothing is being drained")
	}
	return f.print(cmd.OutOrStdout(), drains, func() [][]string {
		rows := [][]string{{"DRAINED", "SINCE", "BY"}}
		for _, d := range drains {
			rows = append(rows, []string{d.Name(), d.Since.Format("2006-01-02 15:04:05 MST"), orDash(d.By)})
		}
		return rows
	})
}

// drainFlags are the flags of the beginning and the end of a drain.
type drainFlags struct {
	applyFlags
	undo bool
}

// newDrainOf is the command for POPs or for nodes; people call them word.
func newDrainOf(kind, word string) *cobra.Command {
	var f drainFlags
	cmd := &cobra.Command{
		Use:   kind + " NAME",
		Short: "Keep new visitors away from a " + word,
		Args:  cobra.ExactArgs(1),
		RunE:  func(cmd *cobra.Command, args []string) error { return f.run(cmd, kind, word, args[0]) },
	}
	f.registerChange(cmd)
	cmd.Flags().BoolVar(&f.undo, "undo", false, "let visitors come again")
	cmd.Flags().BoolVar(&f.force, "force", false, "even if that leaves too little")
	cmd.MarkFlagsMutuallyExclusive("undo", "force")
	return cmd
}

// run begins or ends a drain, and says what happens now.
func (f *drainFlags) run(cmd *cobra.Command, kind, word, name string) error {
	api, err := f.connect()
	if err != nil {
		return err
	}
	var result wire.DrainResult
	if f.undo {
		result, err = api.EndDrain(cmd.Context(), kind, name)
	} else {
		req := wire.DrainRequest{POP: name, Force: f.force}
		if kind == "node" {
			req.POP, req.Node = "", name
		}
		result, err = api.Drain(cmd.Context(), req)
	}
	if err != nil {
		return err
	}
	action, happens := f.words(result.Changed, kind, word+" "+name, name)
	err = f.print(cmd.OutOrStdout(), result, func() [][]string {
		return [][]string{{"DRAIN", "ACTION", "GENERATION"}, {kind + " " + name, action, fmt.Sprint(result.Generation)}}
	})
	if err != nil {
		return err
	}
	if err := f.await(cmd, api, result.Generation); err != nil {
		return err
	}
	fmt.Fprintln(cmd.ErrOrStderr(), happens)
	return nil
}

// words are what was done, and what happens now.
func (f *drainFlags) words(changed bool, kind, what, name string) (action, happens string) {
	switch {
	case f.undo && changed:
		return "ended", "Visitors come to " + what + " again, little by little, within about a minute."
	case f.undo:
		return "unchanged", what + " is not being drained."
	case changed:
		return "begun", fmt.Sprintf("Visitors move away from %s within about a minute; its caches go on serving whoever still comes.\n"+
			"Watch it: nearcast map --watch. Undo it: nearcast drain %s %s --undo", what, kind, name)
	}
	return "unchanged", what + " is being drained already."
}

// drainWords marks a state as draining.
func drainWords(state cdn.POPState, draining bool) string {
	text := string(state)
	if state == cdn.POPUnknown {
		text = "unknown"
	}
	if draining {
		text += ",draining"
	}
	return text
}
