package decode

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"

	"nearcast/cdn"
)

// Decoder reads versions. The zero value has read none. It is not safe for concurrent use.
type Decoder struct {
	sites []cdn.Site
	marks []mark // of sites
}

// mark tells the text of a site: octets with the same sum are the same.
type mark struct {
	size int
	sum  [sha256.Size]byte
}

// Snapshot decodes a version: what [json.Unmarshal] makes of it, but that sites may share memory with those of versions decoded before. Nothing of them may be changed.
// data is not kept.
func (d *Decoder) Snapshot(data []byte) (*cdn.Snapshot, error) {
	if snap, next := d.share(data); snap != nil {
		*d = next
		return snap, nil
	}
	// What is wrong with it, if anything is, or else an order that the control plane does not write in.
	*d = Decoder{}
	snap := new(cdn.Snapshot)
	if err := json.Unmarshal(data, snap); err != nil {
		return nil, fmt.Errorf("decoding the configuration: %w", err)
	}
	return snap, nil
}

// share decodes a version, and returns it with the decoder of the next one; nil if it is not as expected.
func (d *Decoder) share(data []byte) (*cdn.Snapshot, Decoder) {
	from := sitesOf(data)
	if from < 0 {
		return nil, Decoder{}
	}
	next, size := d.readSites(data[from:])
	if size < 0 {
		return nil, Decoder{}
	}
	rest := append(append(bytes.Clone(data[:from]), ']'), data[from+size:]...) // without sites
	snap := new(cdn.Snapshot)
	if !onlyOnce(rest) || json.Unmarshal(rest, snap) != nil {
		return nil, Decoder{}
	}
	if len(next.sites) > 0 {
		snap.Sites = next.sites
	}
	return snap, next
}

// sitesOf is where the list of sites begins in a version, behind its bracket; -1 if it is not found.
func sitesOf(data []byte) int {
	at := -1
	members(data, func(name string, in *json.Decoder) bool {
		if name != "sites" {
			return true
		}
		if t, err := in.Token(); err == nil && t == json.Delim('[') {
			at = int(in.InputOffset())
		}
		return false
	})
	return at
}

// onlyOnce reports whether an object has one list of sites, in whatever letter case encoding/json takes for it.
func onlyOnce(object []byte) bool {
	n := 0
	members(object, func(name string, _ *json.Decoder) bool {
		if strings.EqualFold(name, "sites") {
			n++
		}
		return true
	})
	return n == 1
}

// members calls a function for each member of an object, until it returns false; in is before the value then. What is no object has none from there on.
func members(object []byte, each func(name string, in *json.Decoder) bool) {
	in := json.NewDecoder(bytes.NewReader(object))
	if t, err := in.Token(); err != nil || t != json.Delim('{') {
		return
	}
	for in.More() {
		t, err := in.Token()
		name, ok := t.(string)
		var value json.RawMessage
		if err != nil || !ok || !each(name, in) || in.Decode(&value) != nil {
			return
		}
	}
}

// readSites reads the elements of a list of sites, and returns how long they are with the bracket at their end; -1 if that is not what is there. The list
// is in the order of names, as the one before, for the most part.
func (d *Decoder) readSites(data []byte) (next Decoder, size int) {
	at, known := space(data), 0
	if at < len(data) && data[at] == ']' {
		return next, at + 1
	}
	next.sites, next.marks = make([]cdn.Site, 0, len(d.sites)+1), make([]mark, 0, len(d.sites)+1)
	for {
		n := d.readSite(&next, data[at:], &known)
		if n < 0 {
			return next, -1
		}
		at += n + space(data[at+n:])
		if at == len(data) {
			return next, -1
		}
		end := data[at]
		at++
		switch end {
		case ']':
			return next, at
		case ',':
			at += space(data[at:])
		default:
			return next, -1
		}
	}
}

// readSite adds to next the site that data begins with, and returns how long its text is; -1 if there is none. known is the number of the site that comes next, if
// nothing has changed.
func (d *Decoder) readSite(next *Decoder, data []byte, known *int) int {
	if text := d.same(data, *known); text != nil {
		next.add(d.sites[*known], d.marks[*known])
		*known++
		return len(text)
	}
	text := object(data)
	var site cdn.Site
	if text == nil || json.Unmarshal(text, &site) != nil {
		return -1
	}
	for *known < len(d.sites) && d.sites[*known].Name < site.Name { // deleted
		*known++
	}
	m := mark{len(text), sha256.Sum256(text)}
	if *known < len(d.sites) && d.sites[*known].Name == site.Name {
		if d.marks[*known] == m {
			site = d.sites[*known]
		}
		*known++
	}
	next.add(site, m)
	return len(text)
}

func (d *Decoder) add(site cdn.Site, m mark) {
	d.sites, d.marks = append(d.sites, site), append(d.marks, m)
}

// same returns the text of a known site if data begins with it; nil if not.
func (d *Decoder) same(data []byte, known int) []byte {
	if known == len(d.marks) {
		return nil
	}
	m := &d.marks[known]
	if len(data) < m.size || sha256.Sum256(data[:m.size]) != m.sum {
		return nil
	}
	return data[:m.size]
}

// object returns the JSON object that data begins with, if all in it is as it should be; nil if it begins with something else.
func object(data []byte) []byte {
	if len(data) == 0 || data[0] != '{' {
		return nil
	}
	depth := 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return data[:i+1]
			}
		case '"':
			for i++; i < len(data) && data[i] != '"'; i++ {
				if data[i] == '\\' {
					i++
				}
			}
		}
	}
	return nil
}

// space is how much white space data begins with.
func space(data []byte) int { return len(data) - len(bytes.TrimLeft(data, " \t\r\n")) }
