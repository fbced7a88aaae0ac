package httpcache

import (
	"net/http"
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
}

// Assess says whether a response to req may be stored by a shared cache (section 3)
// and shared with requests that came before it (section 4, "collapsed").
func Assess(now time.Time, req Request, r *Response, p Policy) Storage {
	if reason := r.forbids(p); reason != "" {
		return Storage{Reason: reason}
	}
	if req.Header["Authorization"] != nil && !r.allowsAuthorized() {
		return Storage{Personal: true, Reason: "authorization"} // section 3.5
	}
	fresh := r.Lifetime(p) > r.Age(now)
	switch {
	case r.directives.NoCache && r.hasValidator():
		return Storage{Store: true, Reason: "no-cache"}
	case r.directives.NoCache:
		return Storage{Reason: "no-cache without a validator"}
	case fresh:
		return Storage{Store: true, Share: true}
	case r.hasValidator() || r.directives.StaleWhileRevalidate.Valid || r.directives.StaleIfError.Valid || p.StaleIfError > 0:
		return Storage{Store: true, Reason: "not fresh"}
	}
	return Storage{Reason: "neither fresh nor to be validated"}
}

// forbids names what in a response keeps it out of a shared cache (section 3), or
// returns "".
func (r *Response) forbids(p Policy) string {
	d := &r.directives
	explicit := d.Public || d.MaxAge.Present || d.SMaxAge.Present || r.Header["Expires"] != nil
	switch {
	case r.Status < 200 || r.Status == http.StatusPartialContent || r.Status == http.StatusNotModified:
		return "status" // incomplete responses are not combined here (section 3.3)
	case d.MustUnderstand && !understood(r.Status):
		return "must-understand"
	case d.NoStore && !d.MustUnderstand:
		return "no-store"
	case d.Private:
		return "private"
	case r.Header["Vary"] != nil && hasMember(r.Header["Vary"], "*"):
		return "vary" // section 4.1: it matches no request
	case p.GuardCookies && r.Header["Set-Cookie"] != nil && !d.Public && !d.SMaxAge.Present:
		return "set-cookie"
	case !explicit && !heuristicallyCacheable(r.Status):
		return "status"
	}
	return ""
}

// allowsAuthorized is the permission of section 3.5.
func (r *Response) allowsAuthorized() bool {
	d := &r.directives
	return d.Public || d.SMaxAge.Present || d.MustRevalidate
}

func (r *Response) hasValidator() bool {
	return r.Header["Etag"] != nil || r.Header["Last-Modified"] != nil
}

// understood reports whether the caching requirements of a status code are
// implemented (section 5.2.2.3): those of RFC 9110 section 15.
func understood(status int) bool {
	switch {
	case status >= 200 && status <= 205, status >= 300 && status <= 303, status == 305, status == 307, status == 308,
		status >= 400 && status <= 417, status == 421, status == 422, status == 426, status >= 500 && status <= 505:
		return true
	}
	return false
}
