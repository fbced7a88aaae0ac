package coding

import "strings"

// generation is part of every coded tag. It goes up whenever the coders begin to make other octets of the same
// input (another level, another version of a library): nodes of two releases then never give
// different octets the same strong tag. The golden test notices.
const generation = ".1"

// tagMark begins our suffix. It is legal in a tag (RFC 9110 section 8.8.3) and rare at the end of
// one; "-gzip" and ";br" are what origins add themselves.
const tagMark = "~"

// suffix is what a coding adds to the opaque part of a tag: "x" becomes "x~gzip.1".
func suffix(c Coding) string { return tagMark + string(c) + generation }

// codedTag returns the tag of the coded variant, and false for what is no entity tag. A weak one
// stays weak; a strong one stays strong, for the reason given at Head.
func codedTag(tag string, c Coding) (string, bool) {
	if !isTag(tag) {
		return "", false
	}
	return tag[:len(tag)-1] + suffix(c) + `"`, true
}

// MatchIdentity takes our suffix off an entity tag again, as of an If-None-Match or If-Range: it returns the
// tag of the identity variant, which is the one that the origin knows, and the coding. It reports false
// for any other tag, also for one that another generation of coders has made.
//
// An origin's own tag may by chance look like ours, so compare the whole tag first.
func MatchIdentity(tag string) (base string, c Coding, ok bool) {
	if !isTag(tag) {
		return "", Identity, false
	}
	opaque := tag[:len(tag)-1]
	for _, c := range [...]Coding{Gzip, Brotli, Zstd} {
		if base, ok := strings.CutSuffix(opaque, suffix(c)); ok && isTag(base+`"`) {
			return base + `"`, c, true
		}
	}
	return "", Identity, false
}

// isTag reports whether s is one entity tag (RFC 9110 section 8.8.3).
func isTag(s string) bool {
	s = strings.TrimPrefix(s, "W/")
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return false
	}
	for i := 1; i < len(s)-1; i++ {
		if c := s[i]; c <= ' ' || c == '"' || c == 0x7f {
			return false
		}
	}
	return true
}
