package coding

import (
	"slices"
	"strings"
)

// Negotiate returns the coding that a visitor gets of those offered (RFC 9110 section 12.5.3): the
// one with the highest weight, and of several the first offered. accept are the lines of
// Accept-Encoding. A coding wins over identity unless the visitor gives identity more weight.
//
// Without the field the RFC allows any coding; the answer is Identity, since those who do not send it are
// mostly programs that cannot decode. Identity is also the answer if nothing that is offered fits, even if
// the visitor refuses it: the RFC prefers an uncoded answer to none.
func Negotiate(accept []string, offered []Coding) Coding {
	if len(accept) == 0 {
		return Identity
	}
	best, bestWeight := Identity, 0
	for _, c := range offered {
		if weight, _ := weightOf(accept, c); c != Identity && weight > bestWeight {
			best, bestWeight = c, weight
		}
	}
	if plain, _ := weightOf(accept, Identity); plain > bestWeight {
		return Identity
	}
	return best
}

// Acceptable reports whether a visitor may get a body that already has a coding, or none
// (RFC 9110 section 12.5.3). Without the field everything is acceptable. A body with
// several codings is acceptable if each of them is. Unlike in Negotiate c may be any name, in any letter case.
func Acceptable(accept []string, c Coding) bool {
	if len(accept) == 0 {
		return true
	}
	c = canonical(string(c))
	if c == "identity" {
		c = Identity
	}
	weight, listed := weightOf(accept, c)
	return weight > 0 || c == Identity && !listed
}

// Normalise returns an Accept-Encoding for the origin and the cache key: the codings of those
// offered that the visitor accepts, sorted by name, as in "br, gzip". It is "" if there are none, which also
// stands for an absent field. Visitors who can be answered alike thus become one, at the price of their
// order of preference among what they all accept.
func Normalise(accept []string, offered []Coding) string {
	var names []string
	for _, c := range offered {
		if weight, _ := weightOf(accept, c); c != Identity && weight > 0 {
			names = append(names, string(c))
		}
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), ", ")
}
