package transfer_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"

	"nearcast/cdn"
	"nearcast/scheduler/rr"
	"nearcast/scheduler/transfer"
)

const newSecret = "bmV3ZXIgdGhhbiB0aGF0IHdoaWNoIHdhcyB0aGVyZSE="

// of is a set of keys for HMAC-SHA256, by pairs of name and secret.
func of(t testing.TB, pairs ...string) transfer.Keys {
	t.Helper()
	all := make(transfer.Keys)
	for pair := range slices.Chunk(pairs, 2) {
		secret, err := base64.StdEncoding.DecodeString(pair[1])
		if err != nil {
			t.Fatal(err)
		}
		all[cdn.Domain(pair[0])] = transfer.Key{Algorithm: "hmac-sha256", Secret: secret}
	}
	return all
}

// Keys count from when they are set, and no longer than they are there: the answer to one that is gone is that to one that never was.
func TestSetKeys(t *testing.T) {
	s := transfer.New(transfer.Config{Registry: prometheus.NewRegistry()})
	s.Publish(v1(t, []cdn.Secondary{{Key: "tsig.test"}, {Key: "new.test"}}))
	for _, step := range []struct {
		what             string
		keys             transfer.Keys
		old, newer, swap int // response codes: tsig.test and new.test with their secrets, tsig.test with the other
	}{
		{"none at the start", nil, dns.RcodeNotAuth, dns.RcodeNotAuth, dns.RcodeNotAuth},
		{"one comes", of(t, "tsig.test", tsigSecret), dns.RcodeSuccess, dns.RcodeNotAuth, dns.RcodeNotAuth},
		{"another", of(t, "tsig.test", tsigSecret, "new.test", newSecret), dns.RcodeSuccess, dns.RcodeSuccess, dns.RcodeNotAuth},
		{"one goes", of(t, "new.test", newSecret), dns.RcodeNotAuth, dns.RcodeSuccess, dns.RcodeNotAuth},
		{"one changes", of(t, "tsig.test", newSecret), dns.RcodeNotAuth, dns.RcodeNotAuth, dns.RcodeSuccess},
		{"all go", transfer.Keys{}, dns.RcodeNotAuth, dns.RcodeNotAuth, dns.RcodeNotAuth},
	} {
		s.SetKeys(step.keys)
		for _, ask := range []struct {
			name, secret string
			want         int
		}{{"tsig.test.", tsigSecret, step.old}, {"new.test.", newSecret, step.newer}, {"tsig.test.", newSecret, step.swap}} {
			m := first(t, s, signed(t, axfr(), ask.name, dns.HmacSHA256, ask.secret, time.Now(), nil), "127.0.0.1")
			if m.Rcode != ask.want {
				t.Errorf("%s: %s with %.4s...: %s, want %s", step.what, ask.name, ask.secret, dns.RcodeToString[m.Rcode], dns.RcodeToString[ask.want])
			}
		}
	}
}

// interrupted is a zone during whose transfer something happens.
type interrupted struct {
	*zoneFile

	happens func()
}

func (z *interrupted) Records(zone *transfer.Zone) iter.Seq2[[]byte, rr.Set] {
	return func(yield func([]byte, rr.Set) bool) {
		for i, r := range z.records {
			if i == len(z.records)/2 {
				z.happens()
			}
			if !yield(r.owner, r.set) {
				return
			}
		}
	}
}

// A transfer of several messages goes to its end though its key is gone meanwhile: each is signed with the key that the first was.
func TestSetKeysDuringATransfer(t *testing.T) {
	f := newFront(t, transfer.Config{Keys: keys(t)})
	var lines []string
	for i := range 2000 {
		lines = append(lines, fmt.Sprintf("n%d.cdn.test. 60 IN TXT %q", i, bytes.Repeat([]byte("x"), 200)))
	}
	z, gone := zoneOf(t, 1, byKey("tsig.test"), lines...), new(atomic.Int32)
	f.serial = 1
	f.Publish(&interrupted{z, func() {
		gone.Add(1)
		f.SetKeys(of(t, "new.test", newSecret))
	}})
	before := gone.Load() // a source may be read to see how much it is
	f.SetKeys(keys(t))
	got, err := pull(t, f.at, axfr(), "tsig.test.", dns.HmacSHA256, tsigSecret)
	if err != nil || len(got) != len(lines)+2 || gone.Load() == before {
		t.Fatalf("%d records, %v; the keys have changed %d times", len(got), err, gone.Load()-before)
	}
	if got, err := pull(t, f.at, axfr(), "tsig.test.", dns.HmacSHA256, tsigSecret); err == nil {
		t.Errorf("%d records afterwards", len(got))
	}
}

// Whoever has a key that stays is never refused while others come and go, and whose key comes and goes is answered either way.
func TestSetKeysDropsNobody(t *testing.T) {
	s := transfer.New(transfer.Config{Keys: keys(t), Registry: prometheus.NewRegistry()})
	s.Publish(v1(t, byKey("tsig.test")))
	query := signed(t, axfr(), "tsig.test.", dns.HmacSHA256, tsigSecret, time.Now(), nil)
	fickle := signed(t, axfr(), "new.test.", dns.HmacSHA256, newSecret, time.Now(), nil)
	var others sync.WaitGroup
	done := make(chan struct{})
	others.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
				s.SetKeys([]transfer.Keys{of(t, "tsig.test", tsigSecret), of(t, "tsig.test", tsigSecret, "new.test", newSecret)}[i%2])
			}
		}
	})
	for range 500 {
		if m := first(t, s, query, "127.0.0.1"); m.Rcode != dns.RcodeSuccess {
			t.Error(dns.RcodeToString[m.Rcode])
		}
		if m := first(t, s, fickle, "127.0.0.1"); m.Rcode != dns.RcodeRefused && m.Rcode != dns.RcodeNotAuth { // right, but not a secondary's
			t.Error(dns.RcodeToString[m.Rcode])
		}
	}
	close(done)
	others.Wait()
}
