package httpcache

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Invalidates returns the URIs, in absolute form, whose stored responses are not to be used
// any more once a request has been answered (section 4.4): after an unsafe method with a
// status that is no error the target, and of what Location and Content-Location point to, that
// which has the target's origin. target is the absolute target URI; h is the response's header.
func Invalidates(method string, status int, target string, h http.Header) []string {
	if safe(method) || status < 200 || status >= 400 {
		return nil
	}
	base, err := url.Parse(target)
	if err != nil || !base.IsAbs() {
		return []string{target}
	}
	forget := []string{canonicalURI(base)}
	for _, name := range [...]string{"Location", "Content-Location"} {
		for _, reference := range h[name] {
			u, err := base.Parse(strings.Trim(reference, " \t"))
			if err != nil || reference == "" || !sameOrigin(u, base) {
				continue
			}
			if uri := canonicalURI(u); !slices.Contains(forget, uri) {
				forget = append(forget, uri)
			}
		}
	}
	return forget
}

// safe lists the methods that are registered as safe (RFC 9110 section 9.2.1, RFC 3253, RFC
// 4918, RFC 5323). A method whose safety is unknown counts as unsafe.
func safe(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, "PROPFIND", "REPORT", "SEARCH":
		return true
	}
	return false
}

// sameOrigin compares scheme, host and port (RFC 9110 section 4.3.1).
func sameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && authority(a) == authority(b)
}

// authority is host and port in lower case, without the scheme's own port.
func authority(u *url.URL) string {
	host := strings.ToLower(u.Host)
	switch u.Scheme {
	case "http":
		host = strings.TrimSuffix(host, ":80")
	case "https":
		host = strings.TrimSuffix(host, ":443")
	}
	return strings.TrimSuffix(host, ":")
}

// canonicalURI is a URI without fragment and user, with the host in one form (RFC 9110
// section 4.2.3). The path stays as it is written.
func canonicalURI(u *url.URL) string {
	c := *u
	c.Host, c.User, c.Fragment, c.RawFragment = authority(u), nil, "", ""
	if c.Path == "" && c.Opaque == "" {
		c.Path = "/"
	}
	return c.String()
}
