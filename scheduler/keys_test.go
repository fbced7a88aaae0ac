package scheduler_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"nearcast/cdn"
	"nearcast/internal/dnskey"
	"nearcast/scheduler"
)

// Keys that are gone from a configuration do not make signed zones unsigned ones: who validates would find nothing any more.
func TestKeysLost(t *testing.T) {
	secret := []byte("a secret of sufficient length")
	cfg := config(slog.New(slog.DiscardHandler))
	cfg.ZoneSecrets = func() [][]byte { return [][]byte{secret} }
	s := start(t, cfg)
	key, err := dnskey.New(secret, time.Now(), nil)
	if err != nil {
		t.Fatal(err)
	}
	key.State = cdn.KeyActive
	with := func(generation cdn.Generation, signed bool, keys ...cdn.ZoneKey) *cdn.Snapshot {
		next := snapshot(generation)
		next.Fleet.DNS.Signed, next.ZoneKeys = signed, keys
		return next
	}
	for _, step := range []struct {
		next   *cdn.Snapshot
		reason string
		signed bool
	}{
		{with(1, true), "", false}, // the first version has none yet
		{with(2, true, key), "", true},
		{with(3, true), "lost the keys", true},
		{with(4, true, key), "", true},
		{with(5, false, key), "", false}, // that is what somebody has written
		{with(6, false), "", false},
		{with(7, true), "", false},
	} {
		err := s.Apply(step.next)
		if (err == nil) != (step.reason == "") || err != nil && !strings.Contains(err.Error(), step.reason) {
			t.Errorf("version %d: %v, want %q", step.next.Generation, err, step.reason)
		}
		if got := signed(t, s); got != step.signed {
			t.Errorf("after version %d answers are signed: %v", step.next.Generation, got)
		}
	}
}

// signed reports whether answers have signatures.
func signed(t *testing.T, s *scheduler.Server) bool {
	t.Helper()
	q := new(dns.Msg).SetQuestion("cdn.test.", dns.TypeSOA).SetEdns0(1232, true)
	r, _, err := (&dns.Client{Net: "tcp", Timeout: 5 * time.Second}).Exchange(q, s.DNSAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	return len(r.Answer) == 2
}
