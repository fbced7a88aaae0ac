package httpcache

import "net/http"

// Request is what matters of a request to a cache.
type Request struct {
	// Method is case-sensitive, such as "GET".
	Method string
	// Header has the request's fields. It is only read.
	Header http.Header
	// Target is the target URI in absolute form. It may be empty, except for what
	// depends on it: storing the answer to a POST.
	Target string
}

// RequestDirectives are the members of a request's Cache-Control field (RFC 9111 section
// 5.2.1, RFC 5861 section 4). They are advice; see [Policy]. A number that is malformed is
// as if it were not there.
type RequestDirectives struct {
	NoCache      bool // section 5.2.1.4, or Pragma: no-cache without Cache-Control (section 5.4)
	NoStore      bool // section 5.2.1.5
	NoTransform  bool // section 5.2.1.6
	OnlyIfCached bool // section 5.2.1.7

	MaxAge       Delta // section 5.2.1.1
	MaxStale     Delta // section 5.2.1.2; without an argument 2^31 seconds
	MinFresh     Delta // section 5.2.1.3
	StaleIfError Delta // RFC 5861 section 4
}

// ParseRequestDirectives parses all Cache-Control lines of a request, and Pragma if there
// is none.
func ParseRequestDirectives(h http.Header) RequestDirectives {
	var d RequestDirectives
	if h["Cache-Control"] == nil {
		d.NoCache = hasMember(h["Pragma"], "no-cache")
		return d
	}
	for m := range members(h["Cache-Control"]) {
		d.set(parseDirective(m))
	}
	return d
}

func (d *RequestDirectives) set(m directive) {
	switch m.name {
	case "no-cache":
		d.NoCache = true
	case "no-store":
		d.NoStore = true
	case "no-transform":
		d.NoTransform = true
	case "only-if-cached":
		d.OnlyIfCached = true
	case "max-age":
		d.MaxAge.advise(m)
	case "min-fresh":
		d.MinFresh.advise(m)
	case "stale-if-error":
		d.StaleIfError.advise(m)
	case "max-stale":
		if !m.hasArg {
			d.MaxStale.tighten(Delta{Present: true, Valid: true, Value: maxDelta})
			return
		}
		d.MaxStale.advise(m)
	}
}

// advise notes a number of a request unless it is malformed.
func (d *Delta) advise(m directive) {
	if delta := m.delta(); delta.Valid {
		d.tighten(delta)
	}
}
