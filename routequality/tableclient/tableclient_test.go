package tableclient_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"nearcast/cdn"
	"nearcast/routequality/tableclient"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// script is a server that gives one answer after the other and then waits until
// the caller goes away. It notes what it was asked.
type script struct {
	answers chan http.HandlerFunc
	asked   chan string
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.asked <- r.URL.RequestURI() + " " + r.Header.Get("Authorization")
	select {
	case answer := <-s.answers:
		answer(w, r)
	case <-r.Context().Done():
	}
}

func table(epoch string, version uint64) *cdn.RouteTable {
	return &cdn.RouteTable{Epoch: epoch, Version: version}
}

func send(tables ...*cdn.RouteTable) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(map[string]any{"tables": tables})
	}
}

// diff is a version with one group that is different, and one gone.
func diff(version, base uint64, group, gone cdn.GroupName) *cdn.RouteTable {
	t := table("e", version)
	t.Base, t.Groups = base, []*cdn.VisitorGroup{{Name: group}}
	if gone != "" {
		t.GoneGroups = []cdn.GroupName{gone}
	}
	return t
}

func whole(version uint64, groups ...cdn.GroupName) *cdn.RouteTable {
	t := table("e", version)
	for _, name := range groups {
		t.Groups = append(t.Groups, &cdn.VisitorGroup{Name: name})
	}
	return t
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func text(s string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, s) }
}

// follow runs a client against a script and returns the tables that it hands on.
func follow(t *testing.T, answers ...http.HandlerFunc) (c *tableclient.Client, tables <-chan *cdn.RouteTable, asked <-chan string) {
	t.Helper()
	s := &script{answers: make(chan http.HandlerFunc, len(answers)), asked: make(chan string, 100)}
	for _, a := range answers {
		s.answers <- a
	}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	got := make(chan *cdn.RouteTable, 100)
	c = tableclient.New(tableclient.Config{
		URLs: []string{server.URL}, Token: "tok", OnTable: func(t *cdn.RouteTable) { got <- t }, Log: slog.New(slog.DiscardHandler),
	})
	run(t, c)
	return c, got, s.asked
}

func next[T any](t *testing.T, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(10 * time.Second):
		t.Fatal("waited 10 s in vain")
		panic("not reached")
	}
}

func TestFollow(t *testing.T) {
	for _, test := range []struct {
		name    string
		answers []http.HandlerFunc
		want    []*cdn.RouteTable
	}{
		{"newer", []http.HandlerFunc{send(table("e", 1)), send(table("e", 2))}, []*cdn.RouteTable{table("e", 1), table("e", 2)}},
		{"confirmed", []http.HandlerFunc{send(table("e", 1)), status(204)}, []*cdn.RouteTable{table("e", 1), table("e", 1)}},
		{"nothing", []http.HandlerFunc{status(204), send(table("e", 1))}, []*cdn.RouteTable{table("e", 1)}},
		{"restarted", []http.HandlerFunc{send(table("e", 9)), send(table("f", 1))}, []*cdn.RouteTable{table("e", 9), table("f", 1)}},
		{"backwards", []http.HandlerFunc{send(table("e", 5)), send(table("e", 4)), send(table("e", 6))}, []*cdn.RouteTable{table("e", 5), table("e", 6)}},
		{"refused", []http.HandlerFunc{status(401), status(503), send(table("e", 1))}, []*cdn.RouteTable{table("e", 1)}},
		{"differences", []http.HandlerFunc{send(whole(1, "a")), send(diff(2, 1, "b", ""), diff(3, 2, "c", "a"))}, []*cdn.RouteTable{whole(1, "a"), whole(2, "a", "b"), whole(3, "b", "c")}},
		{"a gap", []http.HandlerFunc{send(whole(1, "a")), send(diff(3, 2, "b", "")), send(whole(3, "b"))}, []*cdn.RouteTable{whole(1, "a"), whole(3, "b")}},
		{"a difference to nothing", []http.HandlerFunc{send(diff(3, 2, "b", "")), send(whole(3, "b"))}, []*cdn.RouteTable{whole(3, "b")}},
		{"cut off", []http.HandlerFunc{text(`{"tables":[{"epoch":"e","version":1,`), send(table("e", 1))}, []*cdn.RouteTable{table("e", 1)}},
		{"garbage", []http.HandlerFunc{text("no JSON"), text("{}"), send(table("e", 1))}, []*cdn.RouteTable{table("e", 1)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, tables, _ := follow(t, test.answers...)
			var got []*cdn.RouteTable
			for range test.want {
				got = append(got, next(t, tables))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("tables (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.want[len(test.want)-1], c.Latest()); diff != "" {
				t.Errorf("Latest (-want +got):\n%s", diff)
			}
		})
	}
}

// The client says what it has, and who it is.
func TestAsk(t *testing.T) {
	_, tables, asked := follow(t, send(table("e&x", 7)))
	next(t, tables)
	want := []string{"/v1/table? Bearer tok", "/v1/table?epoch=e%26x&version=7 Bearer tok"}
	if diff := cmp.Diff(want, []string{next(t, asked), next(t, asked)}); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}

// TestRefused: what cannot be a table of now is refused and told.
func TestRefused(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		name  string
		table func(*cdn.RouteTable)
	}{
		{"future", func(t *cdn.RouteTable) { t.At = now.Add(61 * time.Second) }},
		{"base", func(t *cdn.RouteTable) { t.Base = 9 }},
		{"nodes", func(t *cdn.RouteTable) { t.Nodes = []cdn.NodeHealth{{Node: "b"}, {Node: "a"}} }},
		{"pops", func(t *cdn.RouteTable) { t.POPs = []cdn.POPHealth{{POP: "a"}, {POP: "a"}} }},
		{"share", func(t *cdn.RouteTable) { t.POPs = []cdn.POPHealth{{POP: "a", Share: 1.5}} }},
		{"capacity", func(t *cdn.RouteTable) { t.POPs = []cdn.POPHealth{{POP: "a", Capacity: -1}} }},
		{"groups", func(t *cdn.RouteTable) { t.Groups = whole(1, "b", "a").Groups }},
		{"nothing", func(t *cdn.RouteTable) { t.Groups = []*cdn.VisitorGroup{nil} }},
		{"demand", func(t *cdn.RouteTable) { t.Groups = []*cdn.VisitorGroup{{Name: "a", Octets: -1}} }},
		{"paths", func(t *cdn.RouteTable) { t.Groups = []*cdn.VisitorGroup{{Name: "a", Paths: make([]cdn.Path, 17)}} }},
		{"round trip", func(t *cdn.RouteTable) {
			t.Groups = []*cdn.VisitorGroup{{Name: "a", Paths: []cdn.Path{{POP: "p", Quality: cdn.Quality{R50: -1}}}}}
		}},
		{"loss", func(t *cdn.RouteTable) { t.Links = []*cdn.Link{{From: "a", To: "b", Quality: cdn.Quality{Loss: 2}}} }},
		{"links", func(t *cdn.RouteTable) { t.Links = []*cdn.Link{{From: "a", To: "c"}, {From: "a", To: "b"}} }},
	} {
		t.Run(test.name, func(t *testing.T) {
			bad, good := table("e", 2), table("e", 3)
			bad.At, good.At = now, now.Add(59*time.Second)
			test.table(bad)
			s := &script{answers: make(chan http.HandlerFunc, 2), asked: make(chan string, 100)}
			s.answers <- send(bad)
			s.answers <- send(good)
			server := httptest.NewServer(s)
			t.Cleanup(server.Close)
			refused, got := make(chan error, 10), make(chan *cdn.RouteTable, 10)
			c := tableclient.New(tableclient.Config{
				URLs: []string{server.URL}, OnTable: func(t *cdn.RouteTable) { got <- t }, OnRefused: func(err error) { refused <- err },
				Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler),
			})
			run(t, c)
			if err := next(t, refused); cdn.KindOf(err) != cdn.Invalid && cdn.KindOf(err) != cdn.Conflict {
				t.Errorf("refused with %v", err)
			}
			if table := next(t, got); table.Version != 3 || c.Refused() != 1 {
				t.Errorf("version %d, %d refused; want 3, 1", table.Version, c.Refused())
			}
		})
	}
}

// TestServers: a server that fails for a while is left for the next, and the one that answers is kept.
func TestServers(t *testing.T) {
	first := &script{answers: make(chan http.HandlerFunc, 100), asked: make(chan string, 100)}
	second := &script{answers: make(chan http.HandlerFunc, 1), asked: make(chan string, 100)}
	first.answers <- send(table("e", 1))
	for range 99 {
		first.answers <- status(503)
	}
	second.answers <- send(table("f", 1))
	a, b := httptest.NewServer(first), httptest.NewServer(second)
	t.Cleanup(a.Close)
	t.Cleanup(b.Close)
	got := make(chan *cdn.RouteTable, 10)
	c := tableclient.New(tableclient.Config{URLs: []string{a.URL, b.URL}, OnTable: func(t *cdn.RouteTable) { got <- t }, Log: slog.New(slog.DiscardHandler)})
	begin := time.Now()
	run(t, c)
	if one, two := next(t, got), next(t, got); one.Epoch != "e" || two.Epoch != "f" {
		t.Errorf("tables of %s and %s, want e and f", one.Epoch, two.Epoch)
	}
	if took := time.Since(begin); took < 1500*time.Millisecond {
		t.Errorf("the first server was left after %v, want 2 s", took)
	}
	next(t, second.asked)
	next(t, second.asked) // it is asked again
	if err := tableclient.New(tableclient.Config{}).Run(t.Context()); err == nil {
		t.Error("it runs without a server")
	}
}

func run(t *testing.T, c *tableclient.Client) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// TestHangs: a server whose process hangs, so that its kernel opens connections but nobody answers, is left for the next after some seconds.
func TestHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := make(chan time.Duration, 10)
		begin := time.Now()
		c := tableclient.New(tableclient.Config{
			URLs: []string{"http://hangs", "http://well"}, OnTable: func(*cdn.RouteTable) { got <- time.Since(begin) }, Log: slog.New(slog.DiscardHandler),
		})
		c.SetTransport(half{})
		run(t, c)
		if took := <-got; took > 15*time.Second {
			t.Errorf("the table came after %v, want at most 15 s", took)
		}
	})
}

// half are servers of which one hangs.
type half struct{}

func (half) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Host == "hangs" || req.URL.Query().Get("version") != "" {
		<-req.Context().Done()
		return nil, req.Context().Err()
	}
	w := httptest.NewRecorder()
	send(table("e", 1))(w, req)
	return w.Result(), nil
}
