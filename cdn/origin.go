package cdn

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// OriginType says how an origin is spoken to.
type OriginType string

// The types of origin.
const (
	OriginHTTP OriginType = "http" // a web server or load balancer
	OriginS3   OriginType = "s3"   // an S3- or OSS-compatible bucket
)

// Origin is a customer's own server or bucket.
type Origin struct {
	// Type is [OriginHTTP] (the zero value means it too) or [OriginS3].
	Type OriginType `json:"type,omitempty"`
	// URLs are the origin's addresses: scheme, host and optional port, no path,
	// all of one scheme. The first is preferred; the others are tried when it
	// cannot be reached. For a bucket this is its service endpoint.
	URLs []string `json:"urls"`
	// Host is the Host field sent to an HTTP origin. Empty sends the visitor's.
	Host string `json:"host,omitempty"`
	// Bucket, for OriginS3, is required there and meaningless elsewhere.
	Bucket *Bucket `json:"bucket,omitempty"`
	// ConnectTimeout bounds the dial to one address. Zero means 3 s.
	ConnectTimeout Duration `json:"connect_timeout,omitzero"`
	// ResponseTimeout bounds the wait for a response's header. Zero means 30 s.
	ResponseTimeout Duration `json:"response_timeout,omitzero"`
	// Attempts is the largest number of addresses tried for one request whose
	// method is safe to repeat. Zero means 2; the addresses are cycled through.
	Attempts int `json:"attempts,omitempty"`
}

// Bucket is the S3 side of an [Origin].
type Bucket struct {
	// Name is the bucket's name.
	Name string `json:"name"`
	// Region is the region that requests are signed for. Empty means "us-east-1".
	Region string `json:"region,omitempty"`
	// Prefix is put in front of every path; no leading slash. May be empty.
	Prefix string `json:"prefix,omitempty"`
	// VirtualHost addresses the bucket as a subdomain of the endpoint, as OSS and
	// AWS prefer, instead of as the first path segment.
	VirtualHost bool `json:"virtual_host,omitempty"`
	// AccessKeyID and SecretAccessKey sign requests (AWS Signature Version 4).
	// Both empty means that the bucket is public and requests go unsigned.
	AccessKeyID     string `json:"access_key_id,omitempty"`
	SecretAccessKey string `json:"secret_access_key,omitempty"`
}

// Redacted stands in for a secret wherever a site is shown. Applying a site that
// has it keeps the secret that the CDN already holds.
const Redacted = "<redacted>"

// Redact returns a copy of s without its secrets, for showing to people.
func (s Site) Redact() Site {
	if b := s.Origin.Bucket; b != nil && b.SecretAccessKey != "" {
		hidden := *b
		hidden.SecretAccessKey = Redacted
		s.Origin.Bucket = &hidden
	}
	s.Domains = slices.Clone(s.Domains)
	s.Routes = slices.Clone(s.Routes)
	for i := range s.Routes {
		h := &s.Routes[i].RequestHeaders
		h.Add, h.Set = redactFields(h.Add), redactFields(h.Set)
	}
	return s
}

// redactFields returns a copy of the fields that a route adds for the origin, without the values of those
// that look like credentials by their names.
func redactFields(fields map[string]string) map[string]string {
	shown := maps.Clone(fields)
	for name := range shown {
		if isCredential(name) {
			shown[name] = Redacted
		}
	}
	return shown
}

func isCredential(name string) bool {
	name = asciiLower(name)
	for _, word := range [...]string{"auth", "cookie", "key", "token", "secret", "password", "credential", "signature"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

// ParseOriginURL parses the address of an origin: "http" or "https", a host name
// or IP address, and an optional port; a lone "/" behind it is dropped. It returns the normal form.
func ParseOriginURL(raw string) (string, error) {
	fail := func(why string) (string, error) {
		return "", Errorf(Invalid, "", `origin URL %q: %s; want something like "https://origin.example:8443"`, clip(raw), why)
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return fail("it is not a URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return fail(`it must start with "http://" or "https://"`)
	case u.User != nil:
		return fail("user and password do not belong into it")
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		return fail("only scheme, host and port are allowed")
	}
	host, err := ParseHost(u.Host)
	if err != nil {
		return "", err
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return fail("port " + port + " is not between 1 and 65535")
		}
		return u.Scheme + "://" + string(host) + ":" + port, nil
	}
	return u.Scheme + "://" + string(host), nil
}
