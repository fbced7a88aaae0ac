package httpcache

import (
	"net/http"

	"github.com/dunglas/httpsfv"
)

// targetField is this cache's target list (RFC 9213 section 2.2): the one field for CDNs.
const targetField = "Cdn-Cache-Control"

// EffectiveDirectives returns the directives that count for this cache: those of
// CDN-Cache-Control, if it is there, valid and not empty, or those of Cache-Control. If
// targeted is true, Cache-Control and Expires must not be looked at (RFC 9213 section 2.2).
func EffectiveDirectives(h http.Header) (d Directives, targeted bool) {
	if lines := h[targetField]; lines != nil {
		if d, ok := parseTargeted(lines); ok {
			return d, true
		}
	}
	return ParseDirectives(h), false
}

// parseTargeted parses a targeted field, which is a Dictionary of RFC 9651: a mistake
// anywhere in it, such as a capital letter in a name, makes the whole of it worthless
// (RFC 9213 section 2.1).
func parseTargeted(lines []string) (Directives, bool) {
	dictionary, err := httpsfv.UnmarshalDictionary(lines)
	if err != nil || len(dictionary.Names()) == 0 {
		return Directives{}, false
	}
	var d Directives
	for _, name := range dictionary.Names() {
		member, _ := dictionary.Get(name)
		if item, ok := member.(httpsfv.Item); ok { // parameters are ignored (section 2.1)
			d.setTargeted(name, item.Value)
		} else {
			d.setTargeted(name, nil)
		}
	}
	return d, true
}

// setTargeted notes a directive if its value is of the type that section 2.1 infers from
// RFC 9111: true, or a String of field names, or an Integer that is not negative. Other
// values are not consumed. A lifetime that is not consumed still is invalid freshness
// information, which makes a response stale (RFC 9111 section 4.2.1), rather than
// leaving it to a guess.
func (d *Directives) setTargeted(name string, value any) {
	if delta := d.delta(name); delta != nil {
		if n, ok := value.(int64); ok && n >= 0 {
			*delta = seconds(n)
		} else {
			*delta = Delta{Present: true}
		}
		return
	}
	switch v := value.(type) {
	case bool:
		if v {
			d.set(directive{name: name})
		}
	case string:
		if name == "no-cache" || name == "private" {
			d.set(directive{name: name, arg: v, hasArg: true})
		}
	}
}
