package httpcache

import (
	"net/http"
	"net/url"
	"time"
)

// Storage says what may be done with a response that has just come.
type Storage struct {
	// Store: it may be kept for later requests.
	Store bool
	// Share: it may also answer the requests that have been waiting for it. A
	// response that must be validated for each request is stored but not shared.
	Share bool
	// Personal: what forbids it lies in this one request, not in the resource, so
	// that the next request may well be answered from the cache.
	Personal bool
	// Reason says why not, for people; empty if Store and Share.
	Reason string
	// Section is the rule behind Reason, such as "RFC 9111 section 3.5"; empty if Reason is
	// of the operator's making.
	Section string
}

// Assess says whether a response to req may be stored by a shared cache (section 3)
// and shared with requests that came before it (section 4, "collapsed"). A 206 never may as
// it is: a cache that combines parts judges its form as a whole (see [Response.Whole]). The
// answer to a POST may be stored for later GETs under the target URI, which req must have.
func Assess(now time.Time, req Request, r *Response, p Policy) Storage {
	if req.Header["Authorization"] != nil {
		p.ForceCache = false
	}
	if section := req.methodForbids(r); section != "" {
		return Storage{Personal: true, Reason: "method", Section: section}
	}
	if reason, section := r.forbids(p); reason != "" {
		return Storage{Reason: reason, Section: section}
	}
	switch {
	case req.Header["Authorization"] != nil && !r.allowsAuthorized():
		return Storage{Personal: true, Reason: "authorization", Section: "RFC 9111 section 3.5"}
	case p.ObeyRequest && ParseRequestDirectives(req.Header).NoStore:
		return Storage{Personal: true, Reason: "request no-store", Section: "RFC 9111 section 5.2.1.5"}
	case r.noCache(p) && r.hasValidator():
		return Storage{Store: true, Reason: "no-cache", Section: "RFC 9111 section 5.2.2.4"}
	case r.noCache(p):
		return Storage{Reason: "no-cache without a validator", Section: "RFC 9111 section 5.2.2.4"}
	case r.Lifetime(p) > r.Age(now):
		return Storage{Store: true, Share: true}
	case r.hasValidator() || r.staleWhileRevalidate(p) > 0 || r.staleIfError(p) > 0:
		return Storage{Store: true, Reason: "not fresh", Section: "RFC 9111 section 4.2"}
	}
	return Storage{Reason: "neither fresh nor to be validated", Section: "RFC 9111 section 3"}
}

// methodForbids returns the rule by which the answer to a request with this method may
// not be stored, or "".
func (req Request) methodForbids(r *Response) (section string) {
	switch req.Method {
	case http.MethodGet, http.MethodHead:
		return ""
	case http.MethodPost:
		if r.representsTarget(req.Target) {
			return ""
		}
		return "RFC 9110 section 9.3.3"
	}
	return "RFC 9111 section 3"
}

// representsTarget reports whether the answer to a POST is a representation of its target
// that may be reused: it must say so, and have a lifetime of its own (RFC 9110 section 9.3.3).
func (r *Response) representsTarget(target string) bool {
	location := r.Header["Content-Location"]
	if r.Status != http.StatusOK || !r.saysLifetime() || target == "" || len(location) != 1 {
		return false
	}
	base, err := url.Parse(target)
	if err != nil || !base.IsAbs() {
		return false
	}
	u, err := base.Parse(location[0])
	return err == nil && location[0] != "" && canonicalURI(u) == canonicalURI(base)
}

// forbids names what in a response keeps it out of a shared cache, and the rule, or
// returns "".
func (r *Response) forbids(p Policy) (reason, section string) {
	d := &r.directives
	switch {
	case r.Status < 200 || r.Status == http.StatusPartialContent || r.Status == http.StatusNotModified,
		r.Status == http.StatusRequestedRangeNotSatisfiable: // it is about one Range, which is in no key
		return "status", "RFC 9111 section 3"
	case neverStored(r.Status):
		return "status", "RFC 6585"
	case d.MustUnderstand && !understood(r.Status):
		return "must-understand", "RFC 9111 section 5.2.2.3"
	case d.NoStore && !d.MustUnderstand && !r.forced(p):
		return "no-store", "RFC 9111 section 5.2.2.5"
	case d.Private && !r.forced(p):
		return "private", "RFC 9111 section 5.2.2.7"
	case r.variesOnAll():
		return "vary", "RFC 9111 section 4.1" // it matches no request
	case p.GuardCookies && r.Header["Set-Cookie"] != nil && !d.Public && !d.SMaxAge.Present:
		return "set-cookie", ""
	case !r.explicitlyCacheable(p) && !heuristicallyCacheable(r.Status):
		return "status", "RFC 9111 section 3"
	}
	return "", ""
}

// explicitlyCacheable reports whether somebody said that the response may be stored whatever
// its status: the origin (section 3, last condition) or the operator.
func (r *Response) explicitlyCacheable(p Policy) bool {
	_, negative := p.negative(r.Status)
	return r.directives.Public || r.saysLifetime() || negative
}

// allowsAuthorized is the permission of section 3.5. A private beside it takes it back.
func (r *Response) allowsAuthorized() bool {
	d := &r.directives
	return (d.Public || d.SMaxAge.Present || d.MustRevalidate) && !d.Private
}

// neverStored lists the status codes that must not be stored whatever the fields say (RFC
// 6585 sections 3 to 6).
func neverStored(status int) bool {
	switch status {
	case http.StatusPreconditionRequired, http.StatusTooManyRequests, http.StatusRequestHeaderFieldsTooLarge,
		http.StatusNetworkAuthenticationRequired:
		return true
	}
	return false
}

// understood reports whether the caching requirements of a status code are
// implemented (section 5.2.2.3): those of RFC 9110 section 15.
func understood(status int) bool {
	switch {
	case status >= 200 && status <= 206, status >= 300 && status <= 303, status == 305, status == 307, status == 308,
		status >= 400 && status <= 417, status == 421, status == 422, status == 426, status >= 500 && status <= 505:
		return true
	}
	return false
}
