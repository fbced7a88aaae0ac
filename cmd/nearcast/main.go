// Command nearcast is the whole CDN in one program: every role that a machine can
// have (edge, scheduler, routequality, control), the lab that runs all of them on
// one machine (up), and every command of an operator.
//
// It is the only place that knows all parts: it plugs them together and has no
// logic of its own.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // time zones of policies, wherever the program runs

	"github.com/spf13/cobra"

	"nearcast/control/compile"
)

// Version is the program's version; the release build sets it.
var Version = "dev"

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// exitError ends the program with a status of its own.
type exitError struct {
	status int
	err    error // may be nil: then nothing is printed
}

func (e *exitError) Error() string { return fmt.Sprint(e.err) }

func (e *exitError) Unwrap() error { return e.err }

// run runs one command and returns the exit status.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	exit, ok := errors.AsType[*exitError](err)
	if ok && exit.err == nil {
		return exit.status
	}
	report(stderr, err)
	if ok {
		return exit.status
	}
	return 1
}

// report tells a user what went wrong. Mistakes in a file stand on lines of their
// own, in the form file:line:column that editors understand.
func report(stderr io.Writer, err error) {
	if mistakes := compile.MistakesOf(err); len(mistakes) > 0 {
		fmt.Fprintln(stderr, mistakes)
		err = fmt.Errorf("mistakes found: %d; nothing was changed", len(mistakes))
	}
	fmt.Fprintln(stderr, "nearcast:", err)
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "nearcast",
		Short: "A CDN that you run yourself",
		Long: `Nearcast is a CDN that you run yourself: DNS and 302 send visitors to the best
point of presence, edge (L1) nodes serve them from cache, regional (L2) nodes
shield the origin.

Try it: nearcast up`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       Version,
	}
	root.AddGroup(
		&cobra.Group{ID: "lab", Title: "Try it on one machine:"},
		&cobra.Group{ID: "operate", Title: "Operate a CDN:"},
		&cobra.Group{ID: "role", Title: "Roles, started by deployment:"},
	)
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add("lab", newUp())
	add("operate", newApply(), newDiff(), newGet(), newDelete(), newDomain(), newPurge(), newNodes(), newStatus(), newExplain(), newMap(), newRoutes(), newDrain(), newFleet(), newDNSSEC(), newCache(), newGeo())
	add("role", newEdge(), newScheduler(), newRouteQuality(), newControl(), newWebOrigin())
	root.AddCommand(newVersion())
	return root
}
