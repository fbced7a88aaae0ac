package compile

import (
	"fmt"
	"net/textproto"
	"strings"

	"nearcast/cdn"
)

// maxFieldValue bounds the value of a header field, in octets.
const maxFieldValue = 4096

// fieldUse says what a route does with a field.
type fieldUse uint8

const (
	useMatch fieldUse = 1 << iota
	useKey
	useRequest
	useResponse
)

// reserved is the fields that are not a route's business: they are between two ends of a
// connection (RFC 9110 section 7.6.1), frame the message, or are the cache's own work.
var reserved = map[string]fieldUse{ //nolint:gochecknoglobals // a table that nobody changes
	"Connection": 15, "Keep-Alive": 15, "Proxy-Connection": 15, "Te": 15, "Trailer": 15, "Transfer-Encoding": 15, "Upgrade": 15,
	"Proxy-Authenticate": 15, "Proxy-Authentication-Info": 15, "Proxy-Authorization": 15, "Content-Length": 15, "Expect": 15,
	"Via": 15, "Cdn-Loop": 15, "X-Forwarded-For": 15, "X-Forwarded-Proto": 15, "Forwarded": 15,

	"Host":  useKey | useRequest | useResponse, // origin.host and share_domains
	"Range": useKey | useRequest, "If-Range": useKey | useRequest, "If-Match": useKey | useRequest, "If-None-Match": useKey | useRequest,
	"If-Modified-Since": useKey | useRequest, "If-Unmodified-Since": useKey | useRequest,
	"Accept-Encoding": useKey | useRequest, // compress
	"Cookie":          useKey,              // cache_key.cookies
	"Authorization":   useKey,              // such responses are not shared

	"Age": useResponse, "Date": useResponse, "Content-Encoding": useResponse, "Content-Range": useResponse, "Cache-Status": useResponse,
}

func parseMatchField(s string) (string, error)    { return parseField(s, useMatch) }
func parseKeyField(s string) (string, error)      { return parseField(s, useKey) }
func parseRequestField(s string) (string, error)  { return parseField(s, useRequest) }
func parseResponseField(s string) (string, error) { return parseField(s, useResponse) }

// parseField returns the canonical form of a field's name.
func parseField(s string, use fieldUse) (string, error) {
	if !isToken(s) || len(s) > 128 {
		return "", fmt.Errorf("%q is not the name of a header field", clip(s))
	}
	name := textproto.CanonicalMIMEHeaderKey(s)
	if reserved[name]&use == 0 && !strings.HasPrefix(name, "Nearcast-") {
		return name, nil
	}
	instead := ""
	switch name {
	case "Host":
		instead = "; see origin.host and cache_key.share_domains"
	case "Cookie":
		instead = "; see cache_key.cookies"
	case "Accept-Encoding", "Content-Encoding":
		instead = "; see compress"
	}
	return "", fmt.Errorf("field %s is not for routes to change or look at here: the CDN keeps it%s", name, instead)
}

func parseCookieName(s string) (string, error) {
	if !isToken(s) || len(s) > 128 {
		return "", fmt.Errorf("%q is not the name of a cookie", clip(s))
	}
	return s, nil
}

// isToken is the token of RFC 9110 section 5.6.2.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return s != ""
}

func checkASCII(s string) error {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return fmt.Errorf("%q has an octet that is not printable ASCII", clip(s))
		}
	}
	if strings.Trim(s, " ") != s {
		return fmt.Errorf("%q starts or ends with a space, which no field's value does", clip(s))
	}
	return nil
}

// parseFieldValue reads what a field is set to (RFC 9110 section 5.5).
func parseFieldValue(s string) (string, error) {
	if s == "" || len(s) > maxFieldValue {
		return "", fmt.Errorf("the value has %d octets, from 1 to %d are allowed", len(s), maxFieldValue)
	}
	return s, checkASCII(s)
}

// readHeaderRule reads changes of fields, whose names parse decides on.
func readHeaderRule(c cursor, parse func(string) (string, error)) (h cdn.HeaderRule) {
	c.object("a header rule",
		may("add", dict(&h.Add, maxItems, parse, parsed(parseFieldValue))),
		may("set", dict(&h.Set, maxItems, parse, parsed(parseFieldValue))),
		may("delete", some(&h.Delete, maxItems, "field", parse)),
	)
	if c.n.kind == kindMapping && len(c.n.fields) == 0 {
		c.mistake("leave the key out if there is nothing", "has none of add, set and delete")
	}
	set := c.in("set")
	if set.n.kind != kindMapping {
		return h
	}
	for name := range h.Add {
		if _, both := h.Set[name]; both {
			set.mistake("keep one", "field %s is both set and added", name)
		}
	}
	for i, name := range h.Delete {
		_, isSet := h.Set[name]
		_, added := h.Add[name]
		if name != "" && (isSet || added) {
			c.in("delete").at(i).mistake("set takes the place of what there is", "field %s is both deleted and set or added", name)
		}
	}
	return h
}

// checkCORSFields reports fields that cors would overwrite.
func checkCORSFields(c cursor, r *cdn.Route) {
	for _, names := range []map[string]string{r.ResponseHeaders.Add, r.ResponseHeaders.Set} {
		for name := range names {
			if strings.HasPrefix(name, "Access-Control-") {
				c.mistake("keep one", "field %s is for cors to set", name)
			}
		}
	}
}
