package origin_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"nearcast/cdn"
	"nearcast/origin"
)

// TestRequestTarget: what the cache was keyed with is what the origin is asked
// for, octet by octet.
func TestRequestTarget(t *testing.T) {
	asked := make(chan string, 1)
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) { asked <- r.RequestURI })
	c := newClient(t, origin.Config{})
	for _, tt := range []struct{ name, uri string }{
		{"root", "/"},
		{"slashes", "//a//b/"},
		{"slash", "/a%2Fb"},
		{"percent", "/100%25"},
		{"space", "/a%20b+c"},
		{"reserved", "/!$&'()*+,;=:@[]"},
		{"unicode", "/%C3%A9"},
		{"invalid", "/%FF%00"},
		{"query", "/a?b=c&d=%20+/?"},
		{"empty", "/a?"},
		{"star", "/*"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, _, err := get(t, c, &cdn.Origin{URLs: []string{url}}, "http://www.shop.example"+tt.uri); err != nil {
				t.Fatal(err)
			}
			if got := <-asked; got != tt.uri {
				t.Errorf("the origin was asked for %q, want %q", got, tt.uri)
			}
		})
	}
}

func TestHost(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Host) })
	c := newClient(t, origin.Config{})
	for _, tt := range []struct{ name, host, want string }{
		{"visitor", "", "www.shop.example"},
		{"own", "backend.internal:81", "backend.internal:81"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, got, err := get(t, c, &cdn.Origin{URLs: []string{url}, Host: tt.host}, "http://www.shop.example/")
			if err != nil || got != tt.want {
				t.Errorf("the origin saw Host %q, error %v; want %q", got, err, tt.want)
			}
		})
	}
}

// TestFields: end-to-end fields pass, those of one connection do not, and nothing
// is added (RFC 9110 section 7.6.1).
func TestFields(t *testing.T) {
	saw := make(chan http.Header, 1)
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) { saw <- r.Header })
	req := request(t, http.MethodGet, "http://www.shop.example/", nil)
	req.Header = http.Header{
		"Accept":              {"a", "b"},
		"X-Forwarded-For":     {"192.0.2.1"},
		"Connection":          {"X-Secret, close", "upgrade"},
		"X-Secret":            {"1"},
		"Keep-Alive":          {"timeout=5"},
		"Proxy-Authorization": {"Basic eA=="},
		"Te":                  {"trailers"},
		"Upgrade":             {"h2c"},
		"Expect":              {"100-continue"},
	}
	before := req.Header.Clone()
	if _, _, err := send(t.Context(), newClient(t, origin.Config{}), &cdn.Origin{URLs: []string{url}}, req); err != nil {
		t.Fatal(err)
	}
	want := http.Header{"Accept": {"a", "b"}, "X-Forwarded-For": {"192.0.2.1"}}
	if diff := cmp.Diff(want, <-saw); diff != "" {
		t.Errorf("fields at the origin (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before, req.Header); diff != "" {
		t.Errorf("the caller's header changed (-before +after):\n%s", diff)
	}
}

// TestUntouched: an answer is what the origin sent, not what a browser would make of it.
func TestUntouched(t *testing.T) {
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	io.WriteString(z, "hello")
	z.Close()
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/redirect" {
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
			return
		}
		w.Header().Set("Content-Encoding", "gzip")
		w.Write(zipped.Bytes())
	})
	c := newClient(t, origin.Config{})
	o := &cdn.Origin{URLs: []string{url}}
	if status, _, err := get(t, c, o, "http://www.shop.example/redirect"); status != http.StatusFound || err != nil {
		t.Errorf("redirect: status %d, error %v; want 302 as it is", status, err)
	}
	if _, body, err := get(t, c, o, "http://www.shop.example/gzip"); body != zipped.String() || err != nil {
		t.Errorf("gzip: body %q, error %v; want it still coded", body, err)
	}
}

func TestTLS(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.TLS.ServerName)
	}))
	t.Cleanup(s.Close)
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate()) // for example.com, *.example.com and 127.0.0.1
	o := func(host string) *cdn.Origin { return &cdn.Origin{URLs: []string{s.URL}, Host: host, Attempts: 1} }
	for _, tt := range []struct {
		name  string
		roots *x509.CertPool
		host  string
		want  string // the name in the handshake; empty: it fails
	}{
		{"right", roots, "www.example.com", "www.example.com"},
		{"port", roots, "www.example.com:8443", "www.example.com"},
		{"wrong", roots, "www.shop.test", ""},
		{"untrusted", nil, "www.example.com", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newClient(t, origin.Config{RootCAs: tt.roots})
			_, got, err := get(t, c, o(tt.host), "http://visitor.example/")
			if tt.want == "" {
				if cdn.KindOf(err) != cdn.Unavailable {
					t.Errorf("error %v, want one of kind unavailable", err)
				}
				return
			}
			if err != nil || got != tt.want {
				t.Errorf("server name %q, error %v; want %q", got, err, tt.want)
			}
		})
	}
}

func TestInvalid(t *testing.T) {
	c := newClient(t, origin.Config{})
	for _, tt := range []struct {
		name string
		o    cdn.Origin
	}{
		{"none", cdn.Origin{}},
		{"many", cdn.Origin{URLs: make([]string, 65)}},
		{"scheme", cdn.Origin{URLs: []string{"ftp://127.0.0.1"}}},
		{"host", cdn.Origin{URLs: []string{"http://:80"}}},
		{"garbage", cdn.Origin{URLs: []string{"http://u:hunter2@[::1"}}},
		{"bucketless", cdn.Origin{Type: cdn.OriginS3, URLs: []string{"http://127.0.0.1"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := get(t, c, &tt.o, "http://www.shop.example/")
			if cdn.KindOf(err) != cdn.Invalid || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("error %v, want one of kind invalid without secrets", err)
			}
		})
	}
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	registry := prometheus.NewRegistry()
	c := newClient(t, origin.Config{Registry: registry})
	_, _, err := send(ctx, c, &cdn.Origin{URLs: []string{url, refusing(t)}}, request(t, http.MethodGet, "http://www.shop.example/", nil))
	if !errors.Is(err, context.Canceled) || cdn.KindOf(err) != cdn.Other {
		t.Errorf("error %v, want context.Canceled as it is", err)
	}
	wantMetric(t, registry, "nearcast_origin_requests_total", `nearcast_origin_requests_total{result="cancelled",type="http"} 1`+"\n")
	wantMetric(t, registry, "nearcast_origin_retries_total", "nearcast_origin_retries_total 0\n")
}

func TestClose(t *testing.T) {
	c := origin.New(origin.Config{})
	c.Close()
	if _, _, err := get(t, c, &cdn.Origin{URLs: []string{refusing(t)}}, "http://www.shop.example/"); cdn.KindOf(err) != cdn.Unavailable {
		t.Errorf("Fetch after Close: error %v, want one of kind unavailable", err)
	}
}

// TestPools: an edge without site rules sends any Host to an https origin; what
// that makes is bounded, and what is dropped counted.
func TestPools(t *testing.T) {
	registry := prometheus.NewRegistry()
	c := newClient(t, origin.Config{Registry: registry})
	o := &cdn.Origin{URLs: []string{strings.Replace(refusing(t), "http:", "https:", 1)}, Attempts: 1}
	for i := range 300 {
		get(t, c, o, "https://h"+strings.Repeat("x", i%60)+string(rune('a'+i/60))+".example/")
	}
	wantMetric(t, registry, "nearcast_origin_pools_dropped_total", "nearcast_origin_pools_dropped_total 44\n")
}

// TestReuse: requests share connections, and closing the client closes them.
func TestReuse(t *testing.T) {
	url := serve(t, text(http.StatusOK, "hello"))
	registry := prometheus.NewRegistry()
	c := newClient(t, origin.Config{Registry: registry})
	for range 3 {
		if _, _, err := get(t, c, &cdn.Origin{URLs: []string{url}}, "http://www.shop.example/"); err != nil {
			t.Fatal(err)
		}
	}
	wantMetric(t, registry, "nearcast_origin_connections", "nearcast_origin_connections 1\n")
	wantMetric(t, registry, "nearcast_origin_requests_total", `nearcast_origin_requests_total{result="2xx",type="http"} 3`+"\n")
}
