package compile

import (
	"fmt"

	"nearcast/cdn"
)

// Snapshot checks what no single file shows: that the fleet and all the sites
// fit together. The error is [Mistakes]; [Locate] adds the places.
func Snapshot(fleet cdn.Fleet, sites []cdn.Site) error {
	var ms Mistakes
	names := make(map[cdn.SiteName]bool, len(sites))
	owners := make(map[cdn.Domain]cdn.SiteName)
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
			if _, inside := d.Within(fleet.Zone); inside && fleet.Zone != "" {
				m.Message, m.Hint = fmt.Sprintf("domain %s is inside the CDN's own zone %s", d, fleet.Zone), "use the name that visitors type"
				ms = append(ms, m)
			}
		}
	}
	return ms.Err()
}

// Locate gives the mistakes that name a site and field, but no place, their
// place in a file, where the file has that site. Others stay as they are.
func Locate(ms Mistakes, file string, src []byte) Mistakes {
	docs, _ := parse(file, src)
	d := &decoder{file: file}
	out := make(Mistakes, len(ms))
	copy(out, ms)
	used := make(map[cdn.SiteName]int)
	for _, doc := range docs {
		c := siteCursor(d, doc)
		if c.site == "" {
			continue
		}
		used[c.site]++
		for i := range out {
			// A repeated name is the mistake of its second document.
			if m := &out[i]; m.Line == 0 && m.Site == c.site && (m.Field != "site" || used[c.site] > 1) {
				m.File = file
				m.Line, m.Column = doc.locate(m.Field)
			}
		}
	}
	return out
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
