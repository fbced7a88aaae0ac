package table

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"

	"nearcast/cdn"
)

// Piece is a table as it is sent. Its methods may be called from any goroutine.
type Piece struct {
	table *cdn.RouteTable // immutable

	mu     sync.Mutex // guards the following, and lets one encode and the others wait
	packed []byte     // a gzip member of its own; nil: nobody has asked
}

// small is how many rows a table has at most for it not to be worth compressing.
const small = 16

// Small reports whether the piece is not worth compressing.
func (p *Piece) Small() bool {
	return len(p.table.Nodes)+len(p.table.POPs)+len(p.table.Groups)+len(p.table.Links)+len(p.table.Sites) <= small
}

// JSON returns the table as JSON. It is made each time.
func (p *Piece) JSON() ([]byte, error) {
	text, err := json.Marshal(p.table)
	if err != nil {
		return nil, fmt.Errorf("encoding the route table: %w", err)
	}
	return text, nil
}

// Packed returns the table's JSON as a gzip member. It is made once.
func (p *Piece) Packed() ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.packed != nil {
		return p.packed, nil
	}
	text, err := p.JSON()
	if err != nil {
		return nil, err
	}
	p.packed, err = pack(text, gzip.BestSpeed)
	return p.packed, err
}

// pack returns text as a gzip member. Members after each other are one stream (RFC 1952 section 2.2).
func pack(text []byte, level int) ([]byte, error) {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, level)
	if err == nil {
		_, err = w.Write(text)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("compressing the route table: %w", err)
	}
	return b.Bytes(), nil
}

// Around a list of tables.
const (
	opening   = `{"tables":[`
	separator = ","
	closing   = "]}\n"
)

// Answer encodes pieces as a list of tables, to be written by parts.
func Answer(pieces []*Piece, packed bool) (parts [][]byte, err error) {
	part := func(text string) []byte { return []byte(text) }
	encode := (*Piece).JSON
	if packed {
		encode = (*Piece).Packed
		part = func(text string) []byte {
			b, packErr := pack([]byte(text), gzip.StatelessCompression) // a few octets are not worth a window
			if packErr != nil {
				err = packErr
			}
			return b
		}
	}
	parts = append(parts, part(opening))
	for i, p := range pieces {
		text, encodeErr := encode(p)
		if encodeErr != nil {
			return nil, encodeErr
		}
		if i > 0 {
			parts = append(parts, part(separator))
		}
		parts = append(parts, text)
	}
	return append(parts, part(closing)), err
}

// Read reads a list of tables of at most so many octets, and calls the function with each. It ends with the first error, the function's or
// its own.
func Read(r io.Reader, most int64, each func(*cdn.RouteTable) error) error {
	limited := &io.LimitedReader{R: r, N: most}
	d := json.NewDecoder(limited)
	fail := func(err error) error {
		if limited.N <= 0 {
			return cdn.Errorf(cdn.Invalid, "", "reading route tables: they have more than %d octets", most)
		}
		return cdn.Errorf(cdn.Invalid, "", "reading route tables: %w", err)
	}
	for _, want := range []json.Token{json.Delim('{'), "tables", json.Delim('[')} {
		switch got, err := d.Token(); {
		case err != nil:
			return fail(err)
		case got != want:
			return fail(fmt.Errorf("%v where %v should be", got, want))
		}
	}
	for d.More() {
		t := new(cdn.RouteTable)
		if err := d.Decode(t); err != nil {
			return fail(err)
		}
		if err := each(t); err != nil {
			return err
		}
	}
	for range 2 { // the ends of both: what was cut off is not complete
		if _, err := d.Token(); err != nil {
			return fail(err)
		}
	}
	return nil
}
