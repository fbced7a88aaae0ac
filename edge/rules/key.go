package rules

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"iter"
	"slices"
	"strings"

	"nearcast/cdn"
)

// keyTarget returns what of a target the key has. Its result is in normal form too.
func (t *Table) keyTarget(rule *cdn.KeyRule, target cdn.Target) cdn.Target {
	if rule.ShareDomains && len(t.site.Domains) > 0 {
		target.Domain = t.site.Domains[0]
	}
	if rule.IgnoreCase {
		target.Path = lowerPath(target.Path)
	}
	return selectQuery(&rule.Query, target)
}

// keyOf is [cdn.Target.Key], for most targets in one allocation.
func keyOf(site cdn.SiteName, t *cdn.Target) cdn.CacheKey {
	var short [256]byte
	return cdn.CacheKey(appendKey(short[:0], site, t))
}

// appendKey appends what keyOf returns.
func appendKey(dst []byte, site cdn.SiteName, t *cdn.Target) []byte {
	dst = append(dst, site...)
	dst = append(dst, ' ')
	dst = append(dst, t.Scheme...)
	dst = append(dst, "://"...)
	dst = append(dst, t.Domain...)
	dst = append(dst, t.Path...)
	if t.HasQuery {
		dst = append(dst, '?')
		dst = append(dst, t.Query...)
	}
	return dst
}

// lowerPath lowers ASCII letters, but not the digits of escapes, whose normal form is
// in upper case.
func lowerPath(path string) string {
	if !strings.ContainsFunc(path, func(r rune) bool { return 'A' <= r && r <= 'Z' }) {
		return path
	}
	b := []byte(path)
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '%':
			i += 2
		case 'A' <= c && c <= 'Z':
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// selectQuery applies a query rule. A mode that can leave parameters out also leaves out
// an empty query: "/a?" is "/a" there.
func selectQuery(rule *cdn.QueryRule, target cdn.Target) cdn.Target {
	keep := func(string) bool { return true }
	switch rule.Mode {
	case cdn.QueryNone:
		target.Query, target.HasQuery = "", false
		return target
	case cdn.QueryInclude:
		keep = func(name string) bool { return slices.Contains(rule.Names, name) }
	case cdn.QueryExclude:
		keep = func(name string) bool { return !slices.Contains(rule.Names, name) }
	default:
		if !rule.Sorted {
			return target
		}
	}
	if !target.HasQuery {
		return target
	}
	var kept []string
	for p := range strings.SplitSeq(target.Query, "&") {
		if keep(parameterName(p)) {
			kept = append(kept, p)
		}
	}
	if rule.Sorted {
		slices.SortStableFunc(kept, func(a, b string) int { return strings.Compare(parameterName(a), parameterName(b)) })
	}
	target.Query = strings.Join(kept, "&")
	if target.Query == "" && rule.Mode != cdn.QueryAll && rule.Mode != "" {
		target.HasQuery = false
	}
	return target
}

func parameterName(p string) string {
	name, _, _ := strings.Cut(p, "=")
	return name
}

// hiddenPart returns the mark of a match that looks at more than the URL. Two routes can then
// rule the same URL, and what they store must not be taken for each other's. The mark is
// made of the conditions, not of the route's place, which another route in front changes.
func hiddenPart(m *cdn.Match) string {
	if len(m.Header) == 0 && len(m.Cookie) == 0 && len(m.Country) == 0 {
		return ""
	}
	text, err := json.Marshal(m)
	if err != nil {
		return "unmarked" // cannot be: a Match is text only
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// maxVariant is the longest variant that stands for itself, in octets; a longer one is
// replaced by its digest, so that visitors cannot make variants of any size.
const maxVariant = 512

// variant returns what beside the key selects the stored response: parts with "&"
// between them, each a kind and a name or a value. Every octet of a value that is not
// unreserved (RFC 3986 section 2.3) is escaped, so that no value reads as two parts.
func (r *route) variant(req *Request, device string) string {
	rule := &r.rule.CacheKey
	if r.hidden == "" && len(rule.Headers) == 0 && len(rule.Cookies) == 0 && device == "" && !rule.Country {
		return ""
	}
	var b variantBuilder
	if r.hidden != "" {
		b.part("match", r.hidden)
	}
	for _, name := range rule.Headers {
		b.values("header."+name, slices.Values(req.Header[name]))
	}
	for _, name := range rule.Cookies {
		b.values("cookie."+name, cookieValues(req.Header["Cookie"], name))
	}
	if device != "" {
		b.part("device", device)
	}
	if rule.Country {
		b.part("country", req.Country)
	}
	if b.Len() > maxVariant {
		sum := sha256.Sum256([]byte(b.String()))
		return "sha256:" + hex.EncodeToString(sum[:]) // no other variant starts with a word and ":"
	}
	return b.String()
}

// variantBuilder writes the parts of a variant.
type variantBuilder struct{ strings.Builder }

func (b *variantBuilder) begin(name string) {
	if b.Len() > 0 {
		b.WriteByte('&')
	}
	b.escape(name)
}

func (b *variantBuilder) part(name, value string) {
	b.begin(name)
	b.WriteByte('=')
	b.escape(value)
}

// values writes a name with all of its values, each after a "="; without one, the name
// alone.
func (b *variantBuilder) values(name string, values iter.Seq[string]) {
	b.begin(name)
	for v := range values {
		b.WriteByte('=')
		b.escape(v)
	}
}

func (b *variantBuilder) escape(s string) {
	const digits = "0123456789ABCDEF"
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '.', c == '_', c == '~':
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(digits[c>>4])
			b.WriteByte(digits[c&15])
		}
	}
}
