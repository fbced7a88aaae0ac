package httpcache

import (
	"net/http"
	"strings"
	"time"
)

// NotModified reports whether the response, if it answers req, is to be a 304: the
// visitor has it already (section 4.3.2, RFC 9110 section 13.2.2).
func (r *Response) NotModified(req Request) bool {
	if r.Status != http.StatusOK || (req.Method != http.MethodGet && req.Method != http.MethodHead) {
		return false
	}
	if lines := req.Header["If-None-Match"]; lines != nil {
		return r.matchesAny(lines)
	}
	since := req.Header.Get("If-Modified-Since")
	if since == "" {
		return false
	}
	t, err := http.ParseTime(since)
	if err != nil {
		return false
	}
	modified, err := http.ParseTime(r.Header.Get("Last-Modified"))
	if err != nil {
		modified = r.date() // section 4.3.2: else the Date, else the time of receipt
	}
	return !modified.After(t)
}

// matchesAny compares weakly (RFC 9110 sections 8.8.3.2 and 13.1.2).
func (r *Response) matchesAny(lines []string) bool {
	own := strings.TrimPrefix(r.Header.Get("Etag"), "W/")
	for _, line := range lines {
		for _, tag := range splitList(line) {
			if tag == "*" || own != "" && strings.TrimPrefix(tag, "W/") == own {
				return true
			}
		}
	}
	return false
}

// Validate sets the conditional fields that ask an origin whether the stored
// response still holds (section 4.3.1), and reports whether there were any to set.
func (r *Response) Validate(h http.Header) bool {
	if etag := r.Header.Get("Etag"); etag != "" {
		h.Set("If-None-Match", etag)
	}
	if modified := r.Header.Get("Last-Modified"); modified != "" {
		h.Set("If-Modified-Since", modified)
	}
	return r.hasValidator()
}

// RangeApplies evaluates If-Range (RFC 9110 section 13.1.5): whether the Range of the
// request is about this response. Both kinds of validator must be strong.
func (r *Response) RangeApplies(request http.Header) bool {
	condition := request.Get("If-Range")
	if condition == "" {
		return true
	}
	if strings.HasPrefix(condition, `"`) {
		return condition == r.Header.Get("Etag")
	}
	modified, err := http.ParseTime(r.Header.Get("Last-Modified"))
	if err != nil {
		return false
	}
	wanted, err := http.ParseTime(condition)
	// Section 8.8.2.2 of RFC 9110: a date is strong once it is a second old.
	return err == nil && wanted.Equal(modified) && r.date().Sub(modified) >= time.Second
}

// DropConditions removes what makes a request conditional or partial, for a
// request that is to bring the whole content.
func DropConditions(h http.Header) {
	for _, name := range [...]string{"If-None-Match", "If-Modified-Since", "If-Range", "Range"} {
		h.Del(name)
	}
}
