package parentds

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sync/errgroup"

	"nearcast/cdn"
)

const (
	// queryTime is how long a server has for an answer.
	queryTime = 2 * time.Second
	// tries are how often it is asked.
	tries = 2
	// atOnce is how many questions are on their way at a time.
	atOnce = 8
)

// Asker asks servers. It is safe for concurrent use.
type Asker struct {
	servers []string // host:port
	any     bool     // the first that answers will do; else all must say the same
}

// At returns what asks each of the servers, IP or IP:port; a parent has what all of them say it has.
func At(servers ...string) (*Asker, error) {
	a := &Asker{}
	for _, s := range servers {
		if ip, err := netip.ParseAddr(s); err == nil {
			s = netip.AddrPortFrom(ip, 53).String()
		}
		if _, err := netip.ParseAddrPort(s); err != nil {
			return nil, cdn.Errorf(cdn.Invalid, "", "resolver %q: want IP:port, or an IP address for port 53", s)
		}
		a.servers = append(a.servers, s)
	}
	return a, nil
}

// System returns what asks the first that answers of the resolvers that a file such as /etc/resolv.conf names.
func System(file string) (*Asker, error) {
	cfg, err := dns.ClientConfigFromFile(file)
	if err != nil {
		return nil, fmt.Errorf("which resolver to ask: %w", err)
	}
	a := &Asker{any: true}
	for _, s := range cfg.Servers {
		a.servers = append(a.servers, net.JoinHostPort(s, cfg.Port))
	}
	if len(a.servers) == 0 {
		return nil, cdn.Errorf(cdn.NotFound, "", "%s names no resolver", file)
	}
	return a, nil
}

// DS is a DS record without its zone. A digest is in upper case.
type DS struct {
	Tag       uint16 `json:"tag"`
	Algorithm uint8  `json:"algorithm"`
	Type      uint8  `json:"digest_type"`
	Digest    string `json:"digest"`
}

// String returns it as in a zone file.
func (d DS) String() string { return fmt.Sprintf("%d %d %d %s", d.Tag, d.Algorithm, d.Type, d.Digest) }

func dsOf(r *dns.DS) DS { return DS{r.KeyTag, r.Algorithm, r.DigestType, strings.ToUpper(r.Digest)} }

// Answer is what the parent of a zone says.
type Answer struct {
	// Zone is which, without the last dot, and Wanted what its parent is to have.
	Zone   string `json:"zone"`
	Wanted DS     `json:"wanted"`
	// Found is what it has.
	Found []DS `json:"found"`
	// Has says that what is wanted is among it.
	Has bool `json:"has"`
	// TTL is for how many seconds who has asked may keep that, and whom it was asked may have kept it before.
	TTL uint32 `json:"ttl"`
	// From is the server that says so, host:port. With several, it is the one that knows least.
	From string `json:"from"`
	// Error says why nothing is known; then Found and Has say nothing.
	Error string `json:"error,omitempty"`
}

// Ask asks for the DS records of zones: wanted are records in the form of a zone file, one for each zone, in whose order the answers are. It takes as long as
// ctx allows at most; what is not answered by then has an Error.
func (a *Asker) Ask(ctx context.Context, wanted []string) []Answer {
	answers := make([]Answer, len(wanted))
	var group errgroup.Group
	group.SetLimit(atOnce)
	for i, text := range wanted {
		record, err := dns.NewRR(text)
		ds, ok := record.(*dns.DS)
		if err != nil || !ok {
			answers[i] = Answer{Zone: text, Error: "is not a DS record"}
			continue
		}
		group.Go(func() error {
			answers[i] = a.ask(ctx, ds)
			return nil
		})
	}
	group.Wait() //nolint:errcheck // none fails
	return answers
}

// ask asks the servers about one zone, in turn; those that have not answered again, up to a number of times.
func (a *Asker) ask(ctx context.Context, wanted *dns.DS) (answer Answer) {
	if !a.any {
		for _, server := range a.servers {
			if answer = askOne(ctx, wanted, server, tries); !answer.Has {
				break
			}
		}
		return answer
	}
	for range tries { // each gets its turn before the first is asked again
		for _, server := range a.servers {
			if answer = askOne(ctx, wanted, server, 1); answer.Error == "" || ctx.Err() != nil {
				return answer
			}
		}
	}
	return answer
}

func askOne(ctx context.Context, wanted *dns.DS, server string, tries int) Answer {
	answer := Answer{Zone: strings.TrimSuffix(wanted.Hdr.Name, "."), Wanted: dsOf(wanted), Found: []DS{}, From: server}
	if err := answer.fill(ctx, wanted.Hdr.Name, tries); err != nil {
		answer.Error = err.Error()
	}
	return answer
}

// fill asks the server that the answer is from.
func (x *Answer) fill(ctx context.Context, name string, tries int) error {
	m, err := exchange(ctx, name, x.From, tries)
	if err != nil {
		return err
	}
	for _, r := range m.Answer {
		if ds, ok := r.(*dns.DS); ok && strings.EqualFold(ds.Hdr.Name, name) {
			found := dsOf(ds)
			x.Found, x.TTL, x.Has = append(x.Found, found), ds.Hdr.Ttl, x.Has || found == x.Wanted
		}
	}
	if len(x.Found) > 0 || m.Authoritative {
		return nil
	}
	soa := false
	for _, r := range m.Ns {
		if r.Header().Rrtype == dns.TypeSOA {
			soa = true
			x.TTL = r.Header().Ttl
		}
	}
	if !soa && len(m.Ns) > 0 {
		return cdn.Errorf(cdn.Unavailable, "", "%s does not know, and names others to ask", x.From)
	}
	return nil
}

// exchange asks a server for the DS records at a name.
func exchange(ctx context.Context, name, server string, tries int) (m *dns.Msg, err error) {
	q := new(dns.Msg).SetQuestion(name, dns.TypeDS)
	q.SetEdns0(1232, false)
	client := dns.Client{Timeout: queryTime}
	for range tries {
		if m, _, err = client.ExchangeContext(ctx, q, server); err == nil && m.Truncated {
			client.Net = "tcp"
			m, _, err = client.ExchangeContext(ctx, q, server)
		}
		if err == nil || ctx.Err() != nil {
			break
		}
	}
	switch {
	case err != nil && (ctx.Err() != nil || isTimeout(err)):
		return nil, cdn.Errorf(cdn.Unavailable, "", "%s does not answer in time", server)
	case err != nil:
		return nil, cdn.Errorf(cdn.Unavailable, "", "no answer from %s: %w", server, err)
	case m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError:
		return nil, cdn.Errorf(cdn.Unavailable, "", "%s answers %s", server, dns.RcodeToString[m.Rcode])
	case !m.Response || len(m.Question) != 1 || m.Question[0].Qtype != dns.TypeDS || !strings.EqualFold(m.Question[0].Name, name):
		return nil, cdn.Errorf(cdn.Unavailable, "", "%s answers another question", server)
	}
	return m, nil
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}
