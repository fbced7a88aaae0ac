package httpdns

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"nearcast/cdn"
)

// Bounds of a request.
const (
	maxHosts = 20
	maxQuery = 8 << 10 // octets
)

// question is what is asked.
type question struct {
	hosts         []string
	v4, v6, https bool
	client        netip.Addr // the zero value: nothing is known
}

// parameter is one of the query, decoded.
type parameter struct{ name, value string }

// names are the parameters that there are.
var names = [...]string{"host", "type", "ip", "id", "t", "sign"} //nolint:gochecknoglobals // nobody changes it

// split decodes a query.
func split(query string) ([]parameter, error) {
	if len(query) > maxQuery {
		return nil, fmt.Errorf("the query has %d octets, at most %d are allowed", len(query), maxQuery)
	}
	var all []parameter
	for part := range strings.SplitSeq(query, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		p := parameter{}
		var err error
		if p.name, err = decode(name); err == nil {
			p.value, err = decode(value)
		}
		switch {
		case err != nil:
			return nil, err
		case !slices.Contains(names[:], p.name):
			return nil, fmt.Errorf("there is no parameter %q: want %s", clip(p.name), strings.Join(names[:], ", "))
		case p.name != "host" && slices.ContainsFunc(all, func(q parameter) bool { return q.name == p.name }):
			return nil, fmt.Errorf("the parameter %s is there twice; only host may be repeated", p.name)
		}
		all = append(all, p)
	}
	return all, nil
}

// decode decodes escapes. Control octets are in no value: [Canonical] separates by them.
func decode(s string) (string, error) {
	out, err := url.QueryUnescape(s)
	if err != nil {
		return "", fmt.Errorf("%q is not percent-encoded: %w", clip(s), err)
	}
	for i := range len(out) {
		if c := out[i]; c >= 0x80 {
			return "", fmt.Errorf("%q is not ASCII: want international names as xn--", clip(s))
		} else if c < ' ' || c == 0x7f {
			return "", fmt.Errorf("%q has the octet %#02x", clip(s), c)
		}
	}
	return out, nil
}

// ask makes a question of parameters; peer is who asks.
func ask(all []parameter, peer netip.Addr) (q question, err error) {
	q.client, q.v4, q.v6 = peer, true, true
	for _, p := range all {
		switch p.name {
		case "host":
			err = q.addHosts(p.value)
		case "type":
			err = q.setTypes(p.value)
		case "ip":
			q.client, err = parseClient(p.value)
		}
		if err != nil {
			return question{}, err
		}
	}
	if len(q.hosts) == 0 {
		return question{}, fmt.Errorf("the parameter host is missing: want /resolve?host=www.shop.example")
	}
	return q, nil
}

func (q *question) addHosts(list string) error {
	for h := range strings.SplitSeq(list, ",") {
		if h = strings.TrimSpace(h); h == "" {
			return fmt.Errorf("host %q: a name is empty", clip(list))
		}
		if d, err := cdn.ParseDomain(h); err == nil { // one that is none is not configured, and the others are answered
			h = string(d)
		} else if len(h) > 253 {
			return fmt.Errorf("host %q: is longer than any name", clip(h))
		}
		if !slices.Contains(q.hosts, h) {
			q.hosts = append(q.hosts, h)
		}
		if len(q.hosts) > maxHosts {
			return fmt.Errorf("there are more than %d hosts; ask again for the others", maxHosts)
		}
	}
	return nil
}

func (q *question) setTypes(list string) error {
	q.v4, q.v6 = false, false
	for t := range strings.SplitSeq(list, ",") {
		switch strings.ToLower(strings.TrimSpace(t)) {
		case "4":
			q.v4 = true
		case "6":
			q.v6 = true
		case "https":
			q.https = true
		default:
			return fmt.Errorf("type %q: want 4, 6, https, or several with commas between", clip(list))
		}
	}
	return nil
}

// parseClient reads an address, or a prefix of one.
func parseClient(s string) (netip.Addr, error) {
	if p, err := netip.ParsePrefix(s); err == nil {
		return p.Masked().Addr().Unmap(), nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return netip.Addr{}, fmt.Errorf("ip %q: want an address such as 192.0.2.1, or a prefix such as 192.0.2.0/24", clip(s))
	}
	return a.Unmap(), nil
}

func clip(s string) string {
	if len(s) <= 80 {
		return s
	}
	return s[:80] + "..."
}
