package report

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"nearcast/cdn"
)

// What numbers can be.
const (
	maxShare    = 20             // a node may be overloaded so many times, but no more
	maxOctets   = 1.25e12        // octets a second of a node: 10 Tb/s
	maxRequests = 1e8            // a second, of a node
	maxInterval = time.Hour      // of a batch
	maxShedding = 16             // steps of the ladder
	maxRTT      = float64(30000) // milliseconds, MaxRTT
)

// head is who reports, and when.
type head struct {
	field       string // of the name
	name        cdn.NodeName
	incarnation int64
	seq         uint64
	at          time.Time
}

func (h head) check(now time.Time) error {
	if _, err := cdn.ParseNodeName(string(h.name)); err != nil {
		return fmt.Errorf("%s: %w", h.field, err)
	}
	switch {
	case h.incarnation <= 0:
		return fmt.Errorf("incarnation: it is %d; want when the process started, Unix time in microseconds", h.incarnation)
	case h.seq == 0:
		return errors.New("seq: it is 0; the first is 1")
	}
	return checkTime("at", h.at, now)
}

func checkTime(field string, at, now time.Time) error {
	switch {
	case at.IsZero():
		return fmt.Errorf("%s: it is missing", field)
	case at.Sub(now) > MaxAhead:
		return fmt.Errorf("%s: %s is %v in the future; set the sender's clock", field, at.UTC().Format(time.RFC3339), at.Sub(now).Round(time.Second))
	}
	return nil
}

// number is one that has bounds.
type number struct {
	field string
	value float64
	most  float64
}

// check refuses what is not between zero and most, and what is no number.
func (n number) check() error {
	if n.value >= 0 && n.value <= n.most {
		return nil
	}
	return fmt.Errorf("%s: it is %v, which is not between 0 and %v", n.field, n.value, n.most)
}

func checkNumbers(numbers ...number) error {
	for _, n := range numbers {
		if err := n.check(); err != nil {
			return err
		}
	}
	return nil
}

// checkLoad returns why a load cannot be.
func checkLoad(l *cdn.NodeLoad) error {
	return checkNumbers(
		number{"cpu", l.CPU, maxShare},
		number{"memory", l.Memory, maxShare},
		number{"connections", l.Connections, maxShare},
		number{"egress", l.Egress, maxShare},
		number{"disk", l.Disk, maxShare},
		number{"fills", l.Fills, maxShare},
		number{"requests", l.Requests, maxRequests},
		number{"octets", l.Octets, maxOctets},
		number{"hit_ratio", l.HitRatio, 1},
		number{"errors", l.Errors, 1},
		number{"shedding", float64(l.Shedding), maxShedding},
	)
}

// checkBatch looks at all but the parts.
func checkBatch(b *cdn.VisitorBatch, now time.Time) error {
	if err := checkTime("at", b.At, now); err != nil {
		return err
	}
	if b.Interval <= 0 || b.Interval > maxInterval {
		return fmt.Errorf("interval: it is %v, which is not between 0 and %v", b.Interval, maxInterval)
	}
	return nil
}

func checkSample(interval time.Duration) func(int, *cdn.VisitorSample) error {
	seen := make(map[netip.Prefix]bool)
	return func(_ int, s *cdn.VisitorSample) error {
		if err := checkNetwork(s.Network); err != nil {
			return err
		}
		if seen[s.Network] {
			return fmt.Errorf("network: %s is there twice", s.Network)
		}
		seen[s.Network] = true
		if len(s.RTTs) > MaxRTTs {
			return fmt.Errorf("rtts: there are %d, at most %d are allowed", len(s.RTTs), MaxRTTs)
		}
		for i, rtt := range s.RTTs {
			if err := (number{"rtts", float64(rtt), maxRTT}).check(); err != nil {
				return fmt.Errorf("%w: it is the one at %d", err, i)
			}
		}
		return checkNumbers(
			number{"lost", float64(s.Lost), float64(s.Packets)},
			number{"failed", float64(s.Failed), float64(s.Requests)},
			number{"requests", float64(s.Requests), maxRequests * max(1, interval.Seconds())},
			number{"octets", float64(s.Octets), maxOctets * max(1, interval.Seconds())},
		)
	}
}

// checkNetwork refuses what is neither an IPv4 /24 nor an IPv6 /48 of single hosts.
func checkNetwork(p netip.Prefix) error {
	a := p.Addr()
	switch {
	case !p.IsValid():
		return errors.New("network: it is missing")
	case a.Is4() && p.Bits() != 24, a.Is6() && p.Bits() != 48, a.Is4In6():
		return fmt.Errorf("network: %s is neither an IPv4 /24 nor an IPv6 /48", p)
	case p != p.Masked():
		return fmt.Errorf("network: %s has bits set beyond its length", p)
	case a.IsMulticast():
		return fmt.Errorf("network: %s is no network of visitors", p)
	}
	return nil
}

func checkSite(interval time.Duration) func(int, *cdn.SiteRate) error {
	seen := make(map[cdn.SiteName]bool)
	return func(_ int, s *cdn.SiteRate) error {
		if _, err := cdn.ParseSiteName(string(s.Site)); err != nil {
			return fmt.Errorf("site: %w", err)
		}
		if seen[s.Site] {
			return fmt.Errorf("site: %s is there twice", s.Site)
		}
		seen[s.Site] = true
		return checkNumbers(
			number{"requests", float64(s.Requests), maxRequests * max(1, interval.Seconds())},
			number{"octets", float64(s.Octets), maxOctets * max(1, interval.Seconds())},
		)
	}
}

func checkMember() func(int, *Member) error {
	seen := make(map[cdn.NodeName]bool)
	return func(_ int, m *Member) error {
		if _, err := cdn.ParseNodeName(string(m.Node)); err != nil {
			return fmt.Errorf("node: %w", err)
		}
		if seen[m.Node] {
			return fmt.Errorf("node: %s is there twice", m.Node)
		}
		seen[m.Node] = true
		switch m.State {
		case cdn.StateUnknown, cdn.StateReady, cdn.StateStarting, cdn.StateDraining, cdn.StateDown:
		default:
			return fmt.Errorf("state: %q is none", clip(string(m.State)))
		}
		if m.Incarnation < 0 {
			return fmt.Errorf("incarnation: it is %d; want Unix time in microseconds", m.Incarnation)
		}
		return nil
	}
}

func checkVote(own cdn.POPName) func(int, *Vote) error {
	seen := make(map[cdn.POPName]bool)
	return func(_ int, v *Vote) error {
		if _, err := cdn.ParsePOPName(string(v.POP)); err != nil {
			return fmt.Errorf("pop: %w", err)
		}
		switch {
		case v.POP == own:
			return fmt.Errorf("pop: %s does not vote on itself", own)
		case seen[v.POP]:
			return fmt.Errorf("pop: %s is there twice", v.POP)
		}
		seen[v.POP] = true
		return nil
	}
}

func checkProbe(own cdn.POPName, now time.Time) func(int, *Probe) error {
	return func(_ int, p *Probe) error {
		if err := checkProbed(p.To); err != nil {
			return fmt.Errorf("to: %w", err)
		}
		if p.To == string(own) {
			return fmt.Errorf("to: %s does not probe itself", own)
		}
		if p.RTT != Lost {
			if err := (number{"rtt", p.RTT, maxRTT}).check(); err != nil {
				return fmt.Errorf("%w; and not %v, which is lost", err, Lost)
			}
		}
		return checkTime("at", p.At, now)
	}
}

// checkProbed refuses what is neither a POP nor an origin in its normal form.
func checkProbed(to string) error {
	if !strings.Contains(to, "://") {
		_, err := cdn.ParsePOPName(to)
		return err //nolint:wrapcheck // the caller says where
	}
	url, err := cdn.ParseOriginURL(to)
	if err == nil && url != to {
		err = fmt.Errorf("%q should be written %q", clip(to), clip(url))
	}
	return err //nolint:wrapcheck // the caller says where
}

// clip shortens s for an error, so that hostile input cannot flood a log.
func clip(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}
