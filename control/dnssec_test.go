package control_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"nearcast/cdn"
	"nearcast/control"
	"nearcast/control/wire"
	"nearcast/internal/dnskey"
)

// signing is what a control plane signs with in a test, and its clock.
type signing struct {
	mu      sync.Mutex // guards the following
	now     time.Time
	secrets [][]byte
	log     bytes.Buffer
}

func newSigning() *signing {
	return &signing{now: time.Now().Truncate(time.Second), secrets: [][]byte{[]byte("secret-of-zones-one")}}
}

func (s *signing) option(cfg *control.Config) {
	f := fleet()
	f.DNS.Signed = true
	cfg.Fleet, cfg.Now, cfg.ZoneSecrets = f, s.time, s.all
	cfg.Log = slog.New(slog.NewTextHandler(s, nil))
}

func (s *signing) time() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *signing) all() [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.secrets
}

func (s *signing) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.Write(p)
}

func (s *signing) pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

func (p *plane) keys(t *testing.T) wire.DNSSEC {
	t.Helper()
	got, err := p.api.DNSSEC(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func states(d wire.DNSSEC) string {
	var texts []string
	for _, k := range d.Keys {
		texts = append(texts, string(k.State))
	}
	return strings.Join(texts, " ")
}

func wantStates(t *testing.T, d wire.DNSSEC, want string) {
	t.Helper()
	if got := states(d); got != want {
		t.Fatalf("keys are %q, want %q", got, want)
	}
}

// newest is the configuration that a node gets.
func newest(t *testing.T, p *plane, generation cdn.Generation) *cdn.Snapshot {
	t.Helper()
	f := newFollower(t, p.NATSURL(), "ams-1", t.TempDir())
	stop := run(t, "ams-1", f.Run)
	defer stop()
	var snap *cdn.Snapshot
	eventually(t, "the newest version", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		if len(f.snapshots) > 0 {
			snap = f.snapshots[len(f.snapshots)-1]
		}
		return snap != nil && snap.Generation >= generation
	})
	return snap
}

// A fleet whose zones are signed has a key at once; it is rolled over by people and by time, over restarts, and whatever else is changed.
func TestZoneKeys(t *testing.T) {
	s, dir := newSigning(), t.TempDir()
	p := startPlane(t, dir, s.option)
	first := p.keys(t)
	wantStates(t, first, "active")
	if len(first.DS) != 1 || !strings.HasPrefix(first.DS[0], "cdn.test. IN DS ") || !first.DSFrom.Equal(s.time().Add(25*time.Hour+time.Second)) || !first.Signed {
		t.Errorf("%+v: want a DS to give away in 25 hours", first)
	}
	if _, err := p.api.ConfirmKey(t.Context(), wire.ConfirmRequest{}); cdn.KindOf(err) != cdn.Conflict {
		t.Errorf("a confirmation without a roll-over: %v", err)
	}
	rolled, err := p.api.RollKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wantStates(t, rolled, "active published")
	if rolled.DS[0] != first.DS[0] || rolled.Keys[1].Next != "ready" || !rolled.Keys[1].NextAt.Equal(s.time().Add(2*time.Hour+time.Second)) {
		t.Errorf("%+v: want the DS to stay, and the new key to be ready in two hours", rolled)
	}
	if _, err := p.api.RollKey(t.Context()); cdn.KindOf(err) != cdn.Conflict || !strings.Contains(err.Error(), "a roll-over is under way") {
		t.Errorf("another roll-over: %v", err)
	}
	if _, err := p.api.ConfirmKey(t.Context(), wire.ConfirmRequest{}); cdn.KindOf(err) != cdn.Conflict || !strings.Contains(err.Error(), "is not ready") {
		t.Errorf("a confirmation too early: %v", err)
	}
	// Whatever else changes, keys stay.
	changed := p.apply(t, shop)
	p.drainForced(t, "ams")
	if _, err := p.api.Rollback(t.Context(), wire.RollbackRequest{Generation: changed.Generation - 1, Force: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.api.Rollback(t.Context(), wire.RollbackRequest{Generation: 1, Force: true}); err != nil {
		t.Fatal(err)
	}
	wantStates(t, p.keys(t), "active published")
	p.stop()

	s.pass(3 * time.Hour)
	p = startPlane(t, dir, s.option)
	ready := p.keys(t)
	wantStates(t, ready, "active ready")
	if ready.DS[0] == first.DS[0] || !ready.DSFrom.IsZero() {
		t.Errorf("%+v: want the DS of the key that is ready, now", ready)
	}
	confirmed, err := p.api.ConfirmKey(t.Context(), wire.ConfirmRequest{Key: ready.Keys[1].ID})
	if err != nil {
		t.Fatal(err)
	}
	wantStates(t, confirmed, "retired active")
	s.pass(122 * time.Hour)
	p.apply(t, shop) // a change wakes the keeper
	eventually(t, "the old key is gone", func() bool { return states(p.keys(t)) == "active" })
	if got := p.keys(t); got.Keys[0].ID != ready.Keys[1].ID {
		t.Errorf("%+v: another key is left than the new one", got)
	}
	checkSecrecy(t, s, p)
}

func (p *plane) drainForced(t *testing.T, pop string) {
	t.Helper()
	if _, err := p.api.Drain(t.Context(), wire.DrainRequest{POP: pop, Force: true}); err != nil {
		t.Fatal(err)
	}
}

// checkSecrecy: what opens a key is in the configuration that nodes get, sealed, and nowhere else.
func checkSecrecy(t *testing.T, s *signing, p *plane) {
	t.Helper()
	snap := newest(t, p, p.keys(t).Generation)
	if _, _, err := dnskey.Open(&snap.ZoneKeys[0], s.all()); err != nil {
		t.Errorf("nodes cannot open the key: %v", err)
	}
	sealed, err := json.Marshal(snap.ZoneKeys[0].Sealed)
	if err != nil {
		t.Fatal(err)
	}
	shown, err := json.Marshal(p.keys(t))
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	text := strings.Trim(string(sealed), `"`)
	if strings.Contains(string(shown), text) || strings.Contains(s.log.String(), text) || strings.Contains(s.log.String(), string(s.secrets[0])) {
		t.Error("a private key, or what opens it, is shown or logged")
	}
	if !strings.Contains(s.log.String(), "POST /v1/dnssec/roll") || !strings.Contains(s.log.String(), "is ready") {
		t.Errorf("the audit trail has not all:\n%s", s.log.String())
	}
}

// Keys that were sealed with the secret before are sealed anew, and need it no more. With neither, all goes on, and the log says what is missing.
func TestZoneKeysSecret(t *testing.T) {
	s, dir := newSigning(), t.TempDir()
	p := startPlane(t, dir, s.option)
	before := p.keys(t)
	p.stop()
	next := []byte("secret-of-zones-two")
	s.secrets = [][]byte{[]byte("an unrelated secret")}
	p = startPlane(t, dir, s.option)
	if got := p.keys(t); got.Generation != before.Generation {
		t.Errorf("%+v: want nothing to change", got)
	}
	p.stop()
	if text := s.log.String(); !strings.Contains(text, "none of the 1 secrets known here opens it") {
		t.Errorf("the log does not say so:\n%s", text)
	}
	s.secrets = [][]byte{next, []byte("secret-of-zones-one")}
	p = startPlane(t, dir, s.option)
	after := p.keys(t)
	if after.Generation != before.Generation+1 || after.Keys[0] != before.Keys[0] {
		t.Errorf("%+v, before %+v: want the same key in another version", after, before)
	}
	snap := newest(t, p, after.Generation)
	if _, _, err := dnskey.Open(&snap.ZoneKeys[0], [][]byte{next}); err != nil {
		t.Error(err)
	}
}

// A fleet whose zones are not signed has no keys, and none is made for it.
func TestZoneKeysUnsigned(t *testing.T) {
	p := startPlane(t, t.TempDir())
	if got := p.keys(t); got.Signed || len(got.Keys) > 0 || len(got.DS) > 0 {
		t.Errorf("%+v", got)
	}
	if _, err := p.api.RollKey(t.Context()); cdn.KindOf(err) != cdn.Conflict || !strings.Contains(err.Error(), "zones are not signed") {
		t.Errorf("a roll-over: %v", err)
	}
}

// While a scheduler has not told that it has the newest version, a confirmation needs a word more.
func TestConfirmAwaitsSchedulers(t *testing.T) {
	s := newSigning()
	p := startPlane(t, t.TempDir(), s.option, func(cfg *control.Config) {
		cfg.Fleet.Nodes = append(cfg.Fleet.Nodes, cdn.Node{Name: "core-1", Roles: []cdn.Role{cdn.RoleScheduler}})
	})
	if _, err := p.api.RollKey(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.pass(3 * time.Hour)
	p.apply(t, shop)
	eventually(t, "ready", func() bool { return states(p.keys(t)) == "active ready" })
	_, err := p.api.ConfirmKey(t.Context(), wire.ConfirmRequest{})
	if cdn.KindOf(err) != cdn.Conflict || !strings.Contains(err.Error(), "the scheduler on core-1 has not told that it runs version") {
		t.Errorf("with a silent scheduler: %v", err)
	}
	if _, err = p.api.ConfirmKey(t.Context(), wire.ConfirmRequest{Force: true}); err != nil {
		t.Error(err)
	}
}
