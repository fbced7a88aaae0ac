package compile

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"nearcast/cdn"
)

// Bounds of how schedulers answer.
const (
	maxSteered = 100_000
	maxALPN    = 8
	maxExempt  = 1000
	maxProxies = 1000
	maxTTL     = cdn.Duration(7 * 24 * time.Hour)
)

func readHTTPS(c cursor) *cdn.HTTPS {
	var h cdn.HTTPS
	c.object("https",
		may("port", whole(&h.Port, 1, 65535)),
		may("alpn", alpn(&h.ALPN)),
	)
	checkALPN(c.in("alpn"), h.ALPN)
	return &h
}

// alpn reads the names of protocols (RFC 7301).
func alpn(dst *[]string) func(cursor) {
	return list(dst, maxALPN, parsed(func(s string) (string, error) {
		if s == "" || len(s) > 32 || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789./-") != "" {
			return "", fmt.Errorf("protocol %q is not the name of one, such as h2 or http/1.1", clip(s))
		}
		return s, nil
	}))
}

func checkALPN(c cursor, names []string) {
	if c.n != nil && c.n.kind == kindSequence && len(c.n.items) == 0 {
		c.mistake("leave the key out for the default", "needs at least one protocol")
	}
	unique(c, names, "protocol")
}

func readDNS(c cursor) (d cdn.DNS) {
	c.object("dns",
		may("steered", func(c cursor) { d.Steered = readSteered(c) }),
		may("ttl", reader(readTTLs)(&d.TTL)),
		may("rate_limit", func(c cursor) { d.RateLimit = readRateLimit(c) }),
		may("amplification", whole(&d.Amplification, 1, 100)),
		may("signed", flag(&d.Signed)),
		may("version", text(&d.Version, 255)),
		may("trusted_proxies", list(&d.TrustedProxies, maxProxies, parsed(parsePrefix))),
	)
	unique(c.in("trusted_proxies"), d.TrustedProxies, "prefix")
	return d
}

func readTTLs(c cursor) (t cdn.TTLs) {
	c.object("ttl",
		may("steered", parsed(parseTTL)(&t.Steered)),
		may("stable", parsed(parseTTL)(&t.Stable)),
		may("draining", parsed(parseTTL)(&t.Draining)),
		may("negative", parsed(parseTTL)(&t.Negative)),
	)
	return t
}

// parseTTL parses what DNS can say: whole seconds.
func parseTTL(s string) (cdn.Duration, error) {
	d, err := cdn.ParseDuration(s)
	switch {
	case err != nil:
		return 0, err
	case d%cdn.Duration(time.Second) != 0:
		return 0, fmt.Errorf("TTL %q: want whole seconds", clip(s))
	case d <= 0 || d > maxTTL:
		return 0, fmt.Errorf("TTL %q: want 1s to 7d", clip(s))
	}
	return d, nil
}

func readRateLimit(c cursor) *cdn.RateLimit {
	var l cdn.RateLimit
	const most = 100_000_000
	c.object("a rate limit",
		need("per_second", whole(&l.PerSecond, 0, most)),
		may("burst", whole(&l.Burst, 1, most)),
		may("slip", whole(&l.Slip, 1, 100)),
		may("exempt", list(&l.Exempt, maxExempt, parsed(parsePrefix))),
	)
	unique(c.in("exempt"), l.Exempt, "prefix")
	if l.Burst > 0 && l.Burst < l.PerSecond {
		c.in("burst").mistake("", "a burst of %d is less than the %d of a second", l.Burst, l.PerSecond)
	}
	return &l
}

// readSteered reads names and ranges of them.
func readSteered(c cursor) (all []cdn.Domain) {
	if !c.want(kindSequence, "the value") {
		return nil
	}
	if n := len(c.n.items); n > maxSteered {
		c.mistake("", "has %d items, at most %d are allowed", n, maxSteered)
		return nil
	}
	first := make(map[cdn.Domain]int)
	total := 0 // those that are there twice as well, since they cost the same
	for i := range c.n.items {
		here := c.at(i)
		var names []cdn.Domain
		parsed(func(s string) ([]cdn.Domain, error) { return expandNames(s, maxSteered) })(&names)(here)
		if total += len(names); total > maxSteered {
			here.mistake("", "there are more than %d names up to here", maxSteered)
			return nil
		}
		for _, name := range names {
			if j, dup := first[name]; dup {
				here.mistake("remove one", "name %s is already in item [%d]", name, j)
				break
			}
			first[name] = i
			all = append(all, name)
		}
	}
	return all
}

// expandNames returns the names that a text stands for: itself, or as "d[1-1000]" a range.
func expandNames(s string, limit int) ([]cdn.Domain, error) {
	before, rest, ok := strings.Cut(s, "[")
	if !ok {
		name, err := cdn.ParseDomain(s)
		if err != nil {
			return nil, fmt.Errorf("%w; a name is relative to the zone, as d1 or d[1-1000]", err)
		}
		return []cdn.Domain{name}, nil
	}
	numbers, after, closed := strings.Cut(rest, "]")
	low, high, dash := strings.Cut(numbers, "-")
	from, err := parseNumber(low)
	to, err2 := parseNumber(high)
	if !closed || !dash || err != nil || err2 != nil || from > to || strings.ContainsAny(after, "[]") {
		return nil, fmt.Errorf("%q is not a range of names, such as d[1-1000]", clip(s))
	}
	if to-from >= limit {
		return nil, fmt.Errorf("%q has %d names, at most %d are allowed", clip(s), to-from+1, limit)
	}
	names := make([]cdn.Domain, 0, to-from+1)
	for n := from; n <= to; n++ {
		name, err := cdn.ParseDomain(before + strconv.Itoa(n) + after)
		if err != nil {
			return nil, fmt.Errorf("range %q: %w", clip(s), err)
		}
		names = append(names, name)
	}
	return names, nil
}

// parseNumber parses a number as a range has it: its names have no zeros in front.
func parseNumber(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || strconv.Itoa(n) != s || n > 1_000_000_000 {
		return 0, fmt.Errorf("%q is not a number", clip(s))
	}
	return n, nil
}

// foldNames writes names that follow each other as ranges.
func foldNames(names []any) []any {
	var out []any
	for i := 0; i < len(names); {
		s, _ := names[i].(string)
		before, n, after, ok := splitNumber(s)
		run := 1
		for ok && i+run < len(names) && names[i+run] == before+strconv.Itoa(n+run)+after {
			run++
		}
		if run < 3 {
			run = 1
			out = append(out, s)
		} else {
			out = append(out, fmt.Sprintf("%s[%d-%d]%s", before, n, n+run-1, after))
		}
		i += run
	}
	return out
}

// splitNumber splits a name at its last number.
func splitNumber(s string) (before string, n int, after string, ok bool) {
	end := strings.LastIndexAny(s, "0123456789") + 1
	start := len(strings.TrimRight(s[:end], "0123456789"))
	n, err := parseNumber(s[start:end])
	return s[:start], n, s[end:], err == nil
}

// parseServer parses the address of another server, with a port or without.
func parseServer(s string) (netip.AddrPort, error) {
	const dnsPort = 53
	if at, err := netip.ParseAddrPort(s); err == nil && at.Port() != 0 && at.Addr().Zone() == "" {
		addr, err := parseAddress(at.Addr().String())
		return netip.AddrPortFrom(addr, at.Port()), err
	}
	addr, err := parseAddress(s)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("address %q is neither an IP address nor one with a port, such as 192.0.2.1:53", clip(s))
	}
	return netip.AddrPortFrom(addr, dnsPort), nil
}
