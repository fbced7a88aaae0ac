package httpcache

import (
	"net/http"
	"slices"
	"strings"
)

// varyField is a request field that a response was selected by, and its value.
type varyField struct{ name, value string }

// varyOf notes the request's values of the fields that the response's Vary names
// (section 4.1).
func varyOf(response, request http.Header) []varyField {
	var fields []varyField
	for _, line := range response["Vary"] {
		for _, name := range splitList(line) {
			name = http.CanonicalHeaderKey(name)
			fields = append(fields, varyField{name, normalValue(name, request[name])})
		}
	}
	slices.SortFunc(fields, func(a, b varyField) int { return strings.Compare(a.name, b.name) })
	return slices.Compact(fields)
}

// Matches reports whether a request with these fields selects the response
// (section 4.1).
func (r *Response) Matches(request http.Header) bool {
	for _, f := range r.vary {
		if f.name == "*" || normalValue(f.name, request[f.name]) != f.value {
			return false
		}
	}
	return true
}

// normalValue brings the lines of a field into one form in the ways that section
// 4.1 allows: lines combined, white space dropped, and letter case lowered where the
// field's members are case-insensitive. An absent field is told from an empty one.
func normalValue(name string, lines []string) string {
	if lines == nil {
		return "\x00" // no field value has it
	}
	var members []string
	for _, line := range lines {
		members = append(members, splitList(line)...)
	}
	if name == "Accept-Encoding" || name == "Accept-Language" {
		for i, m := range members {
			members[i] = strings.ReplaceAll(strings.ReplaceAll(strings.ToLower(m), " ", ""), "\t", "")
		}
	}
	return strings.Join(members, ",")
}
