package cdn

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// Target is what a request is for, in the one normal form that routing, cache
// key, log and origin request share.
//
// The path and query are normalised as RFC 3986 section 6.2.2 says: percent-encoded
// octets of the unreserved set are decoded, the others get upper-case
// digits, dot segments are removed. An empty path is "/". Octets that browsers
// send but no URL may contain, such as "|", are percent-encoded. Nothing else
// changes: "//", letter case, ";" and the order of a query are the site's business.
type Target struct {
	Scheme string `json:"scheme"` // "http" or "https"
	Domain Domain `json:"domain"`
	Path   string `json:"path"`            // starts with "/"
	Query  string `json:"query,omitempty"` // without its "?"
	// HasQuery tells "/a?" from "/a", which are different URLs.
	HasQuery bool `json:"has_query,omitempty"`
}

// MaxTarget is how long path and query may be together, in octets.
const MaxTarget = 16 << 10

// ParseTarget parses an absolute http or https URL, as people write it for a
// purge. A port is allowed and dropped: the cache key has none. A fragment or
// user information is refused.
func ParseTarget(raw string) (Target, error) {
	scheme, rest, ok := strings.Cut(raw, "://")
	scheme = asciiLower(scheme)
	if !ok || (scheme != "http" && scheme != "https") {
		return Target{}, Errorf(Invalid, "", `URL %q: want "http://" or "https://" in front`, clip(raw))
	}
	authority, tail := rest, ""
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority, tail = rest[:i], rest[i:]
	}
	domain, err := ParseHost(authority)
	if err != nil {
		return Target{}, Errorf(Invalid, "", "URL %q: %w", clip(raw), err)
	}
	t, err := NewTarget(scheme, domain, tail)
	if err != nil {
		return Target{}, Errorf(Invalid, "", "URL %q: %w", clip(raw), err)
	}
	return t, nil
}

// ParseHost parses a Host field (RFC 9110 section 7.2): a host name or an IP
// literal and an optional port, which is dropped. An IP literal comes back in its
// canonical text, IPv6 in brackets; no site has such a domain, so that it only
// ever matches an edge without sites.
func ParseHost(host string) (Domain, error) {
	name, port := host, ""
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		name, port = host[:i], host[i+1:]
	}
	if !allDigits(port) {
		return "", Errorf(Invalid, "", "host %q: %q is not a port", clip(host), clip(port))
	}
	literal, bracketed := strings.CutPrefix(name, "[")
	literal, closed := strings.CutSuffix(literal, "]")
	if ip, err := netip.ParseAddr(literal); err == nil && ip.Zone() == "" && bracketed == closed && bracketed == ip.Is6() {
		if bracketed {
			return Domain("[" + ip.String() + "]"), nil
		}
		return Domain(ip.String()), nil
	}
	return ParseDomain(name)
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return len(s) <= 5
}

// NewTarget normalises the path and query of an origin-form request target
// (RFC 9112 section 3.2.1), such as "/a/%7eb?x=1".
func NewTarget(scheme string, domain Domain, pathAndQuery string) (Target, error) {
	if err := checkLength(len(pathAndQuery)); err != nil {
		return Target{}, err
	}
	path, query, hasQuery := strings.Cut(pathAndQuery, "?")
	if path == "" {
		path = "/"
	}
	if path[0] != '/' {
		return Target{}, Errorf(Invalid, "", `path %q does not start with "/"`, clip(path))
	}
	path, err := normaliseEscapes(path)
	if err != nil {
		return Target{}, err
	}
	if query, err = normaliseEscapes(query); err != nil {
		return Target{}, err
	}
	t := Target{Scheme: scheme, Domain: domain, Path: removeDotSegments(path), Query: query, HasQuery: hasQuery}
	if err := checkLength(len(t.RequestURI())); err != nil { // encoding made it longer
		return Target{}, err
	}
	return t, nil
}

func checkLength(n int) error {
	if n > MaxTarget {
		return Errorf(Invalid, "", "path and query have %d octets, at most %d are allowed", n, MaxTarget)
	}
	return nil
}

// RequestURI returns path and query, the origin-form request target.
func (t Target) RequestURI() string {
	if t.HasQuery {
		return t.Path + "?" + t.Query
	}
	return t.Path
}

// String returns the absolute URL.
func (t Target) String() string { return t.Scheme + "://" + string(t.Domain) + t.RequestURI() }

// URL returns t as a [url.URL] whose wire form is exactly [Target.RequestURI].
func (t Target) URL() *url.URL {
	u := &url.URL{Scheme: t.Scheme, Host: string(t.Domain), RawQuery: t.Query, ForceQuery: t.HasQuery && t.Query == ""}
	path, err := url.PathUnescape(t.Path)
	if err != nil { // cannot be: normaliseEscapes checked every escape
		path = t.Path
	}
	u.Path, u.RawPath = path, t.Path
	return u
}

// CacheKey identifies what is stored: site and target, "shop http://www.shop.example/a?b".
// A site's name has no space, so two different pairs never share a key.
type CacheKey string

// Key returns the cache key of a target within a site.
func (t Target) Key(site SiteName) CacheKey { return CacheKey(string(site) + " " + t.String()) }

// normaliseEscapes decodes %xx of unreserved characters and raises the case of
// the other escapes (RFC 3986 sections 6.2.2.1 and 6.2.2.2). Control octets,
// spaces, "#" and octets beyond ASCII must have been escaped by the client; for
// the rest of what a URL cannot contain it is done here, see [isStray].
func normaliseEscapes(s string) (string, error) {
	clean := true
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '#' {
			return "", Errorf(Invalid, "", "octet %#02x in %q must be percent-encoded", c, clip(s))
		} else if c == '%' || isStray(c) {
			clean = false
		}
	}
	if clean {
		return s, nil
	}
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		if isStray(s[i]) {
			fmt.Fprintf(&b, "%%%02X", s[i])
			continue
		}
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		if i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2]) {
			return "", Errorf(Invalid, "", `"%%" in %q is not followed by two hexadecimal digits`, clip(s))
		}
		if c := unhex(s[i+1])<<4 | unhex(s[i+2]); isUnreserved(c) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
		i += 2
	}
	return b.String(), nil
}

// removeDotSegments implements RFC 3986 section 5.2.4 for a path that starts with "/".
func removeDotSegments(path string) string {
	if !strings.Contains(path, "/.") {
		return path
	}
	segments := strings.Split(path[1:], "/")
	out := make([]string, 0, len(segments))
	for i, seg := range segments {
		last := i == len(segments)-1
		switch seg {
		case ".", "..":
			if seg == ".." && len(out) > 0 {
				out = out[:len(out)-1]
			}
			if last {
				out = append(out, "")
			}
		default:
			out = append(out, seg)
		}
	}
	return "/" + strings.Join(out, "/")
}

// isStray is the printable octets that RFC 3986 gives no place in a path or query
// and that net/url would escape in a path when it writes one. "[" and "]", which it
// forbids there too, are in such wide use in queries that they stay as they are.
func isStray(c byte) bool {
	switch c {
	case '"', '<', '>', '\\', '^', '`', '{', '|', '}':
		return true
	}
	return false
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c >= 'a':
		return c - 'a' + 10
	}
	return c - 'A' + 10
}

// isUnreserved is the set of RFC 3986 section 2.3.
func isUnreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~'
}
