package edge_test

import (
	"compress/gzip"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"nearcast/cdn"
	"nearcast/edge"
)

// TestHitsWhileEverythingChanges: contents, validations, purges and configurations change all the time while visitors ask on both
// protocols, coded and in parts; each answer is whole, and its head and content are of one version.
func TestHitsWhileEverythingChanges(t *testing.T) {
	var version atomic.Int64
	content := func(v string) string { return strings.Repeat(v+" ", 3000/(len(v)+1)) }
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		v := fmt.Sprintf("v%06d", version.Load()/5) // a validation succeeds now and then
		w.Header().Set("Etag", `"`+v+`"`)
		w.Header().Set("Cache-Control", "max-age=2")
		w.Header().Set("Content-Type", "text/css")
		w.Header().Set("X-Version", v)
		if strings.Contains(req.Header.Get("If-None-Match"), v) {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		body := content(v)
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		io.WriteString(w, body)
	})
	route := func(n int) []cdn.Route {
		return []cdn.Route{{Match: cdn.Match{PathPrefix: "/coded"}, Compress: &cdn.Compress{}, ResponseHeaders: cdn.HeaderRule{Set: map[string]string{"X-Rule": fmt.Sprint(n)}}}}
	}
	r.sites[0].Routes = route(0)
	s := r.start(t, "ams-1", withTLS(t, domain))
	secure := secureClient(t)
	var asking, changing sync.WaitGroup
	ended := make(chan struct{})
	changing.Go(func() {
		for n := 1; ; n++ {
			select {
			case <-ended:
				return
			default:
			}
			r.clock.advance(time.Second)
			version.Add(1)
			if n%3 == 0 {
				s.Purge(cdn.Purge{Revision: cdn.Revision(n), Targets: []cdn.Target{target("/a"), target("/coded")}})
			}
			sites := []cdn.Site{r.sites[0]}
			sites[0].Routes = route(n)
			if err := s.Apply(&cdn.Snapshot{Generation: cdn.Generation(n + 1), Fleet: r.fleet, Sites: sites}); err != nil {
				t.Error(err)
			}
			r.get(t, r.addr("ams-1"), "/a") // a pause
		}
	})
	for i := range 4 {
		client, base := r.client, "http://"+r.addr("ams-1")
		if i%2 == 1 {
			client, base = secure, "https://"+s.TLSAddr().String()
		}
		asking.Go(func() {
			for n := range 400 {
				req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, base+[]string{"/a", "/coded"}[n%2], http.NoBody)
				req.Host = domain
				req.Header.Set("Accept-Encoding", []string{"gzip", "identity"}[n/2%2])
				resp, err := client.Do(req)
				if err != nil {
					t.Error(err)
					return
				}
				checkVersion(t, resp, content)
			}
		})
	}
	asking.Wait()
	close(ended)
	changing.Wait()
}

func checkVersion(t *testing.T, resp *http.Response, content func(v string) string) {
	t.Helper()
	defer resp.Body.Close()
	body := io.Reader(resp.Body)
	if resp.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(resp.Body)
		if err != nil {
			t.Error(err)
			return
		}
		body = z
	}
	all, err := io.ReadAll(body)
	v := resp.Header.Get("X-Version")
	if err != nil || resp.StatusCode != http.StatusOK || string(all) != content(v) || !strings.HasPrefix(resp.Header.Get("Etag"), `"`+v) {
		t.Errorf("%d %v: %.20q (%v)", resp.StatusCode, resp.Header, all, err)
	}
}

// TestShutdownWithConnectionsOfEveryKind: those that wait, those that are at work and those that are shaking hands all end, and are
// counted no more.
func TestShutdownWithConnectionsOfEveryKind(t *testing.T) {
	registry := prometheus.NewRegistry()
	var open []net.Conn
	t.Run("the node's life", func(t *testing.T) {
		asked, release := make(chan struct{}), make(chan struct{})
		r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
			if req.URL.Path == "/slow" {
				close(asked)
				<-release
			}
			cacheable(w, req)
		})
		s, addr := r.startAlone(t, withTLS(t, domain), func(cfg *edge.Config) { cfg.Registry = registry })
		add := func(c net.Conn, err error) net.Conn {
			if err != nil {
				t.Fatal(err)
			}
			open = append(open, c)
			return c
		}
		get := "GET /a HTTP/1.1\r\nHost: " + domain + "\r\n\r\n"
		secure := func(proto string) *tls.Config {
			return &tls.Config{InsecureSkipVerify: true, ServerName: domain, NextProtos: []string{proto}}
		}
		add(net.Dial("tcp", addr)) // says nothing
		io.WriteString(add(net.Dial("tcp", addr)), get+get)
		io.WriteString(add(net.Dial("tcp", s.TLSAddr().String())), "\x16\x03\x01")
		add(net.Dial("tcp", s.TLSAddr().String()))
		c1, err := tls.Dial("tcp", s.TLSAddr().String(), secure("http/1.1"))
		io.WriteString(add(c1, err), get)
		idle := dialH2(t, s.TLSAddr().String(), domain)
		open = append(open, idle.nc)
		idle.receive(idle.send([][2]string{{":method", "GET"}, {":scheme", "https"}, {":path", "/a"}, {":authority", domain}}))
		io.WriteString(add(net.Dial("tcp", addr)), strings.Replace(get, "/a", "/slow", 1))
		<-asked
		close(release)
		if n := metric(t, registry, "nearcast_edge_connections"); n != float64(len(open)) {
			t.Errorf("%v connections are counted, want %d", n, len(open))
		}
	}) // and it was told to stop
	if n := metric(t, registry, "nearcast_edge_connections"); n != 0 {
		t.Errorf("%v connections are counted after the end", n)
	}
	for i, c := range open {
		c.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := io.Copy(io.Discard, c); isTimeout(err) {
			t.Errorf("connection %d is still open", i)
		}
		c.Close()
	}
}
