package main_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"

	"nearcast/cdn"
	"nearcast/control/zonekey"
	"nearcast/internal/dnskey"
	"nearcast/scheduler/dnssec"
	"nearcast/scheduler/rr"
)

// seen is what a resolver may have cached.
type seen struct {
	what    string
	records []dns.RR     // DNSKEY, DS or A
	sigs    []*dns.RRSIG // none of DS: the parent's are not our matter
	until   time.Time
}

// rollover is a zone whose key is rolled over, its parent, and all that resolvers may have cached, in virtual time.
type rollover struct {
	t       *testing.T
	secret  []byte
	zone    []byte
	times   zonekey.Times
	now     time.Time
	keys    []cdn.ZoneKey
	ds      []dns.RR       // at the parent
	servers []schedulerLag // those that have the keys at once, and after [zonekey.Propagation]
	cached  []*seen
	checked map[[2]*seen]bool
	broken  string // the first thing that a resolver could not validate
}

// schedulerLag is a scheduler that gets every change late.
type schedulerLag struct {
	lag     time.Duration
	pending []change
	signer  *dnssec.Signer
}

type change struct {
	at   time.Time
	keys []cdn.ZoneKey
}

func newRollover(t *testing.T, times zonekey.Times) *rollover {
	t.Helper()
	r := &rollover{
		t: t, secret: []byte("the secret of this fleet"), zone: cdn.Domain("cdn.test").Wire(), times: times,
		now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), checked: make(map[[2]*seen]bool),
		servers: []schedulerLag{{lag: 0}, {lag: zonekey.Propagation}},
	}
	r.roll()
	for i := range r.servers {
		r.servers[i].pending[0].at = r.now // both begin with the first key
	}
	r.ds = r.dsOf(r.keys)
	return r
}

func (r *rollover) change(keys []cdn.ZoneKey, err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
	r.keys = keys
	for i := range r.servers {
		s := &r.servers[i]
		s.pending = append(s.pending, change{r.now.Add(s.lag), slices.Clone(keys)})
	}
}

func (r *rollover) roll() {
	r.t.Helper()
	k, err := dnskey.New(r.secret, r.now, r.keys)
	if err != nil {
		r.t.Fatal(err)
	}
	r.change(zonekey.Add(r.keys, k, r.times, r.now))
}

// dsOf is what the operator gives to the parent.
func (r *rollover) dsOf(keys []cdn.ZoneKey) (all []dns.RR) {
	for _, k := range zonekey.ParentKeys(keys) {
		record, err := dns.NewRR(dnskey.DSText("cdn.test", k.Public))
		if err != nil {
			r.t.Fatal(err)
		}
		all = append(all, record)
	}
	return all
}

// step lets time pass: the control plane does what it is time for, the schedulers follow, resolvers ask, and whatever they have is put together.
func (r *rollover) step(by time.Duration) {
	r.t.Helper()
	r.now = r.now.Add(by)
	if next, steps := zonekey.Advance(r.keys, r.times, r.now); steps != nil {
		r.change(next, nil)
	}
	r.cached = slices.DeleteFunc(r.cached, func(s *seen) bool { return !r.now.Before(s.until) })
	r.add(&seen{what: "ds", records: r.ds, until: r.now.Add(zonekey.ParentTTL)})
	for i := range r.servers {
		r.ask(&r.servers[i])
	}
	for _, a := range r.cached {
		for _, b := range r.cached {
			r.validate(a, b)
		}
	}
}

// ask is a resolver that asks a scheduler for the keys and for an address.
func (r *rollover) ask(s *schedulerLag) {
	r.t.Helper()
	for len(s.pending) > 0 && !r.now.Before(s.pending[0].at) {
		var opened *dnssec.Keys
		if s.signer != nil {
			opened = s.signer.Keys
		}
		opened, err := opened.Next(s.pending[0].keys, r.secret)
		if err != nil {
			r.t.Fatal(err)
		}
		s.signer, s.pending = dnssec.NewSigner(opened, s.signer), s.pending[1:]
	}
	keys := s.signer.DNSKEY()
	address := rr.Set{Type: rr.TypeA, TTL: 30 * 24 * 3600, Data: [][]byte{{192, 0, 2, 1}}} // as long as the signature lets it
	for _, set := range []rr.Set{keys, address} {
		signatures := s.signer.Sign(r.now.Unix(), r.zone, r.zone, &set, set.Type == rr.TypeDNSKEY)
		one := &seen{what: "address", records: unpack(r.t, r.zone, set), until: r.now.Add(time.Duration(set.TTL) * time.Second)}
		if set.Type == rr.TypeDNSKEY {
			one.what = "keys"
		}
		for _, record := range unpack(r.t, r.zone, rr.Set{Type: rr.TypeRRSIG, TTL: set.TTL, Data: signatures}) {
			sig := record.(*dns.RRSIG)
			one.sigs = append(one.sigs, sig)
			if end := time.Unix(int64(sig.Expiration), 0); end.Before(one.until) {
				one.until = end
			}
		}
		r.add(one)
	}
}

// add remembers what a resolver got; if it has the same already, that it may have it for longer.
func (r *rollover) add(s *seen) {
	for _, old := range r.cached {
		if old.what == s.what && fmt.Sprint(old.records, old.sigs) == fmt.Sprint(s.records, s.sigs) {
			old.until = s.until
			return
		}
	}
	r.cached = append(r.cached, s)
}

// validate does what a resolver does with keys it has and the DS set, or the address, that it has.
func (r *rollover) validate(keys, other *seen) {
	pair := [2]*seen{keys, other}
	if keys.what != "keys" || other.what == "keys" || r.checked[pair] {
		return
	}
	r.checked[pair] = true
	for _, record := range keys.records {
		k := record.(*dns.DNSKEY)
		switch other.what {
		case "address":
			if signedBy(k, other) {
				return
			}
		case "ds":
			for _, d := range other.records {
				if k.ToDS(dns.SHA256).Digest == digestOf(d) && signedBy(k, keys) {
					return
				}
			}
		}
	}
	if r.broken == "" {
		r.broken = fmt.Sprintf("at %s: %s %v %v is not validated by keys %v", r.now, other.what, other.records, other.sigs, keys.records)
	}
}

func digestOf(d dns.RR) string { return lower(d.(*dns.DS).Digest) }

func lower(s string) string {
	b := []byte(s)
	for i := range b {
		if 'A' <= b[i] && b[i] <= 'F' {
			b[i] += 'a' - 'A'
		}
	}
	return string(b)
}

func signedBy(k *dns.DNSKEY, s *seen) bool {
	return slices.ContainsFunc(s.sigs, func(sig *dns.RRSIG) bool { return sig.KeyTag == k.KeyTag() && sig.Verify(k, s.records) == nil })
}

func unpack(t *testing.T, owner []byte, set rr.Set) (all []dns.RR) {
	t.Helper()
	for _, d := range set.Data {
		ttl := set.TTL
		b := append(slices.Clone(owner), byte(set.Type>>8), byte(set.Type), 0, 1, byte(ttl>>24), byte(ttl>>16), byte(ttl>>8), byte(ttl), byte(len(d)>>8), byte(len(d)))
		record, _, err := dns.UnpackRR(append(b, d...), 0)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, record)
	}
	return all
}

func (r *rollover) state() (text string) {
	for _, k := range r.keys {
		text += string(k.State) + " "
	}
	return text
}

// run rolls the key over twice; whoever gives the DS to the parent does so at once when that is allowed, and confirms it after a time.
func (r *rollover) run(confirmAfter time.Duration) {
	r.t.Helper()
	const tick = 20 * time.Minute
	for range 2 {
		for range 20 {
			r.step(tick)
		}
		first := r.keys[0].ID
		r.roll()
		for r.keys[1].State != cdn.KeyReady {
			r.step(tick)
		}
		r.ds = r.dsOf(r.keys)
		for end := r.now.Add(confirmAfter); r.now.Before(end); {
			r.step(tick)
		}
		r.change(zonekey.Confirm(r.keys, "", r.times, r.now))
		if r.state() != "retired active " {
			r.t.Fatal(r.state())
		}
		for len(r.keys) > 1 {
			r.step(tick)
		}
		if r.keys[0].ID == first {
			r.t.Fatal("the old key stayed instead of the new one")
		}
	}
	for range 8 * 24 * 3 {
		r.step(tick)
	}
}

// TestRollOver: at every moment of a roll-over, whatever a resolver has cached of keys, DS records and signatures, it can validate; and
// no state could be shorter by much without that some could not.
func TestRollOver(t *testing.T) {
	times := zonekey.TimesOf(&cdn.Fleet{})
	for _, tt := range []struct {
		name    string
		confirm time.Duration
		change  func(*zonekey.Times)
		breaks  bool
	}{
		{"confirmed at once", 0, func(*zonekey.Times) {}, false},
		{"confirmed after three days", 72 * time.Hour, func(*zonekey.Times) {}, false},
		{"published for too short a time", 0, func(t *zonekey.Times) { t.Publish -= 90 * time.Minute }, true},
		{"gone too soon", 0, func(t *zonekey.Times) { t.Retire -= 48 * time.Hour }, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			times := times
			tt.change(&times)
			r := newRollover(t, times)
			if r.run(tt.confirm); (r.broken != "") != tt.breaks {
				t.Errorf("broken: %q", r.broken)
			}
		})
	}
}
