package cdn

import (
	"errors"
	"regexp/syntax"
	"strings"
)

// ScopeKind says by what a [Scope] covers content.
type ScopeKind string

// The kinds of scope.
const (
	ScopeDir    ScopeKind = "dir"   // every URL below a directory of a domain
	ScopeTag    ScopeKind = "tag"   // what the origin gave a tag
	ScopeRegexp ScopeKind = "regex" // what a regular expression matches
	ScopeSite   ScopeKind = "site"  // everything of a site
)

// UnmarshalText implements [encoding.TextUnmarshaler]. It fails on an unknown kind.
func (k *ScopeKind) UnmarshalText(text []byte) error {
	switch kind := ScopeKind(text); kind {
	case ScopeDir, ScopeTag, ScopeRegexp, ScopeSite:
		*k = kind
		return nil
	}
	return Errorf(Invalid, "", "scope %q is of no kind that this version knows: want dir, tag, regex or site", clip(string(text)))
}

// Scope is what a purge covers other than single URLs, always within one site.
type Scope struct {
	Kind ScopeKind `json:"kind"`
	// Site is the site whose content is covered.
	Site SiteName `json:"site"`
	// Domain is that of a directory, or the only one that a regular expression is for; empty for all of the site's.
	Domain Domain `json:"domain,omitempty"`
	// Path is a directory's, in the normal form of a [Target]. It begins and ends with "/".
	Path string `json:"path,omitempty"`
	// Tag is a tag, see [ParseTag].
	Tag string `json:"tag,omitempty"`
	// Regexp is a regular expression, see [ParsePurgeRegexp].
	Regexp string `json:"regexp,omitempty"`
}

// String returns the scope for people: "dir www.shop.example/img/".
func (s Scope) String() string {
	switch s.Kind {
	case ScopeDir:
		return "dir " + string(s.Domain) + s.Path
	case ScopeTag:
		return "tag " + s.Tag + " of site " + string(s.Site)
	case ScopeRegexp:
		if s.Domain != "" {
			return "regex " + s.Regexp + " of domain " + string(s.Domain)
		}
		return "regex " + s.Regexp + " of site " + string(s.Site)
	default:
		return string(s.Kind) + " " + string(s.Site)
	}
}

// ParseDirectory parses the URL of a directory, which ends in "/" and has no query. The scheme does not matter: a directory is
// the same by http and by https.
func ParseDirectory(raw string) (Domain, string, error) {
	t, err := ParseTarget(raw)
	if err != nil {
		return "", "", err
	}
	switch {
	case t.HasQuery:
		return "", "", Errorf(Invalid, "", `directory %q: a directory has no query; leave out %q`, clip(raw), clip("?"+t.Query))
	case !strings.HasSuffix(t.Path, "/"):
		return "", "", Errorf(Invalid, "", `directory %q does not end in "/": want %q for all that is below it, or a purge of the URL`, clip(raw), clip(raw+"/"))
	}
	return t.Domain, t.Path, nil
}

// MaxTag is the longest tag, in octets.
const MaxTag = 1024

// ParseTag checks a tag as an origin writes it in Surrogate-Key or Cache-Tag: printable ASCII, at most [MaxTag] octets.
// Letter case counts.
func ParseTag(s string) (string, error) {
	switch {
	case s == "":
		return "", Errorf(Invalid, "", "a tag is empty")
	case len(s) > MaxTag:
		return "", Errorf(Invalid, "", "tag %q has %d octets, at most %d are allowed", clip(s), len(s), MaxTag)
	case strings.Trim(s, " ") != s:
		return "", Errorf(Invalid, "", "tag %q begins or ends with a space, which no tag of an origin does", clip(s))
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return "", Errorf(Invalid, "", "tag %q: octet %#02x at %d is not printable ASCII", clip(s), s[i], i)
		}
	}
	return s, nil
}

// ParsePurgeRegexp checks a regular expression of a purge, see [CompileRegexp]. It is searched in path and query, such as
// "/img/a.png?v=1": anchors say where it must be.
func ParsePurgeRegexp(s string) (string, error) {
	if strings.Contains(s, "://") {
		return "", Errorf(Invalid, "", `regular expression %q: it is compared with path and query, such as "/img/a.png?v=1"; leave out scheme and domain, and name the domain beside it`, clip(s))
	}
	_, err := CompileRegexp(s)
	if wrong, ok := errors.AsType[*syntax.Error](err); ok {
		if at := strings.Index(s, wrong.Expr); at >= 0 && wrong.Expr != "" {
			return "", Errorf(Invalid, "", "%w (at octet %d)", err, at)
		}
	}
	return s, err
}
