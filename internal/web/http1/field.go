package http1

import (
	"bytes"

	"nearcast/internal/web/grammar"
)

// parseField splits a field line, without its CR LF, into name and value, the latter without
// the white space around it (RFC 9112 section 5).
func parseField(line []byte) (name, value []byte, why *refusal) {
	if line[0] == ' ' || line[0] == '\t' {
		return nil, nil, malformed("obs-fold", "a field line begins with white space; folded lines are not allowed")
	}
	name, value, found := bytes.Cut(line, []byte{':'})
	if !found {
		return nil, nil, malformed("no-colon", "a field line has no colon")
	}
	if !grammar.IsToken(name) {
		return nil, nil, badName(name)
	}
	value = trimSpace(value)
	for _, c := range value {
		if !grammar.IsFieldOctet(c) {
			return nil, nil, malformed("field-value", "the value of field "+string(name)+" has a control character")
		}
	}
	return name, value, nil
}

func badName(name []byte) *refusal {
	if n := len(name); n > 0 && (name[n-1] == ' ' || name[n-1] == '\t') {
		return malformed("space-before-colon", "a field name is followed by white space; the colon must follow at once")
	}
	return malformed("field-name", "a field name is empty or has a character that is not allowed in names")
}

// trimSpace takes off optional white space (RFC 9110 section 5.6.3), which is SP and HTAB and
// nothing else that Unicode calls space.
func trimSpace(p []byte) []byte { return bytes.Trim(p, " \t") }
