package transfer

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/miekg/dns"

	"nearcast/cdn"
	"nearcast/scheduler/dnswire"
)

// attempts are how long an answer is waited for, each time; after the last a secondary is left to find out by itself, as the SOA's refresh says.
func attempts() []time.Duration {
	const s = time.Second
	return []time.Duration{s, 2 * s, 4 * s, 8 * s, 16 * s, 32 * s, 60 * s, 60 * s}
}

// notifier tells secondaries of changes, each by itself: who does not answer holds nobody up.
type notifier struct {
	server  *Server
	all     sync.WaitGroup
	cancels map[target]context.CancelFunc // of the last change that each was told
}

// target is a secondary of a zone.
type target struct {
	zone string
	at   netip.AddrPort
	key  cdn.Domain
}

func newNotifier(s *Server) *notifier {
	return &notifier{server: s, cancels: make(map[target]context.CancelFunc)}
}

// stop gives up telling.
func (n *notifier) stop() {
	for _, cancel := range n.cancels {
		cancel()
	}
	n.all.Wait()
}

// tell tells the secondaries of a zone that it has changed, and no longer that it had before.
func (n *notifier) tell(ctx context.Context, v *version) {
	for t, cancel := range n.cancels {
		if t.zone == string(v.zone.Name) {
			cancel()
			delete(n.cancels, t)
		}
	}
	for _, s := range v.zone.Secondaries {
		if !s.Address.Addr().IsValid() {
			continue
		}
		t := target{string(v.zone.Name), s.Address, s.Key}
		if t.at.Port() == 0 {
			t.at = netip.AddrPortFrom(t.at.Addr(), 53)
		}
		if n.cancels[t] != nil {
			continue // named twice
		}
		ctx, cancel := context.WithCancel(ctx)
		n.cancels[t] = cancel
		n.all.Go(func() {
			defer cancel()
			n.server.tell(ctx, t, &v.zone)
		})
	}
}

// tell tells one secondary, until it answers.
func (s *Server) tell(ctx context.Context, t target, z *Zone) {
	var err error
	for _, patience := range attempts() {
		var answer *dns.Msg
		next := time.NewTimer(patience)
		if answer, err = s.notify(ctx, t, z, patience); err == nil {
			next.Stop()
			result := "told"
			if answer.Rcode != dns.RcodeSuccess {
				result = "refused"
				s.cfg.Log.WarnContext(ctx, "a secondary does not want to know of changes", "zone", dnswire.FormatName(z.Name), "secondary", t.at, "rcode", dns.RcodeToString[answer.Rcode])
			}
			s.metrics.notified.WithLabelValues(result).Inc()
			return
		}
		select {
		case <-ctx.Done():
			next.Stop()
			return
		case <-next.C:
		}
	}
	s.metrics.notified.WithLabelValues("silent").Inc()
	s.cfg.Log.WarnContext(ctx, "a secondary could not be told of a change", "zone", dnswire.FormatName(z.Name), "secondary", t.at, "error", err)
}

// notify asks once, over UDP (RFC 1996 section 3).
func (s *Server) notify(ctx context.Context, t target, z *Zone, patience time.Duration) (*dns.Msg, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case s.dialled <- struct{}{}:
		defer func() { <-s.dialled }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, min(patience, 5*time.Second))
	defer cancel()
	m := new(dns.Msg)
	m.SetNotify(dnswire.FormatName(z.Name))
	known := *s.keys.Load()
	if t.key != "" {
		key, ok := known[t.key]
		if !ok {
			return nil, fmt.Errorf("there is no key %s", t.key)
		}
		m.SetTsig(dns.Fqdn(string(t.key)), dns.Fqdn(key.Algorithm), 300, s.cfg.Now().Unix())
	}
	conn, err := s.cfg.Dial(ctx, "udp", t.at.String())
	if err != nil {
		return nil, err
	}
	defer conn.Close()                                          //nolint:errcheck // nothing is written any more
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })() // which the client does not look at
	client := &dns.Client{Net: "udp", TsigProvider: known, Timeout: patience}
	answer, _, err := client.ExchangeWithConnContext(ctx, m, &dns.Conn{Conn: conn})
	switch {
	case err != nil:
		return nil, err
	case !answer.Response || answer.Opcode != dns.OpcodeNotify:
		return nil, errors.New("the answer is to something else")
	case t.key != "" && answer.IsTsig() == nil:
		return nil, fmt.Errorf("the answer is not signed (%s)", dns.RcodeToString[answer.Rcode])
	}
	return answer, nil
}
