package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"nearcast/cdn"
	"nearcast/control/compile"
	"nearcast/internal/atomicfile"
	"nearcast/internal/geo"
	"nearcast/internal/geo/mmdb"
	"nearcast/internal/geo/source"
	"nearcast/internal/geo/watch"
)

func newGeo() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "geo",
		Short: "Make a database of where addresses are, and look into one",
		Long: `Make a database of where addresses are and whose, from your own files, and look into
one. Schedulers and edge nodes take databases with --geo.`,
	}
	cmd.AddCommand(newGeoBuild(), newGeoShow())
	return cmd
}

func newGeoBuild() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "build --out FILE INPUT...",
		Short: "Make a database from CSV files and geofeeds",
		Long: `Make a database (MMDB) from CSV files and geofeeds. The first line of a CSV file names
its columns, in any order: prefix, and what of country, region, city, latitude,
longitude, asn and isp is there. A geofeed (RFC 8805) has no such line. Of prefixes
that nest the longest counts. Of a prefix that is in several files the last counts;
what it leaves open is taken from those before. Every mistake is told, and with
mistakes nothing is written.`,
		Example: "  nearcast geo build --out geo.mmdb networks.csv geofeed.csv",
		Args:    cobra.MinimumNArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return runGeoBuild(cmd, out, args) },
	}
	cmd.Flags().StringVar(&out, "out", "", "`FILE` to write")
	must(cmd.MarkFlagRequired("out"))
	return cmd
}

func runGeoBuild(cmd *cobra.Command, out string, inputs []string) error {
	entries, err := readSources(inputs)
	if err != nil {
		return err
	}
	data, err := mmdb.Write(entries, time.Now())
	if err != nil {
		return err
	}
	made, err := mmdb.Read(data) // what is in place of a good database is one that can be read
	if err != nil {
		return fmt.Errorf("%s was not written: %w", out, err)
	}
	if err := atomicfile.Write(out, data, 0o644); err != nil {
		return fmt.Errorf("writing %s: %w", out, err)
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s: %d ranges of addresses in %d records\n", out, made.Table.Len(), len(made.Records))
	return nil
}

// readSources reads all files and puts them together. The error has every mistake of all of them.
func readSources(inputs []string) ([]geo.Entry, error) {
	var files [][]geo.Entry
	var mistakes compile.Mistakes
	for _, name := range inputs {
		text, err := os.ReadFile(name)
		if err != nil {
			if path, ok := errors.AsType[*fs.PathError](err); ok {
				err = path.Err
			}
			mistakes = append(mistakes, compile.Mistake{File: name, Message: err.Error()})
			continue
		}
		entries, err := source.Read(name, text)
		if ms, ok := errors.AsType[source.Mistakes](err); ok {
			for _, m := range ms {
				mistakes = append(mistakes, compile.Mistake{File: m.File, Line: m.Line, Column: m.Column, Message: m.Message, Hint: m.Hint})
			}
		}
		files = append(files, entries)
	}
	return source.Join(files...), mistakes.Err()
}

func newGeoShow() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "show FILE IP...",
		Short:   "Print what a database knows of addresses",
		Example: "  nearcast geo show geo.mmdb 198.51.100.7 2001:db8::1",
		Args:    cobra.MinimumNArgs(2),
		RunE:    func(cmd *cobra.Command, args []string) error { return runGeoShow(cmd, output, args[0], args[1:]) },
	}
	cmd.Flags().StringVarP(&output, "output", "o", "table", "`FORMAT` of the output: table, json or yaml")
	return cmd
}

// known is what geo show prints of an address. What is not known is left out.
type known struct {
	Address netip.Addr `json:"address"`
	// Prefix is the shortest around the address of which all that is known is the same.
	Prefix    netip.Prefix `json:"prefix"`
	Country   string       `json:"country,omitempty"`
	Region    string       `json:"region,omitempty"`
	City      string       `json:"city,omitempty"`
	Latitude  *float64     `json:"latitude,omitempty"`
	Longitude *float64     `json:"longitude,omitempty"`
	ASN       uint32       `json:"asn,omitempty"`
	ISP       string       `json:"isp,omitempty"`
}

func knownOf(d *geo.Database, addr netip.Addr) known {
	r, prefix := d.Lookup(addr)
	k := known{Address: addr, Prefix: prefix, Country: r.Country, Region: r.Region, City: r.City, ASN: r.ASN, ISP: r.ISP}
	if r.Located {
		k.Latitude, k.Longitude = &r.Latitude, &r.Longitude
	}
	return k
}

func (k *known) row() []string {
	or := func(text string) string { return cmp.Or(text, "-") }
	degrees := func(d *float64) string {
		if d == nil {
			return "-"
		}
		return strconv.FormatFloat(*d, 'f', -1, 64)
	}
	asn := "-"
	if k.ASN != 0 {
		asn = "AS" + strconv.FormatUint(uint64(k.ASN), 10)
	}
	return []string{
		k.Address.String(), k.Prefix.String(), or(k.Country), or(k.Region), or(k.City), degrees(k.Latitude), degrees(k.Longitude), asn, or(k.ISP),
	}
}

func runGeoShow(cmd *cobra.Command, output, file string, texts []string) error {
	if err := checkOutput(output); err != nil {
		return err
	}
	var wrong []error
	addrs := make([]netip.Addr, len(texts))
	for i, text := range texts {
		var err error
		if addrs[i], err = netip.ParseAddr(text); err != nil {
			wrong = append(wrong, cdn.Errorf(cdn.Invalid, "", "%q is not an IP address", text))
		}
	}
	if err := errors.Join(wrong...); err != nil {
		return err
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	database, err := mmdb.Read(data)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	all := make([]known, len(addrs))
	for i, addr := range addrs {
		all[i] = knownOf(database, addr)
	}
	return (&operatorFlags{output: output}).print(cmd.OutOrStdout(), all, func() [][]string {
		rows := [][]string{{"ADDRESS", "PREFIX", "COUNTRY", "REGION", "CITY", "LATITUDE", "LONGITUDE", "ASN", "ISP"}}
		for i := range all {
			rows = append(rows, all[i].row())
		}
		return rows
	})
}

// geoFlag adds the flag --geo of a role.
func geoFlag(cmd *cobra.Command, files *[]string) {
	cmd.Flags().StringArrayVar(files, "geo", nil, "`FILE` with a database (MMDB) of where addresses are; may be given several times, the first that knows something counts. Read again when it changes")
}

// followGeo reads databases of addresses, hands on what is known, and returns what keeps it current: nothing without files.
func (r *role) followGeo(files []string, on func(*geo.Database)) []func(context.Context) error {
	if len(files) == 0 {
		return nil
	}
	k := watch.Open(watch.Options{Log: r.log, Registry: r.registry, OnChange: on}, files...)
	if d := k.Database(); d != nil {
		on(d)
	}
	return []func(context.Context) error{k.Watch}
}
