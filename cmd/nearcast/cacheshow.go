package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"nearcast/cdn"
	"nearcast/edge/cacheadmin"
)

func newCacheShow() *cobra.Command {
	var f cacheFlags
	cmd := &cobra.Command{
		Use:   "show URL --dir DIR",
		Short: "Show everything that is stored of a URL",
		Long: `Show everything that is stored of a URL under the node's present configuration: each
variant with its response, what has been purged of it, where it is, what has been
compressed of it, and of large contents which octets are there.`,
		Example: `  nearcast cache show http://www.shop.example/price.json --dir /var/lib/nearcast`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := cdn.ParseTarget(args[0]); err != nil {
				return err
			}
			node, err := f.connect()
			if err != nil {
				return err
			}
			s, err := node.Show(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if f.output != "table" {
				return f.print(cmd.OutOrStdout(), s, nil)
			}
			return printShown(cmd.OutOrStdout(), s)
		},
	}
	f.register(cmd)
	return cmd
}

func printShown(out io.Writer, s *cacheadmin.Shown) error {
	rows := [][]string{{"url", s.URL}, {"site", string(s.Site)}}
	for _, key := range s.Keys {
		rows = append(rows, []string{"key", string(key)})
	}
	if len(s.Objects) == 0 {
		rows = append(rows, []string{"objects", "none is stored"})
	}
	if err := printTable(out, rows); err != nil {
		return err
	}
	for i := range s.Objects {
		fmt.Fprintln(out)
		if err := printTable(out, objectRows(&s.Objects[i])); err != nil {
			return err
		}
	}
	return nil
}

// objectRows are a table of one object.
func objectRows(o *cacheadmin.Object) [][]string {
	size := "not known yet"
	if o.Octets >= 0 {
		size = fmt.Sprintf("%d octets", o.Octets)
	}
	fresh := fmt.Sprintf("fresh for %d s", o.TTL)
	if o.TTL <= 0 {
		fresh = fmt.Sprintf("stale for %d s", -o.TTL)
	}
	where := "no"
	if o.Disk != nil {
		where = fmt.Sprintf("%s, segment %s at %d, %d octets", o.Disk.Path, o.Disk.Segment, o.Disk.Offset, o.Disk.Octets)
	}
	rows := [][]string{
		{"status", fmt.Sprint(o.Status)},
		{"content", size},
		{"age", fmt.Sprintf("%d s, %s", o.Age, fresh)},
		{"purges", fmt.Sprintf("%s, born at %d", o.Verdict, o.Born)},
		{"key", string(o.Key)},
		{"variant", orDash(o.Variant)},
	}
	for _, name := range slices.Sorted(maps.Keys(o.Selecting)) {
		rows = append(rows, []string{"for", name + ": " + o.Selecting[name]})
	}
	rows = append(rows, []string{"memory", o.Memory}, []string{"disk", where}, []string{"tags", fmt.Sprint(o.Tags)})
	for _, c := range o.Coded {
		rows = append(rows, []string{"coded", fmt.Sprintf("%s, %d octets, %s", c.Coding, c.Octets, c.Tier)})
	}
	if o.Sliced {
		rows = append(rows, []string{"present", ranges(o.Present)}, []string{"missing", ranges(o.Missing)})
	}
	if o.Unlooked > 0 {
		rows = append(rows, []string{"not looked", fmt.Sprintf("at the last %d octets", o.Unlooked)})
	}
	for _, field := range o.Fields {
		rows = append(rows, []string{"field", field})
	}
	return rows
}

func ranges(list []cacheadmin.Range) string {
	if len(list) == 0 {
		return "nothing"
	}
	texts := make([]string, len(list))
	for i, r := range list {
		texts[i] = fmt.Sprintf("%d-%d", r.First, r.Last)
	}
	return strings.Join(texts, ", ")
}

func newCacheVerify() *cobra.Command {
	var f cacheFlags
	var rate string
	cmd := &cobra.Command{
		Use:   "verify --dir DIR",
		Short: "Compare everything on the node's disks with its checksums",
		Long: `Read everything that is stored on the node's disks, compare it with its checksums, and drop
what is damaged: it is fetched again when it is asked for. The node goes on serving. Ctrl-C
ends it. By itself the node does the same, slowly: see --verify-rate of nearcast edge.

The exit status is 0 if nothing was damaged and everything could be read.`,
		Example: `  nearcast cache verify --dir /var/lib/nearcast
  nearcast cache verify --dir /var/lib/nearcast --rate 500MiB`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			size, err := cdn.ParseSize(rate)
			if err != nil {
				return fmt.Errorf("--rate: %w", err)
			}
			node, err := f.connect()
			if err != nil {
				return err
			}
			return verify(cmd, &f, node, int64(size))
		},
	}
	f.register(cmd)
	cmd.Flags().StringVar(&rate, "rate", "50MiB", "read at most `SIZE` in a second; 0 for as fast as it goes")
	return cmd
}

func verify(cmd *cobra.Command, f *cacheFlags, node *cacheadmin.Client, rate int64) error {
	r, err := node.Verify(cmd.Context(), rate, func(r cacheadmin.Report) {
		done := ""
		if r.Total > 0 {
			done = fmt.Sprintf(" (%d %%)", min(99, r.Octets*100/r.Total))
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "%s in %s%s, %d damaged\n", octets(r.Octets), counted(r.Records, "record"), done, r.Damaged)
	})
	stopped := errors.Is(err, context.Canceled)
	if err != nil && !stopped {
		return err
	}
	err = f.print(cmd.OutOrStdout(), r, func() [][]string {
		return [][]string{
			{"RECORDS", "OCTETS", "DAMAGED", "UNREADABLE"},
			{fmt.Sprint(r.Records), fmt.Sprint(r.Octets), fmt.Sprint(r.Damaged), fmt.Sprint(r.Errors)},
		}
	})
	switch {
	case err != nil:
		return err
	case stopped:
		return errors.New("the verification was stopped before its end")
	case r.Damaged+r.Errors > 0:
		return fmt.Errorf("%s damaged and dropped, %d unreadable: look at the disk's own health (smartctl, dmesg)", counted(r.Damaged, "record"), r.Errors)
	}
	return nil
}

func newCacheDrop() *cobra.Command {
	var f cacheFlags
	var all, yes bool
	cmd := &cobra.Command{
		Use:   "drop {URL... | --all --yes} --dir DIR",
		Short: "Remove content from this node alone",
		Long: `Remove what is stored of URLs, by http and by https, with all variants; or everything. It
stays removed after a restart. It is no purge: other nodes keep what they have, and this
one may get the same content from them again. To throw content out of the CDN, use
nearcast purge.`,
		Example: `  nearcast cache drop http://www.shop.example/price.json --dir /var/lib/nearcast
  nearcast cache drop --all --yes --dir /var/lib/nearcast`,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case all == (len(args) > 0):
				return cdn.Errorf(cdn.Invalid, "", "what is to be dropped? Give URLs, or --all for everything")
			case all && !yes:
				return cdn.Errorf(cdn.Invalid, "", "--all removes everything that the node has stored, and its origins will be asked for all of it again: add --yes if that is meant")
			}
			for _, u := range args {
				if _, err := cdn.ParseTarget(u); err != nil {
					return err
				}
			}
			node, err := f.connect()
			if err != nil {
				return err
			}
			return drop(cmd, &f, node, args)
		},
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "remove everything")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask whether everything is meant")
	return cmd
}

func drop(cmd *cobra.Command, f *cacheFlags, node *cacheadmin.Client, urls []string) (err error) {
	var dropped []cacheadmin.Dropped
	if len(urls) > 0 {
		dropped, err = node.Drop(cmd.Context(), urls...)
	} else {
		dropped, err = node.DropAll(cmd.Context())
	}
	if err != nil {
		return err
	}
	return f.print(cmd.OutOrStdout(), dropped, func() [][]string {
		rows := [][]string{{"DROPPED", "OBJECTS"}}
		for _, d := range dropped {
			rows = append(rows, []string{d.URL, fmt.Sprint(d.Objects)})
		}
		return rows
	})
}
