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
	since := req.Header["If-Modified-Since"]
	if len(since) != 1 {
		return false // RFC 9110 section 13.1.3: several are ignored, like one that is no date
	}
	t, err := ParseDate(since[0], r.ResponseTime)
	if err != nil {
		return false
	}
	modified, err := ParseDate(r.Header.Get("Last-Modified"), r.ResponseTime)
	if err != nil {
		modified = r.date // section 4.3.2: else the Date, else the time of receipt
	}
	return !modified.After(t)
}

// matchesAny compares weakly (RFC 9110 sections 8.8.3.2 and 13.1.2). "*" is a condition of its
// own and no member of a list. Tags are compared as they came: an origin that forgets
// the quotes forgets them in both directions.
func (r *Response) matchesAny(lines []string) bool {
	if len(lines) == 1 && strings.Trim(lines[0], " \t") == "*" {
		return true
	}
	own := opaqueTag(r.Header.Get("Etag"))
	for tag := range tags(lines) {
		if own != "" && opaqueTag(tag) == own {
			return true
		}
	}
	return false
}

// opaqueTag takes the mark of weakness, which is case-sensitive, off an entity tag.
func opaqueTag(tag string) string { return strings.TrimPrefix(tag, "W/") }

// isStrongTag reports whether tag is a strong entity tag (RFC 9110 section 8.8.3).
func isStrongTag(tag string) bool {
	return len(tag) >= 2 && tag[0] == '"' && strings.IndexByte(tag[1:], '"') == len(tag)-2
}

// Validate sets the conditional fields that ask an origin whether the stored
// response still holds (section 4.3.1), and reports whether there were any to set.
func (r *Response) Validate(h http.Header) bool {
	if tag := r.Header.Get("Etag"); tag != "" {
		h.Set("If-None-Match", tag)
	}
	if modified := r.Header.Get("Last-Modified"); modified != "" {
		h.Set("If-Modified-Since", modified)
	}
	return r.hasValidator()
}

func (r *Response) hasValidator() bool {
	return r.Header["Etag"] != nil || r.Header["Last-Modified"] != nil
}

// StrongValidator returns the value with which If-Range asks for more of this very version
// (RFC 9110 section 13.1.5): a strong entity tag, or the modification date if that is
// strong and there is no entity tag.
func (r *Response) StrongValidator() (ifRange string, ok bool) {
	if r.Header["Etag"] != nil {
		tag := r.Header.Get("Etag")
		return tag, isStrongTag(tag)
	}
	return r.Header.Get("Last-Modified"), r.strongDate()
}

// strongDate reports whether the modification date tells versions apart: the response must
// have been made a second or more after it (RFC 9110 section 8.8.2.2).
func (r *Response) strongDate() bool {
	modified, err := ParseDate(r.Header.Get("Last-Modified"), r.ResponseTime)
	return err == nil && r.date.Sub(modified) >= time.Second
}

// SameVersion reports whether parts of the two responses may be combined: whether they share
// a strong validator (section 3.4, RFC 9110 section 15.3.7.3).
func SameVersion(a, b *Response) bool {
	va, ok := a.StrongValidator()
	if !ok {
		return false
	}
	vb, ok := b.StrongValidator()
	return ok && va == vb
}

// RangeApplies evaluates If-Range (RFC 9110 section 13.1.5): whether the Range of the
// request is about this response. Both kinds of validator must be strong.
func (r *Response) RangeApplies(request http.Header) bool {
	condition := request.Get("If-Range")
	if condition == "" {
		return true
	}
	if strings.HasPrefix(condition, `"`) {
		return isStrongTag(condition) && condition == r.Header.Get("Etag")
	}
	modified, err := ParseDate(r.Header.Get("Last-Modified"), r.ResponseTime)
	if err != nil {
		return false
	}
	wanted, err := ParseDate(condition, r.ResponseTime)
	return err == nil && wanted.Equal(modified) && r.strongDate()
}

// DropConditions removes what makes a request conditional or partial, for a
// request that is to bring the whole content.
func DropConditions(h http.Header) {
	for _, name := range [...]string{"If-None-Match", "If-Modified-Since", "If-Range", "Range"} {
		h.Del(name)
	}
}
