package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/miekg/dns"
	"golang.org/x/sync/errgroup"
)

// dnsFronts are the fronts that speak DNS.
//
//nolint:gochecknoglobals // constant
var dnsFronts = []string{"udp", "tcp", "dot", "doh-get", "doh-post"}

// pairsAgree asks every front about pairs of a name and a network, and compares. All must name one POP: DNS and HTTPDNS with the same addresses in the same
// order, HTTPS records with them as hints, and the redirect the first of the nodes.
func pairsAgree(ctx context.Context, o options, r *report) error {
	s, err := open(ctx, o)
	if err != nil {
		return err
	}
	defer s.close()
	pairs := s.world.pairs(s.rng(2), o.pairs)
	var mu sync.Mutex // guards the following
	byPOP := make(map[string]int)
	asked := 0
	group, asking := errgroup.WithContext(ctx)
	const askers = 4
	for i := range askers {
		group.Go(func() error {
			c := newClient(s, netip.Addr{})
			defer c.close()
			for j := i; j < len(pairs); j += askers {
				pop, n, err := c.agree(asking, &pairs[j])
				if err != nil {
					return fmt.Errorf("pair %d, %s for %s: %w", j, pairs[j].name, pairs[j].subnet, err)
				}
				mu.Lock()
				byPOP[pop]++
				asked += n
				mu.Unlock()
			}
			return nil
		})
	}
	err = errors.Join(group.Wait(), s.distrust(ctx, pairs[:min(len(pairs), 100)]))
	r.say("pairs: %d pairs, %d questions over %s, HTTPDNS and 302; %d of %d POPs named", len(pairs), asked, strings.Join(dnsFronts, ", "), len(byPOP), worldPOPs)
	if err == nil && len(pairs) > 20*worldPOPs && len(byPOP) < worldPOPs*3/4 {
		err = fmt.Errorf("only %d POPs were named: the pairs say little", len(byPOP))
	}
	return err
}

// distrust checks that who is no trusted proxy is answered for itself, whomever it says that it speaks for.
func (s *stage) distrust(ctx context.Context, pairs []pair) error {
	liar, honest := newClient(s, netip.AddrFrom4([4]byte{127, 0, 44, 1})), newClient(s, netip.Addr{})
	defer liar.close()
	defer honest.close()
	for i := range pairs {
		got, err := liar.redirected(ctx, pairs[i].name, pairs[i].client.String(), false)
		if err != nil {
			return err
		}
		want, err := honest.redirected(ctx, pairs[i].name, liar.from.String(), false)
		if err != nil {
			return err
		}
		if got != want {
			return fmt.Errorf("%s is sent to %s because it says that it is %s; it belongs to %s", liar.from, got, pairs[i].client, want)
		}
	}
	return nil
}

// told is what a front says of where to go.
type told struct {
	v4, v6 []netip.Addr
	scope  uint8
	ttl    uint32
}

// agree asks all fronts about a pair. It returns the POP that they name, and how many questions that took.
func (c *client) agree(ctx context.Context, p *pair) (pop string, n int, err error) {
	var first *told
	for _, front := range dnsFronts {
		got, err := c.lookup(ctx, front, p)
		n += 3
		if err != nil {
			return "", n, fmt.Errorf("over %s: %w", front, err)
		}
		if first == nil {
			first = got
		}
		if !slices.Equal(got.v4, first.v4) || !slices.Equal(got.v6, first.v6) || got.scope != first.scope || got.ttl != first.ttl {
			return "", n, fmt.Errorf("over %s: %+v, over %s %+v", front, got, dnsFronts[0], first)
		}
	}
	if pop, err = c.stage.world.popOfAll(append(slices.Clone(first.v4), first.v6...)); err != nil {
		return "", n, err
	}
	for _, ip := range []string{p.client.String(), p.subnet.String()} {
		n++
		r, err := c.resolve(ctx, p.name, ip)
		if err != nil {
			return "", n, fmt.Errorf("HTTPDNS: %w", err)
		}
		if r.POP != pop || !slices.Equal(r.IPs, first.v4) || !slices.Equal(r.IPv6, first.v6) || r.TTL != int(first.ttl) || r.HTTPS == nil || r.HTTPS.Port != 8443 {
			return "", n, fmt.Errorf("HTTPDNS for %s: %+v, DNS says %s with %+v", ip, r, pop, first)
		}
	}
	for _, secure := range []bool{false, true} {
		n++
		host, err := c.redirected(ctx, p.name, p.client.String(), secure)
		if err != nil {
			return "", n, fmt.Errorf("302: %w", err)
		}
		if err := c.sameNode(ctx, p, host, first); err != nil {
			return "", n, err
		}
	}
	return pop, n, nil
}

// sameNode compares the name that a visitor is sent to with what DNS says.
func (c *client) sameNode(ctx context.Context, p *pair, host string, first *told) error {
	node, rest, _ := strings.Cut(host, ".")
	if rest+"." != p.name {
		return fmt.Errorf("302: to %q", host)
	}
	m, err := c.exchange(ctx, "udp", question(host+".", dns.TypeA, netip.Prefix{}, false))
	if err != nil {
		return fmt.Errorf("looking up %s: %w", host, err)
	}
	if got := addresses(m); len(got) != 1 || got[0] != first.v4[0] {
		return fmt.Errorf("302: to %s at %v, DNS says %v", node, got, first.v4)
	}
	return nil
}

// lookup asks a front for A, AAAA and HTTPS, which must agree.
func (c *client) lookup(ctx context.Context, front string, p *pair) (*told, error) {
	t := new(told)
	var hints []netip.Addr
	for _, typ := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeHTTPS} {
		m, err := c.exchange(ctx, front, question(p.name, typ, p.subnet, false))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", dns.TypeToString[typ], err)
		}
		if m.Rcode != dns.RcodeSuccess || m.Truncated || !m.Authoritative {
			return nil, fmt.Errorf("%s: %v", dns.TypeToString[typ], m)
		}
		scope, ok := scopeOf(m)
		if !ok {
			return nil, fmt.Errorf("%s: no client subnet in %v", dns.TypeToString[typ], m)
		}
		if typ == dns.TypeA {
			t.scope = scope
		}
		if len(m.Answer) > 0 && scope != t.scope {
			return nil, fmt.Errorf("%s: the scope is %d, that of A %d", dns.TypeToString[typ], scope, t.scope)
		}
		switch typ {
		case dns.TypeA:
			t.v4 = addresses(m)
		case dns.TypeAAAA:
			t.v6 = addresses(m)
		default:
			hints = addresses(m)
		}
		if len(m.Answer) > 0 {
			t.ttl = m.Answer[0].Header().Ttl
		}
	}
	if len(t.v4) == 0 {
		return nil, errors.New("no addresses")
	}
	if !slices.Equal(hints, append(slices.Clone(t.v4), t.v6...)) {
		return nil, fmt.Errorf("the hints are %v, the addresses %v and %v", hints, t.v4, t.v6)
	}
	return t, nil
}

// addresses are those of an answer: of A and AAAA records, or hints.
func addresses(m *dns.Msg) (all []netip.Addr) {
	add := func(ip []byte) {
		a, _ := netip.AddrFromSlice(ip)
		all = append(all, a.Unmap())
	}
	for _, record := range m.Answer {
		switch r := record.(type) {
		case *dns.A:
			add(r.A)
		case *dns.AAAA:
			add(r.AAAA)
		case *dns.HTTPS:
			for _, param := range r.Value {
				switch h := param.(type) {
				case *dns.SVCBIPv4Hint:
					for _, ip := range h.Hint {
						add(ip)
					}
				case *dns.SVCBIPv6Hint:
					for _, ip := range h.Hint {
						add(ip)
					}
				}
			}
		}
	}
	return all
}

// scopeOf is the scope of the client subnet in an answer.
func scopeOf(m *dns.Msg) (scope uint8, ok bool) {
	if opt := m.IsEdns0(); opt != nil {
		for _, option := range opt.Option {
			if s, is := option.(*dns.EDNS0_SUBNET); is {
				return s.SourceScope, true
			}
		}
	}
	return 0, false
}

// popOfAll is the POP that all the addresses are in.
func (w *world) popOfAll(addrs []netip.Addr) (string, error) {
	pop := ""
	for _, a := range addrs {
		at, ok := w.popOf[a]
		if !ok || pop != "" && at != pop {
			return "", fmt.Errorf("%v are not addresses of one POP", addrs)
		}
		pop = at
	}
	return pop, nil
}
