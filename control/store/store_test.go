package store_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"nearcast/cdn"
	"nearcast/control/protocol"
	"nearcast/control/store"
)

func open(t *testing.T, dir string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{Dir: dir, Addr: "127.0.0.1:0", NodeSecret: "s", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func snapshot(by string) *cdn.Snapshot {
	return &cdn.Snapshot{At: time.Unix(1e9, 0).UTC(), By: by, Fleet: cdn.Fleet{Zone: "cdn.test"}, Sites: []cdn.Site{{Name: "shop", Domains: []cdn.Domain{"shop.example"}}}}
}

func TestAppend(t *testing.T) {
	s := open(t, t.TempDir())
	if _, err := s.Latest(t.Context()); cdn.KindOf(err) != cdn.NotFound {
		t.Errorf("the newest version of an empty log: %v, want not found", err)
	}
	for prev := range cdn.Generation(3) {
		gen, err := s.Append(t.Context(), prev, snapshot(fmt.Sprint("hand ", prev)))
		if err != nil || gen != prev+1 {
			t.Fatalf("append after %d: %d, %v", prev, gen, err)
		}
	}
	for _, stale := range []cdn.Generation{0, 2, 9} {
		if _, err := s.Append(t.Context(), stale, snapshot("late")); cdn.KindOf(err) != cdn.Conflict {
			t.Errorf("append after %d: %v, want a conflict", stale, err)
		}
	}
	want := snapshot("hand 1")
	want.Generation = 2
	got, err := s.Get(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("version 2 differs (-want +got):\n%s", diff)
	}
	for _, missing := range []cdn.Generation{0, 4} {
		if _, err := s.Get(t.Context(), missing); cdn.KindOf(err) != cdn.NotFound {
			t.Errorf("version %d: %v, want not found", missing, err)
		}
	}
}

// Of many writers that saw the same version, exactly one wins.
func TestRace(t *testing.T) {
	s := open(t, t.TempDir())
	var wins, conflicts int
	var mu sync.Mutex // guards the above
	var writers sync.WaitGroup
	for i := range 8 {
		writers.Go(func() {
			_, err := s.Append(t.Context(), 0, snapshot(fmt.Sprint(i)))
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				wins++
			case cdn.KindOf(err) == cdn.Conflict:
				conflicts++
			default:
				t.Error(err)
			}
		})
	}
	writers.Wait()
	if wins != 1 || conflicts != 7 {
		t.Errorf("%d wins and %d conflicts, want 1 and 7", wins, conflicts)
	}
}

func TestHistory(t *testing.T) {
	s := open(t, t.TempDir())
	if list, err := s.List(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("the list of an empty log: %v, %v", list, err)
	}
	for prev := range cdn.Generation(105) {
		if _, err := s.Append(t.Context(), prev, snapshot("me")); err != nil {
			t.Fatal(err)
		}
	}
	list, err := s.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 100 || list[0].Generation != 105 || list[99].Generation != 6 {
		t.Fatalf("%d versions are kept, want the newest 100", len(list))
	}
	want := store.Version{Generation: 105, At: snapshot("").At, By: "me", Digest: snapshot("").Digest(), Sites: 1}
	if diff := cmp.Diff(want, list[0]); diff != "" {
		t.Errorf("the newest version differs (-want +got):\n%s", diff)
	}
	if _, err := s.Get(t.Context(), 5); cdn.KindOf(err) != cdn.NotFound {
		t.Errorf("a version that is not kept: %v, want not found", err)
	}
}

func TestUnreadable(t *testing.T) {
	s := open(t, t.TempDir())
	bad := snapshot("me")
	bad.Fleet.Zone = "not a zone"
	if _, err := s.Append(t.Context(), 0, bad); cdn.KindOf(err) != cdn.Invalid {
		t.Errorf("got %v, want a refusal", err)
	}
	if head, err := s.Head(t.Context()); err != nil || head.Snapshots.Last != 0 {
		t.Errorf("head %+v, %v; want nothing stored", head, err)
	}
}

func TestTooLarge(t *testing.T) {
	s := open(t, t.TempDir())
	large := snapshot("me")
	large.Sites[0].Routes = []cdn.Route{{Match: cdn.Match{PathPrefix: strings.Repeat("x", 64<<20)}}}
	if _, err := s.Append(t.Context(), 0, large); cdn.KindOf(err) != cdn.Invalid || !strings.Contains(err.Error(), "are possible") {
		t.Errorf("got %v, want a clear refusal", err)
	}
	if _, err := s.AppendPurge(t.Context(), cdn.Purge{ID: "1", By: strings.Repeat("x", 1<<20)}); cdn.KindOf(err) != cdn.Invalid {
		t.Errorf("got %v, want a clear refusal", err)
	}
}

func TestPurge(t *testing.T) {
	s := open(t, t.TempDir())
	live, err := s.Conn().SubscribeSync(protocol.LivePurge)
	if err != nil {
		t.Fatal(err)
	}
	for i, id := range []string{"a", "b", "b"} {
		rev, err := s.AppendPurge(t.Context(), cdn.Purge{ID: id})
		if want := cdn.Revision(min(i+1, 2)); err != nil || rev != want {
			t.Errorf("purge %s: revision %d, %v; want %d", id, rev, err, want)
		}
	}
	head, err := s.Head(t.Context())
	if err != nil || head.Purges.First != 1 || head.Purges.Last != 2 || head.Purges.ID == "" || head.Purges.ID == head.Snapshots.ID {
		t.Errorf("head %+v, %v", head, err)
	}
	m, err := live.NextMsgWithContext(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var p cdn.Purge
	if err := json.Unmarshal(m.Data, &p); err != nil || p.ID != "a" || m.Header.Get(protocol.HeaderSequence) != "1" {
		t.Errorf("pushed %q with number %s", m.Data, m.Header.Get(protocol.HeaderSequence))
	}
}

func TestReopen(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if _, err := s.Append(t.Context(), 0, snapshot("me")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.AppendPurge(t.Context(), cdn.Purge{ID: "a"}); err != nil {
		t.Fatal(err)
	}
	before, err := s.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, dir)
	after, err := again.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("the logs changed (-before +after):\n%s", diff)
	}
	if snap, err := again.Latest(t.Context()); err != nil || snap.Generation != 1 {
		t.Errorf("the newest version: %v, %v", snap, err)
	}
}

// A node's password opens what a node needs and nothing else.
func TestPermissions(t *testing.T) {
	s := open(t, t.TempDir())
	denied := make(chan error, 16)
	conn, err := nats.Connect(s.URL(), nats.UserInfo(protocol.UserNode, "s"), nats.CustomInboxPrefix(protocol.NodeInbox+"n"),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { denied <- err }))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, subject := range []string{
		protocol.Purge, protocol.Snapshot, "$JS.API.STREAM.DELETE.PURGES", "$JS.API.STREAM.PURGE.PURGES",
		"$JS.API.STREAM.INFO.PURGES", protocol.HeadBeat, protocol.LivePurge, protocol.Explain + "other",
	} {
		if err := conn.Publish(subject, nil); err != nil {
			t.Fatal(err)
		}
		await(t, denied, subject)
	}
	for _, subject := range []string{"_INBOX.>", ">", "$JS.>", protocol.Report + "*"} {
		if _, err := conn.SubscribeSync(subject); err != nil {
			t.Fatal(err)
		}
		await(t, denied, subject)
	}
	if _, err := nats.Connect(s.URL(), nats.UserInfo(protocol.UserNode, "guessed")); err == nil {
		t.Error("a wrong password connects")
	}
	if _, err := nats.Connect(s.URL()); err == nil {
		t.Error("no password connects")
	}
}

func await(t *testing.T, denied <-chan error, subject string) {
	t.Helper()
	select {
	case err := <-denied:
		if !strings.Contains(strings.ToLower(err.Error()), "permissions violation") {
			t.Errorf("%s: %v, want a permissions violation", subject, err)
		}
	case <-time.After(10 * time.Second):
		t.Errorf("%s is allowed", subject)
	}
}
