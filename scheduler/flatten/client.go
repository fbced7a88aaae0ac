package flatten

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"nearcast/cdn"
)

const (
	maxAddresses = 16          // of a family, of one name
	noTTL        = time.Minute // of nothing, if nobody says for how long
	perServer    = 2 * time.Second
)

// Client asks resolvers. It is safe for concurrent use.
type Client struct {
	servers []string
}

// NewClient returns a client of resolvers, host:port, the first of which that answers counts.
func NewClient(servers ...string) (*Client, error) {
	if len(servers) == 0 {
		return nil, cdn.Errorf(cdn.Invalid, "", "no resolvers to ask for the targets of ALIAS records")
	}
	return &Client{servers: slices.Clone(servers)}, nil
}

// SystemClient returns a client of the resolvers that a file such as /etc/resolv.conf names.
func SystemClient(file string) (*Client, error) {
	cfg, err := dns.ClientConfigFromFile(file)
	if err != nil {
		return nil, fmt.Errorf("the system's resolvers: %w", err)
	}
	servers := make([]string, len(cfg.Servers))
	for i, s := range cfg.Servers {
		servers[i] = net.JoinHostPort(s, cfg.Port)
	}
	return NewClient(servers...)
}

// Resolve implements [Resolver]. It needs answers of both families, since half of the addresses could be the half that does not work.
func (c *Client) Resolve(ctx context.Context, name cdn.Domain) (Answer, error) {
	total := Answer{TTL: MaxTTL}
	for _, typ := range []uint16{dns.TypeA, dns.TypeAAAA} {
		some, err := c.resolve(ctx, dns.Fqdn(string(name)), typ)
		if err != nil {
			return Answer{}, err
		}
		total.Addrs = append(total.Addrs, some.Addrs...)
		total.TTL = min(total.TTL, some.TTL)
	}
	return total, nil
}

// resolve asks one resolver after the other.
func (c *Client) resolve(ctx context.Context, name string, typ uint16) (Answer, error) {
	var failures []error
	for _, server := range c.servers {
		reply, err := exchange(ctx, server, name, typ)
		if err == nil {
			return read(reply, typ), nil
		}
		failures = append(failures, fmt.Errorf("%s: %w", server, err))
		if ctx.Err() != nil {
			break
		}
	}
	return Answer{}, errors.Join(failures...)
}

// exchange asks a resolver over UDP, and over TCP if the answer is too long for that.
func exchange(ctx context.Context, server, name string, typ uint16) (*dns.Msg, error) {
	q := new(dns.Msg)
	q.SetQuestion(name, typ)
	q.SetEdns0(1232, false)
	for _, network := range []string{"udp", "tcp"} {
		client := dns.Client{Net: network, Timeout: perServer}
		reply, _, err := client.ExchangeContext(ctx, q, server)
		switch {
		case err != nil:
			return nil, err
		case len(reply.Question) != 1 || !strings.EqualFold(reply.Question[0].Name, name) || reply.Question[0].Qtype != typ:
			return nil, errors.New("the answer is to another question")
		case reply.Truncated && network == "udp":
			continue
		case reply.Rcode != dns.RcodeSuccess && reply.Rcode != dns.RcodeNameError:
			return nil, fmt.Errorf("the answer is %s", dns.RcodeToString[reply.Rcode])
		}
		return reply, nil
	}
	return nil, errors.New("the answer is cut down, over TCP as well")
}

// read takes the addresses out of an answer, those behind CNAMEs as well.
func read(reply *dns.Msg, typ uint16) Answer {
	a := Answer{TTL: MaxTTL}
	for _, record := range reply.Answer {
		var ip net.IP
		switch r := record.(type) {
		case *dns.A:
			ip = r.A.To4()
		case *dns.AAAA:
			ip = r.AAAA
		case *dns.CNAME:
			a.TTL = min(a.TTL, seconds(r.Hdr.Ttl))
			continue
		}
		if addr, ok := netip.AddrFromSlice(ip); ok && record.Header().Rrtype == typ && usable(addr) && len(a.Addrs) < maxAddresses {
			a.Addrs = append(a.Addrs, addr)
			a.TTL = min(a.TTL, seconds(record.Header().Ttl))
		}
	}
	if len(a.Addrs) > 0 {
		return a
	}
	a.TTL = min(a.TTL, noTTL)
	for _, record := range reply.Ns { // RFC 2308 section 5
		if soa, ok := record.(*dns.SOA); ok {
			a.TTL = min(MaxTTL, seconds(soa.Hdr.Ttl), seconds(soa.Minttl))
		}
	}
	return a
}

// usable reports whether an address can be that of a machine.
func usable(a netip.Addr) bool {
	return !a.IsUnspecified() && !a.IsMulticast() && !a.Is4In6()
}

func seconds(n uint32) time.Duration { return time.Duration(n) * time.Second }
