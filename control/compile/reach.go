package compile

import (
	"encoding/json"
	"strings"

	"nearcast/cdn"
)

// checkRegexps bounds what matching one request may cost, by the size of all the regular
// expressions that may have to be run for it.
func checkRegexps(c cursor, routes []cdn.Route) {
	cost := 0
	for i := range routes {
		r := &routes[i]
		exprs := []string{r.Match.PathRegexp}
		if r.Rewrite != nil {
			exprs = append(exprs, r.Rewrite.Regexp)
		}
		if r.Redirect != nil {
			exprs = append(exprs, r.Redirect.Regexp)
		}
		for _, e := range exprs {
			if e != "" {
				cost += cdn.RegexpCost(e)
			}
		}
		if cost > maxRegexpCost {
			c.at(i).mistake("use prefixes and globs where they will do",
				"the regular expressions of the site up to here compile to %d steps, at most %d are allowed", cost, maxRegexpCost)
			return
		}
	}
}

// checkReach reports the routes that an earlier one leaves no request to.
func checkReach(c cursor, routes []cdn.Route) {
	if c.n == nil || c.n.kind != kindSequence || len(c.n.items) != len(routes) {
		return
	}
	same := make(map[string]int, len(routes)) // :: a match -> its first route
	var open []int                            // routes that take every request under their prefix
	for i := range routes {
		if !c.at(i).matchIsRead(&routes[i].Match) {
			continue // a condition that could not be read has been reported, and is not nothing
		}
		for _, j := range open {
			prefix := routes[j].Match.PathPrefix
			switch {
			case prefix == "" || prefix == "/":
				c.at(i).mistake("put the more special route first", "can never match: routes[%d] matches every request", j)
				return
			case startsWith(&routes[i].Match, prefix):
				c.at(i).mistake("put the more special route first", "can never match: routes[%d] matches every path under %s", j, clip(prefix))
			}
		}
		if isOpen(&routes[i].Match) {
			open = append(open, i)
			continue
		}
		text, err := json.Marshal(routes[i].Match)
		if err != nil || len(c.d.mistakes) > 0 {
			continue // what has been read in part may look the same
		}
		if first, dup := same[string(text)]; dup && len(c.d.mistakes) == 0 {
			c.at(i).mistake("make one route of both", "can never match: routes[%d] has the same match", first)
		} else {
			same[string(text)] = i
		}
	}
}

// matchIsRead reports whether every condition that is written is in m.
func (c cursor) matchIsRead(m *cdn.Match) bool {
	if c.n.kind != kindMapping {
		return false
	}
	if !c.has("match") {
		return true
	}
	written := c.in("match").n
	if written.kind != kindMapping {
		return false
	}
	for _, e := range written.fields {
		if !isSet(m, e.key.text) {
			return false
		}
	}
	return true
}

func isSet(m *cdn.Match, key string) bool {
	switch key {
	case "path_prefix":
		return m.PathPrefix != ""
	case "path_glob":
		return m.PathGlob != ""
	case "path_regexp":
		return m.PathRegexp != ""
	case "extensions":
		return len(m.Extensions) > 0
	case "methods":
		return len(m.Methods) > 0
	case "status":
		return len(m.Status) > 0
	case "header":
		return len(m.Header) > 0
	case "cookie":
		return len(m.Cookie) > 0
	case "query":
		return len(m.Query) > 0
	case "country":
		return len(m.Country) > 0
	}
	return false
}

// isOpen reports whether m has no condition but a prefix.
func isOpen(m *cdn.Match) bool {
	return m.PathGlob == "" && m.PathRegexp == "" && len(m.Extensions) == 0 && len(m.Methods) == 0 && len(m.Status) == 0 &&
		len(m.Header) == 0 && len(m.Cookie) == 0 && len(m.Query) == 0 && len(m.Country) == 0
}

// startsWith reports whether every path that m matches starts with the prefix, as far as
// that can be told from prefix and glob.
func startsWith(m *cdn.Match, prefix string) bool {
	literal := m.PathGlob
	if i := strings.IndexAny(literal, "*?"); i >= 0 {
		literal = literal[:i]
	}
	return strings.HasPrefix(m.PathPrefix, prefix) || strings.HasPrefix(literal, prefix)
}
