package model_test

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// number is the argument of a directive.
type number struct {
	set   bool
	valid bool
	n     int64 // seconds
}

// control is what a Cache-Control field says.
type control struct {
	present                                              bool
	noStore, noCache, private, public                    bool
	mustRevalidate, proxyRevalidate, mustUnderstand, imm bool
	maxAge, sMaxAge, swr, sie                            number
	hidesByNoCache, hidesByPrivate                       bool // X-Secret, in the qualified form
}

// message is a response as its maker meant it.
type message struct {
	status       int
	cc, targeted control
	expires      number // seconds from the epoch; not valid is "0"
	date         number // seconds from the epoch
	age          number
	vary         []string // of X-One and X-Two, or "*"
	etag         string
	modified     int64 // Last-Modified in seconds from the epoch, 0 for none
	sent, came   int64 // when it was asked for and when it came
	asked        ask   // by what
}

// ask is a request as its maker meant it.
type ask struct {
	method        string
	fields        [2]string // X-One and X-Two; empty for absent
	authorized    bool
	noCache       bool
	noStore       bool
	onlyIfCached  bool
	maxAge        number
	maxStale      number // n is the greatest there is if it has no argument
	minFresh      number
	sie           number
	ifNoneMatch   string // a list, or empty
	modifiedSince int64  // 0 for none
}

// variedNames are the fields that Vary may name.
var variedNames = [2]string{"X-One", "X-Two"}

// maker makes messages up.
type maker struct{ *rand.Rand }

// one reports true once in n times.
func (m maker) one(n int) bool { return m.IntN(n) == 0 }

func (m maker) number(n, limit int) number {
	if !m.one(n) {
		return number{}
	}
	return number{set: true, valid: !m.one(20), n: m.Int64N(int64(limit))}
}

func (m maker) control(often int) control {
	if !m.one(often) {
		return control{}
	}
	c := control{
		present: true,
		noStore: m.one(12), noCache: m.one(10), private: m.one(12), public: m.one(6),
		mustRevalidate: m.one(6), proxyRevalidate: m.one(10), mustUnderstand: m.one(10), imm: m.one(8),
		maxAge: m.number(2, 120), sMaxAge: m.number(5, 120), swr: m.number(4, 60), sie: m.number(4, 60),
	}
	c.hidesByNoCache, c.hidesByPrivate = !c.noCache && m.one(15), !c.private && m.one(15)
	return c
}

// statuses that occur; 299 and 599 are known to nobody.
var statuses = [...]int{200, 200, 200, 200, 200, 200, 203, 204, 299, 301, 302, 307, 308, 400, 403, 404, 410, 500, 501, 503, 599}

func (m maker) message(now int64, a ask) message {
	r := message{status: statuses[m.IntN(len(statuses))], sent: now, came: now + m.Int64N(3), asked: a}
	r.cc, r.targeted = m.control(1), m.control(8)
	if m.one(5) {
		r.cc = control{}
	}
	for _, n := range []*number{&r.targeted.maxAge, &r.targeted.sMaxAge, &r.targeted.swr, &r.targeted.sie} {
		n.valid = true // what is not well-formed makes the whole field void there
	}
	if m.one(4) {
		r.expires = number{true, !m.one(6), now + m.Int64N(120) - 30}
	}
	if !m.one(8) {
		r.date = number{true, true, now + m.Int64N(12) - 8}
	}
	if m.one(6) {
		r.age = number{true, !m.one(8), m.Int64N(40)}
	}
	r.vary = m.vary()
	if m.one(2) {
		r.etag = m.tag()
	}
	if m.one(3) {
		r.modified = now - m.Int64N(2000)
	}
	return r
}

func (m maker) vary() []string {
	switch m.IntN(10) {
	case 0:
		return []string{"X-One"}
	case 1:
		return []string{"X-Two"}
	case 2:
		return []string{"X-Two", "X-One"}
	case 3:
		return []string{"X-One", "*"}
	default:
		return nil
	}
}

func (m maker) tag() string {
	tag := `"` + strconv.Itoa(m.IntN(4)) + `"`
	if m.one(4) {
		return "W/" + tag
	}
	return tag
}

func (m maker) ask(now int64) ask {
	a := ask{method: http.MethodGet, authorized: m.one(12)}
	switch m.IntN(12) {
	case 0:
		a.method = http.MethodHead
	case 1:
		a.method = http.MethodPost
	}
	for i := range a.fields {
		a.fields[i] = [...]string{"", "", "a", "b", "a, b"}[m.IntN(5)]
	}
	if m.one(4) {
		a.noCache, a.noStore, a.onlyIfCached = m.one(6), m.one(8), m.one(8)
		a.maxAge, a.minFresh, a.sie = m.number(4, 60), m.number(5, 60), m.number(6, 60)
		if a.maxStale = m.number(4, 60); a.maxStale.set && m.one(4) {
			a.maxStale = number{true, true, 1 << 31}
		}
	}
	if m.one(5) {
		a.ifNoneMatch = [...]string{m.tag(), m.tag() + ", " + m.tag(), "*"}[m.IntN(3)]
	}
	if m.one(6) {
		a.modifiedSince = now - m.Int64N(2000)
	}
	return a
}

// writer renders what a message means, in one of the ways that mean the same.
type writer struct {
	maker

	members []string
}

func (w *writer) flag(set bool, name string) {
	if set {
		w.members = append(w.members, name)
	}
}

func (w *writer) number(n number, name string) {
	if !n.set {
		return
	}
	arg := strconv.FormatInt(n.n, 10)
	if !n.valid {
		arg = [...]string{"x", "-5", "1.5", ""}[w.IntN(4)]
	}
	w.members = append(w.members, name+"="+arg)
}

// directives renders a field. A strict one is a dictionary of structured fields (RFC 9213
// section 2.1); in the others case, quotes and space vary.
func (w *writer) directives(c control, strict bool) string {
	w.members = append(w.members[:0], "x-unknown")
	w.flag(c.noStore, "no-store")
	w.flag(c.noCache, "no-cache")
	w.flag(c.private, "private")
	w.flag(c.public, "public")
	w.flag(c.mustRevalidate, "must-revalidate")
	w.flag(c.proxyRevalidate, "proxy-revalidate")
	w.flag(c.mustUnderstand, "must-understand")
	w.flag(c.imm, "immutable")
	w.number(c.maxAge, "max-age")
	w.number(c.sMaxAge, "s-maxage")
	w.number(c.swr, "stale-while-revalidate")
	w.number(c.sie, "stale-if-error")
	w.flag(c.hidesByNoCache, `no-cache="X-Other, x-secret"`)
	w.flag(c.hidesByPrivate, `private="X-Secret"`)
	w.Shuffle(len(w.members), func(i, j int) { w.members[i], w.members[j] = w.members[j], w.members[i] })
	if strict {
		return strings.Join(w.members, ", ")
	}
	for i, s := range w.members {
		name, arg, found := strings.Cut(s, "=")
		switch {
		case found && arg != "" && arg[0] != '"' && w.one(6):
			w.members[i] = name + `="` + arg + `"`
		case w.one(6):
			w.members[i] = strings.ToUpper(name) + strings.TrimPrefix(s, name)
		}
	}
	return strings.Join(w.members, [...]string{", ", ",", " ,\t", ", ,"}[w.IntN(4)])
}

// header renders a message.
func (w *writer) header(r *message) http.Header {
	h := http.Header{"X-Secret": {"s"}, "X-Kept": {"k"}}
	if r.cc.present {
		h["Cache-Control"] = []string{w.directives(r.cc, false)}
	}
	if r.targeted.present {
		h["Cdn-Cache-Control"] = []string{w.directives(r.targeted, true)}
	}
	if r.expires.set {
		h["Expires"] = []string{"0"}
		if r.expires.valid {
			h["Expires"] = []string{httpDate(r.expires.n)}
		}
	}
	if r.date.set {
		h["Date"] = []string{httpDate(r.date.n)}
	}
	if r.age.set {
		h["Age"] = []string{"soon"}
		if r.age.valid {
			h["Age"] = []string{strconv.FormatInt(r.age.n, 10)}
		}
	}
	if len(r.vary) > 0 {
		h["Vary"] = []string{strings.ToLower(strings.Join(r.vary, ","))}
	}
	if r.etag != "" {
		h["Etag"] = []string{r.etag}
	}
	if r.modified != 0 {
		h["Last-Modified"] = []string{httpDate(r.modified)}
	}
	return h
}

// request renders a request.
func (w *writer) request(a *ask) http.Header {
	h := http.Header{}
	for i, v := range a.fields {
		switch {
		case v == "":
		case v == "a, b" && w.one(2):
			h[variedNames[i]] = []string{"a", "b"}
		default:
			h[variedNames[i]] = []string{v}
		}
	}
	if a.authorized {
		h["Authorization"] = []string{"Basic x"}
	}
	w.members = w.members[:0]
	w.flag(a.noCache, "no-cache")
	w.flag(a.noStore, "no-store")
	w.flag(a.onlyIfCached, "only-if-cached")
	w.number(a.maxAge, "max-age")
	w.number(a.minFresh, "min-fresh")
	w.number(a.sie, "stale-if-error")
	if a.maxStale.set && a.maxStale.n == 1<<31 {
		w.flag(true, "max-stale")
	} else {
		w.number(a.maxStale, "max-stale")
	}
	if len(w.members) > 0 {
		h["Cache-Control"] = []string{strings.Join(w.members, ", ")}
	}
	if a.ifNoneMatch != "" {
		h["If-None-Match"] = []string{a.ifNoneMatch}
	}
	if a.modifiedSince != 0 {
		h["If-Modified-Since"] = []string{httpDate(a.modifiedSince)}
	}
	return h
}

// httpDate formats seconds from the epoch (RFC 9110 section 5.6.7).
func httpDate(n int64) string {
	return string(time.Unix(n, 0).UTC().AppendFormat(make([]byte, 0, len(http.TimeFormat)), http.TimeFormat))
}
