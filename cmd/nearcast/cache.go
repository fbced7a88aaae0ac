package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"nearcast/cdn"
	"nearcast/edge/cacheadmin"
)

// cacheFlags are the flags of every command that looks into the cache of a node on this machine.
type cacheFlags struct {
	dir    string
	output string
}

func (f *cacheFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.dir, "dir", "", "`DIR` of the node: the --dir of nearcast edge or, without one, the directory of its first --disk")
	flags.StringVarP(&f.output, "output", "o", "table", "`FORMAT` of the output: table, json or yaml")
}

// connect returns the client of the node.
func (f *cacheFlags) connect() (*cacheadmin.Client, error) {
	if err := checkOutput(f.output); err != nil {
		return nil, err
	}
	if f.dir == "" {
		return nil, cdn.Errorf(cdn.Invalid, "", `which node? Give --dir DIR: the --dir of a nearcast edge on this machine or, if it has none,
the directory of its first --disk; in a lab, nearcast-lab/state/NODE`)
	}
	return cacheadmin.NewClient(f.dir)
}

func checkOutput(format string) error {
	switch format {
	case "table", "json", "yaml":
		return nil
	}
	return cdn.Errorf(cdn.Invalid, "", "--output %q: want table, json or yaml", format)
}

func (f *cacheFlags) print(out io.Writer, v any, rows func() [][]string) error {
	return (&operatorFlags{output: f.output}).print(out, v, rows)
}

func newCache() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cache",
		Short: "Look into the cache of a node on this machine",
		Long: `Look into the cache of a node that runs on this machine, and take things out of it. The
command speaks with the running node through the socket cache.sock in the node's state
directory, which is open to the node's own user alone. No other node is asked or changed.`,
	}
	cmd.AddCommand(newCacheStats(), newCacheList(), newCacheShow(), newCacheVerify(), newCacheDrop())
	return cmd
}

func newCacheStats() *cobra.Command {
	var f cacheFlags
	cmd := &cobra.Command{
		Use:   "stats --dir DIR",
		Short: "Show how full memory and disks are, and what they have done",
		Long: `Show how full memory and disks are, and what has been done since the node's start. The
table has what is looked at most; -o json has everything.`,
		Example: `  nearcast cache stats --dir /var/lib/nearcast
  nearcast cache stats --dir /var/lib/nearcast -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			node, err := f.connect()
			if err != nil {
				return err
			}
			s, err := node.Stats(cmd.Context())
			if err != nil {
				return err
			}
			return f.print(cmd.OutOrStdout(), s, func() [][]string { return statsRows(s) })
		},
	}
	f.register(cmd)
	return cmd
}

func statsRows(s *cacheadmin.Stats) [][]string {
	m, p := &s.Memory, &s.Purges
	rows := [][]string{
		{"node", s.Node},
		{"memory", fmt.Sprintf("%s of %s, %s", octets(m.Octets), octets(m.Budget), counted(m.Objects, "object"))},
		{"", fmt.Sprintf("%d hits, %d evictions, %d refused, %d not written to disk", m.Hits, m.Evictions, m.Refused, m.Dropped)},
	}
	for i := range s.Disks {
		rows = append(rows, diskRows(&s.Disks[i])...)
	}
	if len(s.Disks) > 0 {
		known := "all is known"
		if !s.Warm {
			known = "still reading what is on the disks"
		}
		v := &s.Verify
		rows = append(rows, []string{"index", fmt.Sprintf("%s, %s", octets(s.IndexOctets), known)},
			[]string{"verified", fmt.Sprintf("%s in %s, %d damaged, %d unreadable, %s complete", octets(v.Octets), counted(v.Records, "record"), v.Damaged, v.Errors, counted(v.Passes, "pass"))})
	}
	return append(rows,
		[]string{"purges", fmt.Sprintf("revision %d, %d remembered, %d folded, log %s", p.Revision, p.Entries, p.Folded, octets(p.LogOctets))},
		[]string{"swept", fmt.Sprintf("%s removed in %s", counted(s.Sweep.Removed, "object"), counted(s.Sweep.Passes, "pass"))})
}

func diskRows(d *cacheadmin.Disk) [][]string {
	rows := [][]string{{"disk " + d.Path, fmt.Sprintf("%s of %s, %s, write amplification %.2f", octets(d.Used), octets(d.Size), counted(d.Objects, "object"), d.Amplification)}}
	if d.Failed != "" {
		rows = [][]string{{"disk " + d.Path, "OUT OF SERVICE: " + d.Failed}}
	}
	lap := "not full yet"
	if d.Lapped {
		lap = "full"
	}
	return append(rows,
		[]string{"", fmt.Sprintf("%s; %d hits, %d written, %d evictions, %d refused", lap, d.Hits, d.Puts, d.Evictions, d.Refused)},
		[]string{"", fmt.Sprintf("%d damaged, %d errors, %d reads refused, %d removals lost, %d not indexed", d.Damaged, d.Errors, d.RefusedReads, d.LostTombstones, d.Unindexed)})
}

// counted is a number of things.
func counted(n int64, thing string) string {
	switch {
	case n == 1:
	case strings.HasSuffix(thing, "ss"):
		thing += "es"
	default:
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}

// octets is a size for people to read.
func octets(n int64) string {
	const step = 1024
	if n < step {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n), ""
	for _, unit = range [...]string{"KiB", "MiB", "GiB", "TiB"} {
		if value /= step; value < step-0.5 {
			break
		}
	}
	return fmt.Sprintf("%.1f %s", value, unit)
}

func newCacheList() *cobra.Command {
	var f cacheFlags
	var filter cacheadmin.Filter
	var name string
	cmd := &cobra.Command{
		Use:   "ls --dir DIR",
		Short: "List stored objects",
		Long: `List stored objects: first those in memory, then those on disk alone, in no other order.
What has been purged is left out, and so are the parts of large contents and what has
been compressed: show has those. The list is not of one moment: what moves meanwhile may
be missing.`,
		Example: `  nearcast cache ls --dir /var/lib/nearcast
  nearcast cache ls --dir /var/lib/nearcast --prefix http://www.shop.example/img/ --limit 0
  nearcast cache ls --dir /var/lib/nearcast --site shop --tier ram -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if filter.Tier, err = cacheadmin.ParseTier(name); err != nil {
				return fmt.Errorf("--tier: %w", err)
			}
			if filter.Limit < 0 {
				return cdn.Errorf(cdn.Invalid, "", "--limit %d: want a number of objects, 0 for all", filter.Limit)
			}
			node, err := f.connect()
			if err != nil {
				return err
			}
			return list(cmd, node, filter, f.output)
		},
	}
	f.register(cmd)
	flags := cmd.Flags()
	flags.StringVar(&filter.Site, "site", "", "only what is of `SITE`, by name or by one of its domains")
	flags.StringVar(&filter.Prefix, "prefix", "", "only what was asked for by a `URL` that begins so")
	flags.StringVar(&name, "tier", "", "only what is in `TIER`: ram, disk or both")
	flags.IntVar(&filter.Limit, "limit", 100, "list at most `N` objects; 0 for all")
	return cmd
}

// list prints entries while they come: there may be millions.
func list(cmd *cobra.Command, node *cacheadmin.Client, filter cacheadmin.Filter, format string) error {
	out := bufio.NewWriter(cmd.OutOrStdout())
	count, before := 0, ""
	var failed error
	show := func(e *cacheadmin.Entry) bool {
		count++
		switch format {
		case "table":
			_, failed = fmt.Fprintln(out, entryRow(e))
		default:
			_, failed = out.WriteString(before)
			if failed == nil {
				failed = printItem(out, e, format)
			}
			before = map[string]string{"json": ",\n"}[format]
		}
		return failed == nil
	}
	switch format {
	case "table":
		fmt.Fprintln(out, "STATUS        SIZE       AGE       TTL  TIER  TAGS  URL")
	case "json":
		fmt.Fprintln(out, "[")
	}
	more, err := node.List(cmd.Context(), filter, show)
	switch {
	case err != nil:
	case failed != nil:
		err = failed
	case format == "json" && count > 0:
		_, err = out.WriteString("\n]\n")
	case format == "json":
		_, err = out.WriteString("]\n")
	case format == "yaml" && count == 0:
		_, err = out.WriteString("[]\n")
	}
	if flushed := out.Flush(); err == nil {
		err = flushed
	}
	if err == nil && more {
		fmt.Fprintf(cmd.ErrOrStderr(), "there are more than these %d: --limit N shows more, --prefix and --site choose\n", count)
	}
	return err
}

func entryRow(e *cacheadmin.Entry) string {
	size := "?"
	if e.Octets >= 0 {
		size = octets(e.Octets)
	}
	var url strings.Builder
	url.WriteString(e.URL)
	if e.Variant != "" {
		url.WriteString("  variant=" + e.Variant)
	}
	for _, name := range slices.Sorted(maps.Keys(e.Selecting)) {
		url.WriteString("  " + name + ": " + e.Selecting[name])
	}
	return fmt.Sprintf("%-6d  %10s  %8ds %8ds  %-4s  %4d  %s", e.Status, size, e.Age, e.TTL, e.Tier, e.Tags, &url)
}

// printItem writes one member of an array.
func printItem(out *bufio.Writer, v any, format string) error {
	if format == "yaml" {
		text, err := yaml.MarshalWithOptions([]any{v}, yaml.UseJSONMarshaler())
		if err == nil {
			_, err = out.Write(text)
		}
		return err
	}
	text, err := json.MarshalIndent(v, "  ", "  ")
	if err == nil {
		_, err = out.WriteString("  " + string(text))
	}
	return err
}
