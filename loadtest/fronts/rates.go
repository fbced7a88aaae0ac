package main

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"
)

const (
	measureTime  = 5 * time.Second // the longest that one thing is measured
	udpWindow    = 800             // queries on their way
	coldRate     = 6000            // a second, of those whose answers have to be signed anew
	maxLatency   = time.Millisecond
	enoughToTell = 1000 // answers, for a share of them to mean something
)

// queries makes a generator of queries for a volley.
type queries struct {
	packets [][]byte
	i       int
	rng     *rand.Rand
	random  bool // the name's first label is replaced, whose length is 13
	widely  bool // the last two octets are, which are those of a network's address
}

func (q *queries) next(room []byte) []byte {
	q.i++
	room = append(room, q.packets[q.i%len(q.packets)]...)
	if q.widely {
		binary.LittleEndian.PutUint16(room[len(room)-2:], uint16(q.rng.Uint32())) //nolint:gosec // any
	}
	if q.random {
		var label [13]byte
		n := strconv.AppendUint(label[:0], q.rng.Uint64(), 36)
		for len(n) < len(label) {
			n = append(n, 'x')
		}
		copy(room[13:], n)
	}
	return room
}

// steeredQueries ask for the names of the world, for some networks.
func (s *stage) steeredQueries(do bool, cookie string) (*queries, error) {
	q := &queries{}
	for i := range worldNames {
		m := question(fmt.Sprintf("d%d.%s.", i+1, worldZone), dns.TypeA, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 11, 12, 0}), 24), do)
		if err := q.add(m, cookie); err != nil {
			return nil, err
		}
	}
	return q, nil
}

// wideQueries ask for the names of the world, for 65,536 networks: hardly any is asked twice.
func (s *stage) wideQueries() (*queries, error) {
	q, err := s.steeredQueries(false, "")
	if err == nil {
		q.rng, q.widely = s.rng(71), true
	}
	return q, err
}

// randomQueries ask for names that were never asked for.
func (s *stage) randomQueries(below string, typ uint16, cookie string) (*queries, error) {
	q := &queries{rng: s.rng(70), random: true}
	return q, q.add(question("xxxxxxxxxxxxx."+below, typ, netip.Prefix{}, true), cookie)
}

func (q *queries) add(m *dns.Msg, cookie string) error {
	if cookie != "" {
		m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: cookie})
	}
	packet, err := m.Pack()
	q.packets = append(q.packets, packet)
	return err
}

// measured is what something costs.
type measured struct {
	what     string
	answered int64
	wrong    int64
	took     time.Duration
	cpu      time.Duration
	late     *histogram
}

func (m *measured) perAnswer() time.Duration { return m.cpu / time.Duration(max(m.answered, 1)) }

func (m *measured) rate() float64 { return float64(m.answered) / m.took.Seconds() }

// line is a row of the table.
func (m *measured) line() string {
	micros := float64(m.perAnswer().Nanoseconds()) / 1000
	return fmt.Sprintf("%-46s %9d answers  %8.0f/s  %6.2f us of CPU each  %8.0f/s and core  %3.0f %% of a core", m.what, m.answered, m.rate(), micros, 1e6/max(micros, .01), 100*m.cpu.Seconds()/m.took.Seconds())
}

// measure runs load for a while and looks at what it costs the scheduler.
func (s *stage) measure(ctx context.Context, what string, answered *atomic.Int64, load func(context.Context) (*histogram, error)) (*measured, error) {
	ctx, cancel := context.WithTimeout(ctx, min(s.o.duration, measureTime))
	defer cancel()
	m := &measured{what: what}
	cpu, begin := s.CPU(), time.Now()
	var err error
	m.late, err = load(ctx)
	m.took, m.cpu, m.answered = time.Since(begin), s.CPU()-cpu, answered.Load()
	if err != nil && ctx.Err() == nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	if m.answered == 0 {
		return nil, fmt.Errorf("%s: nothing was answered: %w", what, errors.Join(err))
	}
	return m, nil
}

// volley measures load over UDP, at a rate or as much as goes.
func (s *stage) volley(ctx context.Context, what string, q *queries, check func([]byte) bool, rate float64) (*measured, error) {
	v := &volley{addr: s.DNS, next: q.next, check: check}
	m, err := s.measure(ctx, what, &v.answered, func(ctx context.Context) (*histogram, error) {
		if rate > 0 {
			return v.steady(ctx, rate)
		}
		return v.closed(ctx, udpWindow)
	})
	if err == nil {
		m.wrong = v.wrong.Load()
	}
	return m, err
}

// Answers that volleys check: that a steered name has addresses, signed or not, and that nothing else was truncated.
func isSteered(answer []byte) bool { return answer[2]&2 == 0 && answer[3]&15 == 0 && answer[7] > 0 }

func isSigned(answer []byte) bool { return isSteered(answer) && answer[7] > 1 && len(answer) > 150 }

func isDenied(answer []byte) bool { return answer[2]&2 == 0 && answer[7] == 0 && len(answer) > 250 }

func isWild(answer []byte) bool { return answer[2]&2 == 0 && answer[7] == 2 && len(answer) > 150 }

// rates measures what an answer costs on each front.
func rates(ctx context.Context, o options, r *report) error {
	s, err := openMeasured(ctx, o)
	if err != nil {
		return err
	}
	defer s.close()
	cookie := s.cookie(ctx)
	if _, err := hex.DecodeString(cookie); err != nil || cookie == "" {
		return fmt.Errorf("no cookie: %q", cookie)
	}
	var table []*measured
	add := func(m *measured, err error) error {
		if err != nil {
			return err
		}
		if m.wrong > 0 {
			return fmt.Errorf("%s: %d of %d answers are not what was asked for", m.what, m.wrong, m.answered)
		}
		table = append(table, m)
		r.say("rate: %s", m.line())
		return nil
	}
	err = s.dnsRates(ctx, cookie, add)
	if err == nil {
		err = add(s.webRate(ctx, "DoH, HTTP/2, 64 connections, one stream each", s.overHTTP2))
	}
	if err == nil {
		err = add(s.webRate(ctx, "302, HTTP/1.1, 64 kept connections", s.overHTTP1))
	}
	if err != nil || !o.strict {
		return err
	}
	return judge(table)
}

// webRate measures questions over HTTP.
func (s *stage) webRate(ctx context.Context, what string, open func(context.Context, int) (*asking, error)) (*measured, error) {
	all, err := connect(ctx, open)
	for _, a := range all {
		defer a.conn.Close() //nolint:errcheck // nothing is on its way
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	answered := new(atomic.Int64)
	return s.measure(ctx, what, answered, func(ctx context.Context) (*histogram, error) { return nil, askAll(ctx, all, answered) })
}

// dnsRates measures DNS over UDP.
func (s *stage) dnsRates(ctx context.Context, cookie string, add func(*measured, error) error) error {
	for _, kind := range []struct {
		what   string
		make   func() (*queries, error)
		check  func([]byte) bool
		warmUp bool
		rate   float64 // zero: as many as go. Signatures that are new are bounded, to more than this
	}{
		{"A with ECS, UDP, unsigned", func() (*queries, error) { return s.steeredQueries(false, "") }, isSteered, false, 0},
		{"A with ECS of 65,536 networks, UDP, unsigned", s.wideQueries, isSteered, false, 0},
		{"A with ECS and a cookie, UDP, unsigned", func() (*queries, error) { return s.steeredQueries(false, cookie) }, isSteered, false, 0},
		{"A with ECS and a cookie, UDP, signed, cached", func() (*queries, error) { return s.steeredQueries(true, cookie) }, isSigned, true, 0},
		{"random names, UDP, signed denials, cold", func() (*queries, error) { return s.randomQueries(worldZone+".", dns.TypeA, cookie) }, isDenied, false, coldRate},
		{"random names of a wildcard, UDP, signed, cold", func() (*queries, error) { return s.randomQueries("wild."+worldZone+".", dns.TypeTXT, cookie) }, isWild, false, coldRate},
	} {
		q, err := kind.make()
		if err != nil {
			return err
		}
		if kind.warmUp {
			warm := s.o.duration
			s.o.duration = min(warm, time.Second)
			_, err := s.volley(ctx, kind.what, q, nil, 0)
			s.o.duration = warm
			if err != nil {
				return err
			}
		}
		if err := add(s.volley(ctx, kind.what, q, kind.check, kind.rate)); err != nil {
			return err
		}
	}
	return nil
}

// judge compares with the limits of the issue.
func judge(table []*measured) error {
	var broken []error
	perCore := func(i int) float64 { return 1e9 / float64(max(table[i].perAnswer().Nanoseconds(), 1)) }
	if share := perCore(3) / perCore(2); share < .8 {
		broken = append(broken, fmt.Errorf("cached signatures: %.0f %% of the unsigned rate, at least 80 are wanted", 100*share))
	}
	for _, limit := range []struct {
		row     int
		perCore float64
	}{{4, 10_000}, {5, 10_000}, {6, 30_000}, {7, 30_000}} {
		if got := perCore(limit.row); got < limit.perCore {
			broken = append(broken, fmt.Errorf("%s: %.0f a second and core, at least %.0f are wanted", table[limit.row].what, got, limit.perCore))
		}
	}
	return errors.Join(broken...)
}

// latency finds the highest rate over UDP, and then measures how late answers are at half of it.
func latency(ctx context.Context, o options, r *report) error {
	s, err := openMeasured(ctx, o)
	if err != nil {
		return err
	}
	defer s.close()
	q, err := s.wideQueries()
	if err != nil {
		return err
	}
	highest, err := s.volley(ctx, "A with ECS of 65,536 networks, as many as go", q, isSteered, 0)
	if err != nil {
		return err
	}
	r.say("latency: %s", highest.line())
	v := &volley{addr: s.DNS, next: q.next, check: isSteered}
	half, err := s.measure(ctx, "the same at half that rate", &v.answered, func(ctx context.Context) (*histogram, error) {
		return v.steady(ctx, highest.rate()/2)
	})
	if err != nil {
		return err
	}
	r.say("latency: %s", half.line())
	h := half.late
	r.say("latency: at half the highest rate p50 %v  p99 %v  p99.9 %v  max %v; %d of %d lost", h.quantile(.5), h.quantile(.99), h.quantile(.999), h.max(), v.sent.Load()-v.answered.Load(), v.sent.Load())
	r.say("latency: of that the load's own, from when a query was due until it was sent: p50 %v  p99 %v  p99.9 %v", v.tardy.quantile(.5), v.tardy.quantile(.99), v.tardy.quantile(.999))
	r.say("latency: of that from when a query was sent until its answer arrived: p50 %v  p99 %v  p99.9 %v", v.served.quantile(.5), v.served.quantile(.99), v.served.quantile(.999))
	switch {
	case v.wrong.Load() > 0:
		return fmt.Errorf("%d answers are wrong", v.wrong.Load())
	case o.strict && h.quantile(.99) >= maxLatency:
		return fmt.Errorf("p99 is %v, less than %v is wanted", h.quantile(.99), maxLatency)
	case o.strict && v.sent.Load()-v.answered.Load() > v.sent.Load()/enoughToTell:
		return fmt.Errorf("%d of %d were lost", v.sent.Load()-v.answered.Load(), v.sent.Load())
	}
	return nil
}

// openMeasured is open with this program on a core of its own.
func openMeasured(ctx context.Context, o options) (*stage, error) {
	s, err := open(ctx, o)
	if err != nil || o.loadCore < 0 {
		return s, err
	}
	if s.pinned, err = pin(o.loadCore); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// pin lets this process run on one core only, and returns what undoes that. Threads to come are as the one that makes them.
func pin(core int) (undo func(), err error) {
	var before, only unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return nil, fmt.Errorf("reading the cores: %w", err)
	}
	only.Set(core)
	if err := allow(&only); err != nil {
		return nil, fmt.Errorf("pinning to core %d: %w", core, err)
	}
	return func() { _ = allow(&before) }, nil
}

// allow says on which cores the threads of this process may run.
func allow(cores *unix.CPUSet) error {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, t := range threads {
		if id, err := strconv.Atoi(t.Name()); err == nil {
			if err := unix.SchedSetaffinity(id, cores); err != nil && !errors.Is(err, unix.ESRCH) {
				return err
			}
		}
	}
	return nil
}
