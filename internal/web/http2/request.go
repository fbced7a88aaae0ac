package http2

import (
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"

	"nearcast/internal/web/grammar"
	"nearcast/internal/web/lane"
)

// check refuses a head for what depends on several of its fields. It leaves the host in b.authority.
func (b *block) check(lim *Limits, overTLS bool) *refusal {
	if b.why != nil {
		return b.why
	}
	if !grammar.IsToken(b.method) {
		return malformed("method")
	}
	if b.method == http.MethodConnect {
		return malformed("connect") // tunnels are not served here
	}
	if b.pseudo&(hasMethod|hasScheme|hasPath) != hasMethod|hasScheme|hasPath {
		return malformed("pseudo-missing")
	}
	if b.scheme != scheme(overTLS) {
		return malformed("scheme")
	}
	if why := b.checkPath(lim); why != nil {
		return why
	}
	return b.checkHost()
}

func scheme(overTLS bool) string {
	if overTLS {
		return "https"
	}
	return "http"
}

// checkPath checks :path, which is what an HTTP/1 target in origin form is (RFC 9113 section 8.3.1).
func (b *block) checkPath(lim *Limits) *refusal {
	if len(b.path) > lim.Target {
		return &refusal{http.StatusRequestURITooLong, "target-too-long"}
	}
	for i := range len(b.path) {
		if !grammar.IsTargetOctet(b.path[i]) {
			return malformed("target")
		}
	}
	if !escapesValid(b.path) {
		return malformed("target")
	}
	switch {
	case b.path == "*" && b.method == http.MethodOptions:
	case b.path == "" || b.path[0] != '/':
		return malformed("target")
	}
	return nil
}

// escapesValid reports whether each % in a path has two digits. A query may say what it likes, as with net/url.
func escapesValid(path string) bool {
	path, _, _ = strings.Cut(path, "?")
	for {
		_, after, found := strings.Cut(path, "%")
		if !found {
			return true
		}
		if len(after) < 2 || !grammar.IsHex(after[0]) || !grammar.IsHex(after[1]) {
			return false
		}
		path = after[2:]
	}
}

// checkHost takes the host from :authority or Host. Both must say the same: whoever is behind this may
// look at either (RFC 9113 section 8.3.1).
func (b *block) checkHost() *refusal {
	switch {
	case b.host > 1:
		return malformed("host-repeated")
	case b.pseudo&hasAuthority == 0 && b.host == 0:
		return malformed("no-host")
	case b.pseudo&hasAuthority == 0:
		b.authority = b.hostIs
	case b.host == 1 && !grammar.SameHost(b.scheme, b.hostIs, b.authority):
		return malformed("authority-host")
	}
	if !grammar.ValidHost(b.authority) {
		return malformed("host")
	}
	return nil
}

// joinCookies makes one field of the crumbs that a client may cut its cookies into (RFC 9113 section 8.2.3).
func (b *block) joinCookies() {
	if b.cookies < 2 {
		return
	}
	isCookie := func(f lane.Field) bool { return f.Name == "cookie" }
	var all []string
	for _, f := range b.fields {
		if isCookie(f) {
			all = append(all, f.Value)
		}
	}
	first := slices.IndexFunc(b.fields, isCookie)
	b.fields[first].Value = strings.Join(all, "; ")
	rest := slices.DeleteFunc(b.fields[first+1:], isCookie)
	b.fields = b.fields[:first+1+len(rest)]
	b.cookies = 1
}

// request makes a request of a head that has been checked. It has no body and no context yet.
func (b *block) request(ended bool) (r *http.Request, expects bool, why *refusal) {
	u, err := url.ParseRequestURI(b.path)
	if err != nil {
		return nil, false, malformed("target")
	}
	r = &http.Request{
		Method: b.method, URL: u, Proto: "HTTP/2.0", ProtoMajor: 2,
		Header: makeHeader(b.fields), Host: b.authority, RequestURI: b.path,
	}
	if why := setLength(r, ended); why != nil {
		return nil, false, why
	}
	if expects, why = expectation(r, ended); why != nil {
		return nil, false, why
	}
	setTrailer(r, ended)
	return r, expects, nil
}

// makeHeader copies the fields into canonical form.
func makeHeader(fields []lane.Field) http.Header {
	header := make(http.Header, len(fields))
	values := make([]string, len(fields))
	for i, f := range fields {
		name := textproto.CanonicalMIMEHeaderKey(f.Name)
		values[i] = f.Value
		if old, ok := header[name]; ok {
			header[name] = append(old, f.Value)
			continue
		}
		header[name] = values[i : i+1 : i+1]
	}
	return header
}

// setLength takes the length of the content, which DATA frames must agree with (RFC 9113 section 8.1.1).
func setLength(r *http.Request, ended bool) *refusal {
	lengths := r.Header["Content-Length"]
	switch {
	case len(lengths) > 1:
		return malformed("cl-repeated")
	case len(lengths) == 1:
		n, ok := grammar.ParseLength(lengths[0])
		if !ok {
			return malformed("cl")
		}
		if ended && n != 0 {
			return malformed("cl-mismatch")
		}
		r.ContentLength = n
	case !ended:
		r.ContentLength = grammar.NoLength
	}
	return nil
}

// expectation knows one only (RFC 9110 section 10.1.1), which means nothing without content.
func expectation(r *http.Request, ended bool) (expects bool, why *refusal) {
	values := r.Header["Expect"]
	if len(values) == 0 {
		return false, nil
	}
	if len(values) > 1 || !strings.EqualFold(values[0], "100-continue") {
		return false, &refusal{http.StatusExpectationFailed, "expect"}
	}
	return !ended, nil
}

// setTrailer gives r the names of the trailers that are announced, as net/http does. Others may come as well.
func setTrailer(r *http.Request, ended bool) {
	announced := r.Header["Trailer"]
	delete(r.Header, "Trailer")
	if ended {
		return
	}
	r.Trailer = make(http.Header)
	for name := range grammar.TrailerNames(announced) {
		r.Trailer[name] = nil
	}
}
