package httpcache

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxDelta is what a number of seconds too large to hold means: RFC 9111 section
// 1.2.2 asks for 2^31 or the largest that can be held.
const maxDelta = (1 << 31) * time.Second

// Delta is a directive's argument in seconds.
type Delta struct {
	Present bool          // the directive was there
	Valid   bool          // its argument was a number; false also if it had none
	Value   time.Duration // the argument, zero unless Valid
}

// tighten notes another occurrence of the directive. Section 4.2.1 lets a cache use the
// first one or take the response for stale, and wants the most restrictive of conflicting
// directives honoured. The smallest is within all three: until it has passed the first
// would say fresh as well, and after that the response is taken for stale.
func (d *Delta) tighten(other Delta) {
	switch {
	case !d.Present:
		*d = other
	case !d.Valid || !other.Valid:
		*d = Delta{Present: true}
	default:
		d.Value = min(d.Value, other.Value)
	}
}

// Directives are the members of a response's Cache-Control field (RFC 9111 section
// 5.2.2, RFC 5861, RFC 8246) or of a field in its place (RFC 9213). Unknown ones are
// ignored (section 5.2.3).
type Directives struct {
	NoStore         bool // section 5.2.2.5
	NoCache         bool // section 5.2.2.4, without a list of fields
	NoTransform     bool // section 5.2.2.6
	Private         bool // section 5.2.2.7, without a list of fields
	Public          bool // section 5.2.2.9
	MustRevalidate  bool // section 5.2.2.2
	ProxyRevalidate bool // section 5.2.2.8
	MustUnderstand  bool // section 5.2.2.3
	Immutable       bool // RFC 8246 section 2

	MaxAge               Delta // section 5.2.2.1
	SMaxAge              Delta // section 5.2.2.10
	StaleWhileRevalidate Delta // RFC 5861 section 3
	StaleIfError         Delta // RFC 5861 section 4

	// Withheld are the canonical names of the fields listed in no-cache="..." and
	// private="...": they must not be reused from a shared cache as they are.
	Withheld []string
}

// ParseDirectives parses all Cache-Control lines of a response. It accepts
// everything, and takes what is malformed in the most careful way: a restriction holds
// whatever is wrong with it, a permission does not, and a malformed number is kept as
// present but not valid, which makes a response stale (section 4.2.1). Numbers may be
// quoted (section 5.2: recipients ought to accept both forms). Space around "=" is
// malformed. Of a number given several times the smallest counts.
func ParseDirectives(h http.Header) Directives {
	var d Directives
	for m := range members(h["Cache-Control"]) {
		d.set(parseDirective(m))
	}
	return d
}

// directive is one member of a Cache-Control field.
type directive struct {
	name      string // in lower case, without white space
	arg       string // without quotes
	hasArg    bool
	malformed bool // there is white space around "=" or something that is no argument after it
}

// parseDirective parses token [ "=" ( token / quoted-string ) ] (section 5.2).
func parseDirective(member string) directive {
	name, arg, hasArg := strings.Cut(member, "=")
	d := directive{name: strings.ToLower(strings.TrimRight(name, " \t")), hasArg: hasArg}
	value, quoted := unquote(arg)
	d.arg = value
	d.malformed = len(d.name) != len(name) || hasArg && !quoted && !isToken(arg)
	return d
}

func (d *Directives) set(m directive) {
	switch m.name {
	case "no-store":
		d.NoStore = true
	case "no-cache":
		d.withhold(&d.NoCache, m.arg, m.hasArg)
	case "no-transform":
		d.NoTransform = true
	case "private":
		d.withhold(&d.Private, m.arg, m.hasArg)
	case "public":
		d.Public = d.Public || !m.hasArg
	case "must-revalidate":
		d.MustRevalidate = true
	case "proxy-revalidate":
		d.ProxyRevalidate = true
	case "must-understand": // it lifts no-store, so that it is a permission too
		d.MustUnderstand = d.MustUnderstand || !m.hasArg
	case "immutable":
		d.Immutable = true // RFC 8246 section 2: arguments are ignored
	default:
		if delta := d.delta(m.name); delta != nil {
			delta.tighten(m.delta())
		}
	}
}

// delta returns the number that a directive sets, or nil for an unknown one.
func (d *Directives) delta(name string) *Delta {
	switch name {
	case "max-age":
		return &d.MaxAge
	case "s-maxage":
		return &d.SMaxAge
	case "stale-while-revalidate":
		return &d.StaleWhileRevalidate
	case "stale-if-error":
		return &d.StaleIfError
	}
	return nil
}

// withhold notes a directive that is either for the whole message or for the
// fields of its argument. A list that is empty or not of names is taken for the whole message.
func (d *Directives) withhold(whole *bool, arg string, hasArg bool) {
	fields := splitList(arg)
	if !hasArg || len(fields) == 0 {
		*whole = true
		return
	}
	for _, f := range fields {
		if !isToken(f) {
			*whole = true
			return
		}
		d.Withheld = append(d.Withheld, http.CanonicalHeaderKey(f))
	}
}

func (m directive) delta() Delta {
	if m.malformed {
		return Delta{Present: true}
	}
	return parseDelta(m.arg)
}

// parseDelta parses delta-seconds (section 1.2.2).
func parseDelta(s string) Delta {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return Delta{Present: true}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return seconds(int64(maxDelta / time.Second))
	}
	return seconds(n)
}

// seconds makes a valid Delta of a number that is not negative.
func seconds(n int64) Delta {
	n = min(n, int64(maxDelta/time.Second))
	return Delta{Present: true, Valid: true, Value: time.Duration(n) * time.Second}
}
