package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"nearcast/cdn"
	"nearcast/control/apiclient"
	"nearcast/control/compile"
	"nearcast/control/wire"
)

// readFiles reads the files of -f; "-" is standard input.
func readFiles(cmd *cobra.Command, names []string) ([]wire.File, error) {
	var files []wire.File
	for _, name := range names {
		var text []byte
		var err error
		if name == "-" {
			name = "standard input"
			text, err = io.ReadAll(cmd.InOrStdin())
		} else {
			text, err = os.ReadFile(name)
		}
		if err != nil {
			return nil, err
		}
		files = append(files, wire.File{Name: name, Content: string(text)})
	}
	return files, nil
}

// applyFlags are the flags of the commands that change sites.
type applyFlags struct {
	operatorFlags
	files  []string
	dryRun bool
	force  bool
	wait   time.Duration
}

func (f *applyFlags) registerChange(cmd *cobra.Command) {
	f.register(cmd)
	cmd.Flags().DurationVar(&f.wait, "wait", 10*time.Second, "longest `TIME` to wait until every node has the new version; 0 does not wait")
}

func newApply() *cobra.Command {
	var f applyFlags
	cmd := &cobra.Command{
		Use:     "apply -f FILE...",
		Short:   "Create or change the sites of a file",
		Long:    "Create or change the sites of a file. Either all of it is right and becomes one new version,\nor every mistake is shown and nothing changes.",
		Example: "  nearcast apply -f site.yaml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := f.connect()
			if err != nil {
				return err
			}
			files, err := readFiles(cmd, f.files)
			if err != nil {
				return err
			}
			result, err := api.Apply(cmd.Context(), wire.ApplyRequest{Files: files, DryRun: f.dryRun, Force: f.force})
			if err != nil {
				return err
			}
			return f.finish(cmd, api, result)
		},
	}
	f.registerChange(cmd)
	cmd.Flags().StringArrayVarP(&f.files, "file", "f", nil, "`FILE` with sites, - for standard input; may be given several times")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "check and compare, change nothing")
	cmd.Flags().BoolVar(&f.force, "force", false, "even if that leaves nothing, or less than half, of the sites or of their domains")
	must(cmd.MarkFlagRequired("file"))
	return cmd
}

// finish prints what a change did and waits until it is in force everywhere.
func (f *applyFlags) finish(cmd *cobra.Command, api *apiclient.Client, result wire.ApplyResult) error {
	err := f.print(cmd.OutOrStdout(), result, func() [][]string {
		rows := [][]string{{"SITE", "ACTION", "GENERATION"}}
		for _, c := range result.Changes {
			rows = append(rows, []string{string(c.Site), string(c.Action), fmt.Sprint(result.Generation)})
		}
		return rows
	})
	if err != nil || f.dryRun {
		return err
	}
	return f.await(cmd, api, result.Generation)
}

// await waits until every node has a version. Nodes that do not answer are talk,
// not failure: the version is in force, and they take it when they are back.
func (f *applyFlags) await(cmd *cobra.Command, api *apiclient.Client, g cdn.Generation) error {
	if f.wait == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), f.wait)
	defer cancel()
	err := api.AwaitGeneration(ctx, g, 50*time.Millisecond)
	if errors.Is(err, context.DeadlineExceeded) {
		fmt.Fprintf(cmd.ErrOrStderr(), "generation %d is accepted, but not every node has it after %s; see: nearcast nodes\n", g, f.wait)
		return nil
	}
	return err
}

func newDiff() *cobra.Command {
	var f applyFlags
	cmd := &cobra.Command{
		Use:   "diff -f FILE...",
		Short: "Show what apply would change; status 0 if nothing, 1 if something, 2 on errors",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			changed, err := runDiff(cmd, &f)
			if err != nil {
				return &exitError{status: 2, err: err}
			}
			if changed {
				return &exitError{status: 1}
			}
			return nil
		},
	}
	f.register(cmd)
	cmd.Flags().StringArrayVarP(&f.files, "file", "f", nil, "`FILE` with sites, - for standard input; may be given several times")
	must(cmd.MarkFlagRequired("file"))
	return cmd
}

func runDiff(cmd *cobra.Command, f *applyFlags) (changed bool, err error) {
	api, err := f.connect()
	if err != nil {
		return false, err
	}
	files, err := readFiles(cmd, f.files)
	if err != nil {
		return false, err
	}
	result, err := api.Diff(cmd.Context(), wire.ApplyRequest{Files: files})
	if err != nil {
		return false, err
	}
	if f.output != "table" {
		return result.Changed, f.print(cmd.OutOrStdout(), result, nil)
	}
	for _, d := range result.Sites {
		if d.Changed {
			fmt.Fprintf(cmd.OutOrStdout(), "site %s: %s\n%s", d.Site, d.Action, d.Text)
		}
	}
	return result.Changed, nil
}

func newGet() *cobra.Command {
	var f operatorFlags
	cmd := &cobra.Command{
		Use:     "get [SITE]",
		Short:   "List the sites, or show one",
		Long:    "List the sites, or show one. With -o yaml the output is a file for apply;\nsecrets are shown as " + cdn.Redacted + ", which apply takes to mean the present ones.",
		Example: "  nearcast get shop -o yaml >shop.yaml",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := f.connect()
			if err != nil {
				return err
			}
			if len(args) == 0 {
				sites, err := api.Sites(cmd.Context())
				if err != nil {
					return err
				}
				return f.printSites(cmd, sites, sites...)
			}
			site, err := api.Site(cmd.Context(), cdn.SiteName(args[0]))
			if err != nil {
				return err
			}
			return f.printSites(cmd, site, site)
		},
	}
	f.register(cmd)
	return cmd
}

// printSites prints sites; asJSON is their form in JSON, a list or a single one.
func (f *operatorFlags) printSites(cmd *cobra.Command, asJSON any, sites ...cdn.Site) error {
	if f.output == "yaml" {
		text, err := compile.FormatSites(sites...)
		if err != nil {
			return err
		}
		_, err = cmd.OutOrStdout().Write(text)
		return err
	}
	return f.print(cmd.OutOrStdout(), asJSON, func() [][]string {
		rows := [][]string{{"SITE", "DOMAINS", "ORIGIN", "ROUTES"}}
		for _, s := range sites {
			origin := strings.Join(s.Origin.URLs, ",")
			if s.Origin.Bucket != nil {
				origin += " bucket " + s.Origin.Bucket.Name
			}
			rows = append(rows, []string{string(s.Name), joinDomains(s.Domains), origin, fmt.Sprint(len(s.Routes))})
		}
		return rows
	})
}

func joinDomains(domains []cdn.Domain) string {
	var texts []string
	for _, d := range domains {
		texts = append(texts, string(d))
	}
	return strings.Join(texts, ",")
}

func newDelete() *cobra.Command {
	var f applyFlags
	cmd := &cobra.Command{
		Use:   "delete SITE",
		Short: "Delete a site",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := f.connect()
			if err != nil {
				return err
			}
			result, err := api.DeleteSite(cmd.Context(), cdn.SiteName(args[0]), f.force)
			if err != nil {
				return err
			}
			return f.finish(cmd, api, result)
		},
	}
	f.registerChange(cmd)
	cmd.Flags().BoolVar(&f.force, "force", false, "even if that leaves nothing, or less than half, of the sites or of their domains")
	return cmd
}
