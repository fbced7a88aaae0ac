package cdn

import (
	"net/netip"
	"strings"
	"time"
)

// DNS is how the schedulers answer, beside where visitors go. Its zero value has every default.
type DNS struct {
	// Steered are names of the fleet's zone that lead to the best POP as a site's domain does, though no site has them: "d1" is d1.ZONE.
	Steered []Domain `json:"steered,omitempty"`
	// TTL is for how long resolvers may keep answers. Zero fields mean defaults.
	TTL TTLs `json:"ttl,omitzero"`
	// RateLimit bounds answers over UDP to a network that may not have asked for them; nil is the default limit.
	RateLimit *RateLimit `json:"rate_limit,omitempty"`
	// Amplification is how many times as long as a query an answer over UDP may be to who has not shown, by a cookie
	// (RFC 7873), that it can receive; what is longer is cut down, in the end to nothing with TC. Zero means 4.
	Amplification int `json:"amplification,omitempty"`
	// Signed says that zones are signed (DNSSEC).
	Signed bool `json:"signed,omitempty"`
	// Version is what version.bind and version.server say (class CH); empty refuses to say.
	Version string `json:"version,omitempty"`
	// TrustedProxies are the networks of reverse proxies whose X-Forwarded-For is believed by the fronts that speak HTTP.
	TrustedProxies []netip.Prefix `json:"trusted_proxies,omitempty"`
}

// TTLs are times to live of answers, whole seconds. A field that is zero means its default.
type TTLs struct {
	Steered  Duration `json:"steered,omitzero"`  // of addresses; default 20 s
	Stable   Duration `json:"stable,omitzero"`   // where nothing has changed for 10 minutes and less than 70 % is in use; default 60 s
	Draining Duration `json:"draining,omitzero"` // of addresses in a POP that is drained; default 10 s
	Negative Duration `json:"negative,omitzero"` // of "there is no such thing"; default 60 s
}

// RateLimit bounds how many answers over UDP a network gets.
type RateLimit struct {
	// PerSecond is how many answers one address (IPv4), or one /64 (IPv6), gets a second on and on; zero is no limit. Wider networks get multiples.
	PerSecond int `json:"per_second"`
	// Burst is how many it gets at once; zero means 2.5 times PerSecond.
	Burst int `json:"burst,omitempty"`
	// Slip says that every so manieth query beyond the limit is answered with TC, so that who does ask can come over TCP; the others are not
	// answered. Zero means 1: all of them.
	Slip int `json:"slip,omitempty"`
	// Exempt are networks without a limit; nil means 127.0.0.1 and ::1.
	Exempt []netip.Prefix `json:"exempt,omitempty"`
}

// HTTPS is what edge nodes speak over TLS, for HTTPS records (RFC 9460) and redirects.
type HTTPS struct {
	// Port is where every edge node speaks TLS; zero means 443.
	Port uint16 `json:"port,omitempty"`
	// ALPN are the protocols (RFC 7301), the preferred one first; empty means h2 and http/1.1.
	ALPN []string `json:"alpn,omitempty"`
}

// Zone is a zone that is delegated to the schedulers, or the fleet's own: what is in it beside names of sites.
type Zone struct {
	// Name is the zone's apex. For the fleet's zone this adds records to it.
	Name Domain `json:"name"`
	// Records are the zone's own. A name that a site has as its domain leads to the best POP; it may have records of other types here.
	Records []Record `json:"records,omitempty"`
	// Secondaries are servers that may have copies of the zone (AXFR, IXFR), and are told of changes (NOTIFY).
	Secondaries []Secondary `json:"secondaries,omitempty"`
}

// RecordAlias is the type of a record that stands for the addresses of another name, resolved by the schedulers: a CNAME that may be at an apex.
const RecordAlias = "ALIAS"

// Record is a resource record as in a zone file (RFC 1035 section 5).
type Record struct {
	// Name is relative to the zone: "www", "*.dev", "_acme-challenge.www", or "@" for the apex.
	Name string `json:"name"`
	// Type is the record's: TXT, MX, CAA, A, AAAA, CNAME, NS (a delegation; not at the apex), DS, SRV, TLSA, SVCB, HTTPS, ..., or [RecordAlias].
	Type string `json:"type"`
	// TTL is in whole seconds; zero means an hour.
	TTL Duration `json:"ttl,omitzero"`
	// Data is the rest as in a zone file; names in it that do not end in a dot are relative to the zone.
	Data string `json:"data"`
}

// AliasTarget returns the name that a record of type [RecordAlias] in a zone leads to.
func (r *Record) AliasTarget(zone Domain) (Domain, error) {
	switch {
	case strings.HasSuffix(r.Data, "."):
		return ParseDomain(r.Data)
	case r.Data == "@":
		return zone, nil
	}
	return ParseDomain(r.Data + "." + string(zone))
}

// Secondary is a server that has copies of a zone.
type Secondary struct {
	// Address is where it is told of changes, IP or IP:port (53), and from where it may ask for the zone. May be the zero value: then it is
	// known by its key alone, and not told.
	Address netip.AddrPort `json:"address,omitzero"`
	// Key is the name of the TSIG key (RFC 8945) that it must use; empty means none, and then Address is needed.
	Key Domain `json:"key,omitempty"`
}

// Redirection is how the redirecting HTTP front treats a site.
type Redirection struct {
	// Off relays every request instead of redirecting it.
	Off bool `json:"off,omitempty"`
	// Paths, if not empty, are the beginnings of paths that are worth a redirect; requests for others are relayed.
	Paths []string `json:"paths,omitempty"`
	// MinSize, if not zero, is how long a content must be for a redirect to be worth it; shorter ones are relayed. Of what Paths
	// names only that counts.
	MinSize Size `json:"min_size,omitempty"`
	// Signed adds a signature to targets that ends after Lifetime; a node that gets a request under its own name without a valid one sends the
	// visitor back.
	Signed bool `json:"signed,omitempty"`
	// Lifetime is how long a signature is good; zero means 10 minutes.
	Lifetime Duration `json:"lifetime,omitzero"`
}

// defaultLifetime is that of a redirect's signature.
const defaultLifetime = 10 * time.Minute

// SignedFor returns Lifetime with its default.
func (r *Redirection) SignedFor() time.Duration {
	if r.Lifetime == 0 {
		return defaultLifetime
	}
	return r.Lifetime.Std()
}

// Names reports whether a path, in normal form, begins as one of Paths does, or there are none.
func (r *Redirection) Names(path string) bool {
	for _, p := range r.Paths {
		if strings.HasPrefix(path, p) {
			return true
		}
	}
	return len(r.Paths) == 0
}
