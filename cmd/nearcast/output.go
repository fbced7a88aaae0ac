package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/goccy/go-yaml"
)

// print writes v as JSON or YAML, or as the table that rows makes of it: the first
// row is the header.
func (f *operatorFlags) print(out io.Writer, v any, rows func() [][]string) error {
	if f.output == "table" {
		return printTable(out, rows())
	}
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the output: %w", err)
	}
	if f.output == "yaml" {
		if text, err = yaml.JSONToYAML(text); err != nil {
			return fmt.Errorf("encoding the output: %w", err)
		}
	}
	_, err = fmt.Fprintln(out, strings.TrimSpace(string(text)))
	return err
}

func printTable(out io.Writer, rows [][]string) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		if _, err := fmt.Fprintln(w, strings.Join(row, "\t")); err != nil {
			return err
		}
	}
	return w.Flush()
}
