package httpcache

import (
	"net/http"
	"slices"
	"strings"
)

// varyField is a request field that a response was selected by.
type varyField struct {
	name  string
	value string // in normal form
	raw   string // as it came; hits mostly send the same again, which needs no normalising
}

// maxVary bounds the fields that a response may vary by: each is looked at on every hit.
const maxVary = 64

// varyOf notes the request's values of the fields that the response's Vary names
// (section 4.1).
func varyOf(response, request http.Header) []varyField {
	var fields []varyField
	for name := range members(response["Vary"]) {
		if len(fields) == maxVary {
			return []varyField{{name: "*"}} // nobody means that
		}
		name = http.CanonicalHeaderKey(name)
		f := varyField{name: name, value: normalValue(name, request[name])}
		if lines := request[name]; len(lines) == 1 {
			f.raw = lines[0]
		}
		fields = append(fields, f)
	}
	slices.SortFunc(fields, func(a, b varyField) int { return strings.Compare(a.name, b.name) })
	return slices.Compact(fields)
}

// Varies reports whether the response has been selected by request fields (section 4.1).
func (r *Response) Varies() bool { return len(r.vary) > 0 }

// variesOnAll reports whether Vary has "*", which matches no request (section 4.1).
func (r *Response) variesOnAll() bool {
	return slices.ContainsFunc(r.vary, func(f varyField) bool { return f.name == "*" })
}

// Matches reports whether a request with these fields selects the response
// (section 4.1).
func (r *Response) Matches(request http.Header) bool {
	ok, _ := r.match(request)
	return ok
}

// match tells a response whose language is just what the request wants from one that was made
// for a request like it.
func (r *Response) match(request http.Header) (ok, exact bool) {
	exact = true
	for _, f := range r.vary {
		lines := request[f.name]
		switch {
		case f.name == "*":
			return false, false
		case len(lines) == 1 && f.raw != "" && lines[0] == f.raw:
		case normalValue(f.name, lines) == f.value:
		case f.name == "Accept-Language" && r.inLanguage(lines):
			exact = false
		default:
			return false, false
		}
	}
	return true, exact
}

// MatchesExactly reports whether a response that varies has been made for a request with just these fields, so that no other
// that is stored suits it better (see [Select]).
func (r *Response) MatchesExactly(request http.Header) bool {
	ok, exact := r.match(request)
	return ok && exact
}

// Selecting returns request fields that select the response: those of the request that it was made for, as far as the response
// varies by them.
func (r *Response) Selecting() http.Header {
	h := make(http.Header, len(r.vary))
	for _, f := range r.vary {
		switch {
		case f.raw != "":
			h[f.name] = []string{f.raw}
		case f.value != absent:
			h[f.name] = []string{f.value}
		}
	}
	return h
}

// Select returns the index of the stored response that answers a request with these fields,
// or -1 (section 4.1). Of several the one made for such a request is preferred to one that
// is only in the right language, then one with Vary to one without, which an origin sends
// by mistake, and then the most recent (section 4).
func Select(stored []*Response, request http.Header) int {
	best, bestRank := -1, 0
	for i, r := range stored {
		ok, exact := r.match(request)
		if !ok {
			continue
		}
		rank := 1
		if len(r.vary) > 0 {
			rank++
		}
		if len(r.vary) > 0 && exact {
			rank++
		}
		if rank > bestRank || rank == bestRank && r.newer(stored[best]) {
			best, bestRank = i, rank
		}
	}
	return best
}

// absent is the normal value of a field that is not there; no field value has it.
const absent = "\x00"

// normalValue brings the lines of a field into one form in the ways that section
// 4.1 allows: lines combined, white space between members dropped, and what the field's
// grammar says is of no meaning made equal. An absent field is told from an empty one.
func normalValue(name string, lines []string) string {
	if lines == nil {
		return absent
	}
	switch name {
	case "Accept", "Accept-Charset", "Accept-Encoding", "Accept-Language":
		return normalPreferences(lines, name != "Accept")
	case "User-Agent", "Cookie", "Authorization", "Referer", "Origin":
		return strings.Join(lines, ", ") // no lists: a comma in them is a character
	}
	return strings.Join(slices.Collect(members(lines)), ",")
}

// normalPreferences is the normal form of a list of preferences with weights (RFC 9110
// section 12.4.2). The order says nothing: sections 12.5.1 to 12.5.4 give precedence to
// weight and to what is more specific, and the last one says of a meaning of the order of
// languages that it cannot be relied upon. Neither does letter case, except in a media
// type's parameters, nor a weight of 1.
func normalPreferences(lines []string, lower bool) string {
	list := slices.Collect(members(lines))
	for i, m := range list {
		list[i] = normalPreference(m, lower)
	}
	slices.Sort(list)
	return strings.Join(slices.Compact(list), ",")
}

func normalPreference(member string, lower bool) string {
	item, rest := cutMember(member, ';')
	var b strings.Builder
	b.WriteString(strings.ToLower(item))
	for rest != "" {
		var parameter string
		parameter, rest = cutMember(rest, ';')
		name, value, _ := strings.Cut(parameter, "=")
		name = strings.ToLower(strings.Trim(name, " \t"))
		if q, ok := parseWeight(value); ok && name == "q" {
			if q == 1000 {
				continue
			}
			value = formatWeight(q)
		} else if lower {
			value = strings.ToLower(value)
		}
		b.WriteString(";" + name + "=" + value)
	}
	return b.String()
}
