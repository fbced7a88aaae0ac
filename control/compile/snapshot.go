package compile

import (
	"fmt"
	"slices"

	"nearcast/cdn"
)

// Snapshot checks what no single file shows: that the fleet and all the sites
// fit together. The error is [Mistakes]; [Locate] adds the places.
func Snapshot(fleet cdn.Fleet, sites []cdn.Site) error {
	var ms Mistakes
	names := make(map[cdn.SiteName]bool, len(sites))
	domains := 0
	for i := range sites {
		domains += len(sites[i].Domains)
	}
	owners := make(map[cdn.Domain]cdn.SiteName, domains)
	zones := newZoneCheck(&fleet)
	for i := range sites {
		s := &sites[i]
		if names[s.Name] {
			ms = append(ms, Mistake{Site: s.Name, Field: "site", Message: fmt.Sprintf("site %s is there twice", s.Name), Hint: "choose another name"})
			continue // its domains would all be reported as taken
		}
		names[s.Name] = true
		for j, d := range s.Domains {
			m := Mistake{Site: s.Name, Field: fmt.Sprintf("domains[%d]", j)}
			if owner, taken := owners[d]; taken && owner != s.Name {
				m.Message, m.Hint = fmt.Sprintf("domain %s already belongs to site %s", d, owner), "a domain belongs to one site"
				ms = append(ms, m)
				continue
			}
			owners[d] = s.Name
			if m.Message, m.Hint = zones.problem(d); m.Message != "" {
				ms = append(ms, m)
			}
		}
	}
	return ms.Err()
}

// Source is a text that was compiled.
type Source struct {
	Name string // of the file, for messages
	Text []byte // YAML
}

// Locate gives the mistakes that name a site and field, but no place, their
// place in the sources, where these have that site. Others stay as they are.
func Locate(ms Mistakes, sources ...Source) Mistakes {
	out := slices.Clone(ms)
	documents := make(map[cdn.SiteName]int) // :: site -> its documents so far
	for _, src := range sources {
		docs, _ := parse(src.Name, src.Text)
		for _, doc := range docs {
			site := siteCursor(&decoder{}, doc).site
			if site == "" {
				continue
			}
			documents[site]++
			out.place(src.Name, doc, site, documents[site] > 1)
		}
	}
	return out
}

// place puts the mistakes of a site into its document. That the site is there
// twice is one mistake of each document after the first.
func (ms Mistakes) place(file string, doc *node, site cdn.SiteName, repeated bool) {
	for i := range ms {
		m := &ms[i]
		if m.Line > 0 || m.Site != site || (m.Field == "site") != repeated {
			continue
		}
		m.File = file
		m.Line, m.Column = doc.locate(m.Field)
		if repeated {
			return
		}
	}
}

// locate walks a path such as "origin.urls[1]" as far as the document has it.
func (n *node) locate(path string) (line, column int) {
	for path != "" {
		var key string
		key, path = step(path)
		next := n.field(key)
		var i int
		if _, err := fmt.Sscanf(key, "[%d]", &i); err == nil && i < len(n.items) {
			next = n.items[i]
		}
		if next == nil {
			break
		}
		n = next
	}
	return n.line, n.column
}

// step splits the first element off a path.
func step(path string) (first, rest string) {
	for i := range len(path) {
		switch {
		case path[i] == '.':
			return path[:i], path[i+1:]
		case path[i] == '[' && i > 0:
			return path[:i], path[i:]
		}
	}
	return path, ""
}
