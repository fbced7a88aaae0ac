package origin_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"nearcast/cdn"
	"nearcast/origin"
)

// hangUp closes the connection without an answer.
func hangUp(_ http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }

// TestAttempts: which request goes to which addresses. Each address is named by
// what it does: "refuse", "hangup", or a status.
func TestAttempts(t *testing.T) {
	for _, tt := range []struct {
		name      string
		method    string
		body      string
		addresses string
		attempts  int
		status    int // zero: an error of kind unavailable
		asked     string
	}{
		{name: "first", addresses: "200 200", status: 200, asked: "1 0"},
		{name: "refused", addresses: "refuse 200", status: 200, asked: "0 1"},
		{name: "hangup", addresses: "hangup 200", status: 200, asked: "1 1"},
		{name: "single", addresses: "hangup", asked: "2"},
		{name: "once", addresses: "refuse 200", attempts: 1, asked: "0 0"},
		{name: "cycle", addresses: "hangup refuse", attempts: 5, asked: "3 0"},
		{name: "third", addresses: "refuse hangup 200", attempts: 3, status: 200, asked: "0 1 1"},
		{name: "exhausted", addresses: "refuse hangup 200", asked: "0 1 0"},
		{name: "gateway", addresses: "503 200", status: 200, asked: "1 1"},
		{name: "gateways", addresses: "502 504", attempts: 5, status: 504, asked: "1 1"},
		{name: "alone", addresses: "503", status: 503, asked: "1"},
		{name: "kept", addresses: "503 refuse", status: 503, asked: "1 0"},
		{name: "broken", addresses: "500 200", status: 500, asked: "1 0"},
		{name: "head", method: http.MethodHead, addresses: "hangup 200", status: 200, asked: "1 1"},
		{name: "options", method: http.MethodOptions, addresses: "hangup 200", status: 200, asked: "1 1"},
		{name: "delete", method: http.MethodDelete, addresses: "hangup 200", asked: "1 0"},
		{name: "unsent", method: http.MethodPost, body: "x=1", addresses: "refuse 200", status: 200, asked: "0 1"},
		{name: "sent", method: http.MethodPost, body: "x=1", addresses: "hangup 200", asked: "1 0"},
		{name: "overloaded", method: http.MethodPost, body: "x=1", addresses: "503 200", status: 503, asked: "1 0"},
		{name: "fat", body: "x=1", addresses: "hangup 200", asked: "1 0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			urls, asked := addresses(t, tt.addresses, tt.body)
			method := tt.method
			if method == "" {
				method = http.MethodGet
			}
			var body io.Reader
			if tt.body != "" {
				body = io.MultiReader(strings.NewReader(tt.body)) // a stream: it cannot be rewound
			}
			c := newClient(t, origin.Config{Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
			o := &cdn.Origin{URLs: urls, Attempts: tt.attempts}
			status, _, err := send(t.Context(), c, o, request(t, method, "http://www.shop.example/", body))
			if status != tt.status || (err != nil) != (tt.status == 0) {
				t.Errorf("status %d, error %v; want status %d", status, err, tt.status)
			}
			if err != nil && cdn.KindOf(err) != cdn.Unavailable {
				t.Errorf("error %v of kind %v, want unavailable", err, cdn.KindOf(err))
			}
			if got := asked(); got != tt.asked {
				t.Errorf("addresses were asked %s times, want %s", got, tt.asked)
			}
		})
	}
}

// addresses starts what the words say, and returns the URLs and a count of the
// requests at each. Those that answer insist on the whole body.
func addresses(t *testing.T, words, body string) ([]string, func() string) {
	t.Helper()
	var urls []string
	var counts []*atomic.Int32
	for word := range strings.FieldsSeq(words) {
		n := new(atomic.Int32)
		counts = append(counts, n)
		if word == "refuse" {
			urls = append(urls, refusing(t))
			continue
		}
		urls = append(urls, serve(t, func(w http.ResponseWriter, r *http.Request) {
			n.Add(1)
			if word == "hangup" {
				hangUp(w, r)
			}
			if got, err := io.ReadAll(r.Body); err != nil || string(got) != body {
				t.Errorf("an origin got body %q, error %v; want %q", got, err, body)
			}
			w.WriteHeader(statusOf(word))
		}))
	}
	return urls, func() string {
		var got []string
		for _, n := range counts {
			got = append(got, strconv.Itoa(int(n.Load())))
		}
		return strings.Join(got, " ")
	}
}

func statusOf(word string) int {
	status := 0
	for _, r := range word {
		status = status*10 + int(r-'0')
	}
	return status
}

// TestBodyClosed: Fetch closes the visitor's body whatever happens.
func TestBodyClosed(t *testing.T) {
	for _, tt := range []struct {
		name string
		o    cdn.Origin
	}{
		{"sent", cdn.Origin{URLs: []string{serve(t, text(http.StatusOK, ""))}}},
		{"refused", cdn.Origin{URLs: []string{refusing(t)}}},
		{"invalid", cdn.Origin{}},
		{"bucket", cdn.Origin{Type: cdn.OriginS3, URLs: []string{refusing(t)}, Bucket: &cdn.Bucket{Name: "b"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			closed := make(chan struct{})
			req := request(t, http.MethodPost, "http://www.shop.example/", nil)
			req.Body = &closeNoter{Reader: strings.NewReader("x=1"), closed: closed}
			req.ContentLength = 3
			send(t.Context(), newClient(t, origin.Config{}), &tt.o, req)
			<-closed
		})
	}
}

type closeNoter struct {
	io.Reader
	closed chan struct{}
	done   atomic.Bool
}

func (c *closeNoter) Close() error {
	if c.done.CompareAndSwap(false, true) {
		close(c.closed)
	}
	return nil
}

// TestPassOver: an address that refused is asked last for 5 s, and no longer.
func TestPassOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var dialled []string
		down := map[string]bool{"a:80": true}
		registry := prometheus.NewRegistry()
		c := newClient(t, origin.Config{Registry: registry, Dial: func(_ context.Context, _, address string) (net.Conn, error) {
			dialled = append(dialled, address[:1])
			if down[address] {
				return nil, &net.OpError{Op: "dial", Err: io.ErrUnexpectedEOF}
			}
			return pipe(t, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"), nil
		}})
		o := &cdn.Origin{URLs: []string{"http://a:80", "http://b:80"}}
		step := func(what, want string) {
			t.Helper()
			dialled = nil
			get(t, c, o, "http://www.shop.example/")
			if got := strings.Join(dialled, ""); got != want {
				t.Errorf("%s: dialled %q, want %q", what, got, want)
			}
		}
		step("the first is down", "ab")
		step("remembered", "b")
		<-time.After(4 * time.Second)
		step("still remembered", "b")
		<-time.After(2 * time.Second)
		step("forgotten after 5 s", "ab")
		down["b:80"] = true
		step("the other one goes down too", "ba")
		down["a:80"] = false
		step("all are failing, so all are used", "a")
		step("the first works again", "a")
		wantMetric(t, registry, "nearcast_origin_retries_total", "nearcast_origin_retries_total 3\n")
	})
}

// TestTimeouts: every wait has an end, and the error says which and where.
func TestTimeouts(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer string // before silence; "-": not even a connection
		want   string
		after  time.Duration
	}{
		{"connect", "-", "origin http://a:80: connecting: i/o timeout", 2 * time.Second},
		{"header", "", "origin http://a:80: waiting for the response: net/http: timeout awaiting response headers", 7 * time.Second},
		{"partial", "HTTP/1.1 200 OK\r\nA: ", "origin http://a:80: reading the response's header: net/http: timeout awaiting response headers", 7 * time.Second},
		{"body", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhel", "origin http://a:80: reading the body: nothing came for too long", 7 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newClient(t, origin.Config{Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
					if tt.answer == "-" {
						<-ctx.Done()
						return nil, os.ErrDeadlineExceeded
					}
					return pipe(t, tt.answer), nil
				}})
				o := &cdn.Origin{
					URLs: []string{"http://a:80"}, Attempts: 1,
					ConnectTimeout: cdn.Duration(2 * time.Second), ResponseTimeout: cdn.Duration(7 * time.Second),
				}
				start := time.Now()
				_, _, err := get(t, c, o, "http://www.shop.example/")
				if cdn.KindOf(err) != cdn.Timeout {
					t.Fatalf("error %v of kind %v, want timeout", err, cdn.KindOf(err))
				}
				if diff := cmp.Diff(tt.want, err.Error()); diff != "" {
					t.Errorf("error (-want +got):\n%s", diff)
				}
				if took := time.Since(start); took != tt.after {
					t.Errorf("it took %v, want %v", took, tt.after)
				}
			})
		})
	}
}

// TestSlowBody: a body that keeps coming may take as long as it likes.
func TestSlowBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, origin.Config{Dial: func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			go func() {
				defer far.Close()
				readRequest(far)
				io.WriteString(far, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 10\r\n\r\n")
				for range 10 {
					<-time.After(20 * time.Second)
					io.WriteString(far, "x")
				}
			}()
			return near, nil
		}})
		_, body, err := get(t, c, &cdn.Origin{URLs: []string{"http://a:80"}}, "http://www.shop.example/")
		if body != "xxxxxxxxxx" || err != nil {
			t.Errorf("body %q, error %v; want 10 octets in 200 s", body, err)
		}
	})
}
