package coding

import (
	"iter"
	"strings"
)

// fullWeight is a qvalue of 1; weights are counted in thousandths.
const fullWeight = 1000

// wish is a member of an Accept-Encoding field (RFC 9110 section 12.5.3).
type wish struct {
	name   string // of a coding, "identity" or "*"; letter case as sent
	weight int    // 0 (never) to fullWeight
}

// wishes goes through the members of the field's lines. What does not follow the grammar is left out:
// a member that cannot be read says nothing about the others.
func wishes(lines []string) iter.Seq[wish] {
	return func(yield func(wish) bool) {
		for _, line := range lines {
			for more := true; more; {
				var member string
				member, line, more = strings.Cut(line, ",")
				if w, ok := parseWish(member); ok && !yield(w) {
					return
				}
			}
		}
	}
}

// parseWish reads: ( content-coding / "identity" / "*" ) [ OWS ";" OWS "q=" qvalue ].
func parseWish(member string) (wish, bool) {
	name, parameter, weighted := strings.Cut(member, ";")
	w := wish{name: trim(name), weight: fullWeight}
	if !isToken(w.name) {
		return wish{}, false
	}
	if !weighted {
		return w, true
	}
	parameter = trim(parameter)
	if len(parameter) < 2 || parameter[0]|0x20 != 'q' || parameter[1] != '=' {
		return wish{}, false
	}
	var ok bool
	w.weight, ok = parseQ(parameter[2:])
	return w, ok
}

// parseQ reads a qvalue: "0" or "1" with at most three decimals (RFC 9110 section 12.4.2).
func parseQ(s string) (int, bool) {
	if s == "" || len(s) > len("0.000") || s[0] != '0' && s[0] != '1' || len(s) > 1 && s[1] != '.' {
		return 0, false
	}
	q, unit := int(s[0]-'0')*fullWeight, fullWeight
	for i := 2; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		unit /= 10
		q += int(s[i]-'0') * unit
	}
	return q, q <= fullWeight
}

// weightOf returns the weight of a coding and whether the field says anything of it, by its name or by "*".
// Of several weights for one name the lowest counts: the RFC does not say, and so the order
// of members never matters, which caches may normalise.
func weightOf(accept []string, c Coding) (weight int, listed bool) {
	if c == Identity {
		c = "identity"
	}
	own, star := fullWeight+1, fullWeight+1
	for w := range wishes(accept) {
		switch {
		case w.name == "*":
			star = min(star, w.weight)
		case canonical(w.name) == c:
			own = min(own, w.weight)
		}
	}
	switch {
	case own <= fullWeight:
		return own, true
	case star <= fullWeight:
		return star, true
	}
	return 0, false
}

// trim takes optional white space off (RFC 9110 section 5.6.3).
func trim(s string) string { return strings.Trim(s, " \t") }

// isToken reports whether s is a token (RFC 9110 section 5.6.2).
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}
