package tableclient_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
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

func send(t *cdn.RouteTable) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(t)
	}
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
		URL: server.URL, Token: "tok", OnTable: func(t *cdn.RouteTable) { got <- t }, Log: slog.New(slog.DiscardHandler),
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
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
