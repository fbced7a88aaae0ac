package compile

import (
	"fmt"
	"strconv"
	"strings"

	"nearcast/cdn"
)

// maxMistakes bounds the list; past it only the last line says that there is more.
const maxMistakes = 1000

// decoder collects the mistakes of one file.
type decoder struct {
	file     string
	mistakes Mistakes
}

func (d *decoder) add(m Mistake) {
	switch n := len(d.mistakes); {
	case n < maxMistakes:
		d.mistakes = append(d.mistakes, m)
	case n == maxMistakes:
		m.Field, m.Message, m.Hint = "", "there are more mistakes than can be listed", ""
		d.mistakes = append(d.mistakes, m)
	}
}

// cursor is a place in a document: a node, and the path that leads to it.
type cursor struct {
	d    *decoder
	site cdn.SiteName
	n    *node // nil if the field is missing
	path string
}

// field is one key of a mapping: how it is called and what reads it. A schema is
// a list of these.
type field struct {
	name     string
	required bool
	read     func(cursor)
}

func need(name string, read func(cursor)) field { return field{name, true, read} }
func may(name string, read func(cursor)) field  { return field{name, false, read} }

// mistake reports that the value here is wrong.
func (c cursor) mistake(hint, format string, args ...any) {
	m := Mistake{File: c.d.file, Site: c.site, Field: c.path, Message: fmt.Sprintf(format, args...), Hint: hint}
	if c.n != nil {
		m.Line, m.Column = c.n.line, c.n.column
	}
	c.d.add(m)
}

// in returns the cursor of a key below c; if it is missing, a cursor that
// reports at c's own place.
func (c cursor) in(name string) cursor {
	child := c
	child.path = join(c.path, name)
	if c.n != nil {
		if v := c.n.field(name); v != nil {
			child.n = v
		}
	}
	return child
}

// at returns the cursor of the i-th item of a list.
func (c cursor) at(i int) cursor {
	child := c
	child.path = c.path + "[" + strconv.Itoa(i) + "]"
	if c.n != nil && i < len(c.n.items) {
		child.n = c.n.items[i]
	}
	return child
}

// follow returns the cursor of a path below c, such as "match.sites[1]".
func (c cursor) follow(path string) cursor {
	for path != "" {
		var key string
		key, path = step(strings.TrimPrefix(path, "."))
		if i, err := strconv.Atoi(strings.Trim(key, "[]")); err == nil && strings.HasPrefix(key, "[") {
			c = c.at(i)
		} else {
			c = c.in(key)
		}
	}
	return c
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// has reports whether the mapping here has the key.
func (c cursor) has(name string) bool { return c.n != nil && c.n.field(name) != nil }

// object reads the mapping here by a schema. what names it in messages.
func (c cursor) object(what string, schema ...field) {
	if !c.want(kindMapping, what) {
		return
	}
	seen := make(map[string]*node, len(c.n.fields))
	for _, e := range c.n.fields {
		here := cursor{c.d, c.site, e.key, join(c.path, clip(e.key.text))}
		if first, dup := seen[e.key.text]; dup {
			here.mistake("keep one", "is already set in line %d", first.line)
			continue
		}
		seen[e.key.text] = e.key
		f := find(schema, e.key.text)
		if f == nil {
			here.mistake(suggest(e.key.text, schema), "%s has no such key", what)
			continue
		}
		f.read(cursor{c.d, c.site, e.value, join(c.path, f.name)})
	}
	for _, f := range schema {
		if _, ok := seen[f.name]; f.required && !ok {
			c.mistake("", "%s needs the key %q", what, f.name)
		}
	}
}

func find(schema []field, name string) *field {
	for i := range schema {
		if schema[i].name == name {
			return &schema[i]
		}
	}
	return nil
}

// want reports whether the node here is of the kind; if not, that is a mistake.
func (c cursor) want(k kind, what string) bool {
	if c.n.kind == k {
		return true
	}
	hint := ""
	switch {
	case k == kindSequence && c.n.kind == kindScalar:
		hint = "write [" + clip(c.n.text) + "]"
	case k == kindScalar && c.n.kind == kindMapping:
		hint = "if it is a text with a colon, such as a URL with a port between braces, put it into quotes"
	}
	c.mistake(hint, "%s must be %s, not %s", what, k, c.n.kind)
	return false
}

// list reads a sequence of at most limit items.
func list[T any](dst *[]T, limit int, item func(*T) func(cursor)) func(cursor) {
	return func(c cursor) {
		if !c.want(kindSequence, "the value") {
			return
		}
		if n := len(c.n.items); n > limit {
			c.mistake("", "has %d items, at most %d are allowed", n, limit)
			return
		}
		out := make([]T, len(c.n.items))
		for i := range out {
			item(&out[i])(c.at(i))
		}
		*dst = out
	}
}

// parsed reads a scalar with a parser whose errors name the value, as those of
// package cdn do.
func parsed[T any](parse func(string) (T, error)) func(*T) func(cursor) {
	return func(dst *T) func(cursor) {
		return func(c cursor) {
			if !c.want(kindScalar, "the value") {
				return
			}
			v, err := parse(c.n.text)
			if err != nil {
				c.mistake("", "%s", err)
				return
			}
			*dst = v
		}
	}
}

// word reads a scalar that must be one of a few.
func word[T ~string](dst *T, allowed ...T) func(cursor) {
	return parsed(func(s string) (T, error) {
		names := make([]string, len(allowed))
		for i, a := range allowed {
			if names[i] = string(a); names[i] == s {
				return a, nil
			}
		}
		return "", fmt.Errorf("%q is not one of %s", clip(s), strings.Join(names, ", "))
	})(dst)
}

// text reads printable text of at most limit octets. Control characters are
// refused: every text ends up in a log, a header field or a label.
func text(dst *string, limit int) func(cursor) {
	return parsed(func(s string) (string, error) { return s, checkText(s, limit) })(dst)
}

func checkText(s string, limit int) error {
	if s == "" {
		return fmt.Errorf("is empty; leave the key out instead")
	}
	if len(s) > limit {
		return fmt.Errorf("has %d octets, at most %d are allowed", len(s), limit)
	}
	for _, r := range s {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == '\u2028' || r == '\u2029' || r == '\ufeff' || r == '\ufffd' {
			return fmt.Errorf("%q has the control character %U", clip(s), r)
		}
	}
	return nil
}

func flag(dst *bool) func(cursor) {
	return parsed(func(s string) (bool, error) {
		switch s {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
		return false, fmt.Errorf("%q is not true or false", clip(s))
	})(dst)
}

// whole reads a whole number between two bounds.
func whole[T ~int | ~uint16](dst *T, lowest, highest int) func(cursor) {
	return parsed(func(s string) (T, error) {
		n, err := strconv.Atoi(s)
		if err != nil || n < lowest || n > highest {
			return 0, fmt.Errorf("%q is not a whole number from %d to %d", clip(s), lowest, highest)
		}
		return T(n), nil
	})(dst)
}

// number reads a decimal number of some unit between two bounds.
func number(dst *float64, unit string, lowest, highest float64) func(cursor) {
	return parsed(func(s string) (float64, error) {
		x, err := strconv.ParseFloat(s, 64)
		if err != nil || !(x >= lowest && x <= highest) { // the form that also refuses NaN
			return 0, fmt.Errorf("%q is not a number of %s from %g to %g", clip(s), unit, lowest, highest)
		}
		return x, nil
	})(dst)
}

// clip shortens s for a message.
func clip(s string) string {
	if len(s) <= 80 {
		return s
	}
	return strings.ToValidUTF8(s[:80], "") + "..."
}
