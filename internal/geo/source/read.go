package source

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"

	"nearcast/internal/geo"
)

// maxMistakes is how many mistakes of one file are told; what follows mostly has the same cause.
const maxMistakes = 1000

// Read reads a file, of either kind: in CSV, the first line names the columns; a geofeed begins with a prefix at once. Prefixes
// may nest, but none may come twice. The error is [Mistakes] and has all of them.
func Read(file string, text []byte) ([]geo.Entry, error) {
	r := &reader{file: file, seen: make(map[netip.Prefix]int)}
	r.csv = csv.NewReader(bytes.NewReader(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))))
	r.csv.FieldsPerRecord, r.csv.Comment, r.csv.ReuseRecord, r.csv.TrimLeadingSpace = -1, '#', true, true
	for !r.full() {
		fields, err := r.csv.Read()
		switch {
		case err == io.EOF:
			return r.finish()
		case err != nil:
			if !r.broken(err) {
				return nil, r.mistakes.err()
			}
		default:
			r.line(fields)
		}
	}
	r.mistakes = append(r.mistakes, Mistake{File: file, Line: r.mistakes[len(r.mistakes)-1].Line, Column: 1, Message: "the rest of the file was not read", Hint: fmt.Sprintf("%d mistakes are enough", maxMistakes)})
	return nil, r.mistakes.err()
}

// reader is one run of [Read].
type reader struct {
	file     string
	csv      *csv.Reader
	columns  []column // by position; nil before the first line
	geofeed  bool
	entries  []geo.Entry
	seen     map[netip.Prefix]int // line by prefix
	useless  bool                 // the header lacks what no line can do without
	mistakes Mistakes
}

func (r *reader) full() bool { return len(r.mistakes) >= maxMistakes }

func (r *reader) finish() ([]geo.Entry, error) {
	if len(r.entries) == 0 && len(r.mistakes) == 0 {
		r.mistakes = append(r.mistakes, Mistake{File: r.file, Line: 1, Column: 1, Message: "there is no prefix in the file", Hint: "want CSV with a header, or a geofeed"})
	}
	if err := r.mistakes.err(); err != nil {
		return nil, err
	}
	return r.entries, nil
}

// broken notes a line that is not CSV, and reports whether there can be more lines.
func (r *reader) broken(err error) bool {
	parse, ok := errors.AsType[*csv.ParseError](err)
	if !ok {
		r.mistakes = append(r.mistakes, Mistake{File: r.file, Message: err.Error()})
		return false
	}
	r.mistakes = append(r.mistakes, Mistake{
		File: r.file, Line: parse.Line, Column: parse.Column, Message: "the quotes are wrong: " + parse.Err.Error(),
		Hint: `a quoted field begins and ends with ", and has "" for each " in it`,
	})
	return true
}

// line reads a line; the first one tells what the columns are.
func (r *reader) line(fields []string) {
	if len(fields) == 1 && strings.TrimSpace(fields[0]) == "" {
		return
	}
	if r.columns == nil {
		if !r.isGeofeed(fields[0]) {
			r.header(fields)
			return
		}
		r.columns, r.geofeed = geofeedColumns(), true
	}
	if r.useless {
		return
	}
	l := line{reader: r, fields: fields}
	for i, text := range fields {
		if i >= len(r.columns) {
			if !r.geofeed { // RFC 8805 has them passed over
				r.mistake(i, fmt.Sprintf("there are %d fields, and the header names %d columns", len(fields), len(r.columns)), "quote a field that has a comma in it")
			}
			break
		}
		if text = strings.TrimSpace(text); r.columns[i].read != nil {
			if err := r.columns[i].read(&l, text); err != nil {
				l.wrong = true
				r.mistake(i, r.columns[i].name+" "+err.Error(), r.columns[i].hint)
			}
		}
	}
	l.end()
}

// isGeofeed reports whether the first field of a file is a prefix, or looks like it was to be one.
func (r *reader) isGeofeed(first string) bool {
	return strings.ContainsAny(first, "0123456789:/")
}

func (r *reader) mistake(field int, message, hint string) {
	at, column := r.csv.FieldPos(field)
	r.mistakes = append(r.mistakes, Mistake{File: r.file, Line: at, Column: column, Message: message, Hint: hint})
}

// header reads the names of the columns.
func (r *reader) header(fields []string) {
	r.columns = make([]column, len(fields))
	all, found := csvColumns(), make(map[string]bool)
	for i, text := range fields {
		name := strings.ToLower(strings.TrimSpace(text))
		c, known := all[name]
		switch {
		case !known:
			r.mistake(i, fmt.Sprintf("column %q is not known", clip(text)), "the columns are "+columnNames)
		case found[name]:
			r.mistake(i, fmt.Sprintf("column %q comes twice", name), "keep one")
		}
		found[name] = true
		c.name = name
		r.columns[i] = c
	}
	switch {
	case !found["prefix"]:
		r.useless = true
		r.mistake(0, `the header has no column "prefix"`, "the columns are "+columnNames)
	case found["latitude"] != found["longitude"]:
		r.useless = true
		r.mistake(0, "the header has only one of latitude and longitude", "add the other")
	case len(found) == 1:
		r.mistake(0, "the header has no column beside prefix", "the columns are "+columnNames)
	}
}

// clip shortens what is quoted in a message.
func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "..."
	}
	return s
}

// Join puts the entries of several files together. Of a prefix that is in several, the later file counts; what it leaves open is
// taken from the earlier, as [geo.Record.Filled] says.
func Join(files ...[]geo.Entry) []geo.Entry {
	var all []geo.Entry
	at := make(map[netip.Prefix]int)
	for _, entries := range files {
		for _, e := range entries {
			if i, before := at[e.Prefix]; before {
				all[i].Record = e.Record.Filled(all[i].Record)
				continue
			}
			at[e.Prefix] = len(all)
			all = append(all, e)
		}
	}
	return all
}
