package edge_test

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"nearcast/cdn"
	"nearcast/edge"
)

// TestAttackStoringTheAnswerToARange: that there is nothing behind the end of a content is no answer for those who want
// the content (RFC 9110 section 15.5.17: a 416 is about this request's Range).
func TestAttackStoringTheAnswerToARange(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=60")
		if req.Header.Get("Range") != "" {
			w.Header().Set("Content-Range", "bytes */5")
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			return
		}
		io.WriteString(w, "whole")
	})
	r.chain(t)
	r.get(t, r.addr("fra-1"), "/a", "Range", "bytes=1000-")
	if a := r.get(t, r.addr("fra-1"), "/a"); a.StatusCode != http.StatusOK || a.body != "whole" {
		t.Errorf("a visitor who wants the whole gets %s %q, %s", a.Status, a.body, a.status())
	}
}

// parroting is an origin that shows in its answer what it was told.
func parroting(w http.ResponseWriter, req *http.Request) {
	w.Header().Set("Cache-Control", "max-age=60")
	w.Header().Set("Content-Location", req.URL.String())
	told := []string{req.URL.RawQuery, req.Header.Get("Cookie")}
	for name, lines := range req.Header {
		if strings.Contains(strings.Join(lines, ","), "evil") {
			told = append(told, name+"="+strings.Join(lines, ","))
		}
	}
	io.WriteString(w, strings.Join(told, " "))
}

// TestAttackPoison: nothing that a visitor says beside the cache key is in what later visitors get.
func TestAttackPoison(t *testing.T) {
	byPath := cdn.Route{CacheKey: cdn.KeyRule{Query: cdn.QueryRule{Mode: cdn.QueryNone}, Cookies: []string{"lang"}}}
	post := cdn.Route{Match: cdn.Match{Methods: []string{http.MethodPost}}, CacheKey: cdn.KeyRule{Query: cdn.QueryRule{Mode: cdn.QueryNone}}}
	for name, tt := range map[string]struct {
		routes  []cdn.Route
		request string
		fields  []string
	}{
		"a claim":                          {nil, "GET /a", []string{"X-Forwarded-Host", "evil.example"}},
		"a claim with underscores":         {nil, "GET /a", []string{"X_Forwarded_Host", "evil.example"}},
		"a claim with one underscore":      {nil, "GET /a", []string{"X-Forwarded_Host", "evil.example"}},
		"Forwarded":                        {nil, "GET /a", []string{"Forwarded", "host=evil.example"}},
		"another URL":                      {nil, "GET /a", []string{"X-Original-URL", "/evil", "X-Rewrite-URL", "/evil"}},
		"another method":                   {nil, "GET /a", []string{"X-HTTP-Method-Override", "evil"}},
		"another method, with underscores": {nil, "GET /a", []string{"X_HTTP_Method_Override", "evil"}},
		"a claim in HEAD":                  {nil, "HEAD /a", []string{"X-Forwarded-Host", "evil.example"}},
		"a query that is not in the key":   {[]cdn.Route{byPath}, "GET /a?evil", nil},
		"a cookie that is not in the key":  {[]cdn.Route{byPath}, "GET /a", []string{"Cookie", "lang=de; x=evil"}},
		"a POST with a query":              {[]cdn.Route{byPath}, "POST /a?evil", nil},
		"a POST with a cookie":             {[]cdn.Route{byPath}, "POST /a", []string{"Cookie", "x=evil"}},
		"a POST of another route":          {[]cdn.Route{post}, "POST /a?evil", nil},
		"a POST with another method":       {nil, "POST /a", []string{"X-HTTP-Method-Override", "evil"}},
		"a claim of a node":                {nil, "GET /a", []string{"Nearcast-Device", "evil", "Nearcast-Country", "evil", "Nearcast-Hop", "evil"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, parroting, tt.routes...)
			r.chain(t)
			method, path, _ := strings.Cut(tt.request, " ")
			r.ask(t, method, r.addr("fra-1"), domain, path, tt.fields...)
			for _, cookie := range []string{"", "lang=de"} {
				var fields []string
				if cookie != "" {
					fields = []string{"Cookie", cookie}
				}
				if a := r.get(t, r.addr("fra-1"), "/a", fields...); strings.Contains(a.body, "evil") {
					t.Errorf("another visitor gets %s %q, %s", a.word(), a.body, a.status())
				}
			}
		})
	}
}

// TestAttackInterimOfAnother: what an origin says to one visitor before it says that its answer is private is not
// for those who wait.
func TestAttackInterimOfAnother(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get("Cookie") == "user=a" {
			once.Do(func() { close(arrived); <-release })
			w.Header().Set("Link", "</account/a/avatar.png>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
			w.Header().Del("Link")
		}
		w.Header().Set("Cache-Control", "private")
		io.WriteString(w, "for "+req.Header.Get("Cookie"))
	})
	registry := prometheus.NewRegistry()
	_, addr := r.startAlone(t, func(cfg *edge.Config) { cfg.Registry = registry })
	var first sync.WaitGroup
	first.Go(func() { r.get(t, addr, "/account", "Cookie", "user=a") })
	<-arrived
	_, in := dialled(t, addr, "GET /account HTTP/1.1\r\nHost: "+domain+"\r\nCookie: user=b\r\nConnection: close\r\n\r\n")
	eventually(t, "both wait", func() bool { return metric(t, registry, "nearcast_edge_fill_readers") == 2 })
	close(release)
	for status := 0; status < 200; {
		p := readReply(t, in, http.MethodGet)
		if status = p.status; p.link != "" {
			t.Errorf("visitor b got status %d with %s of visitor a", p.status, p.link)
		}
	}
	first.Wait()
}

// TestAttackFailureOfAnother: a request that makes the origin hang up costs its visitor an answer, and not those who wait
// for the same URL with harmless requests.
func TestAttackFailureOfAnother(t *testing.T) {
	arrived, release := make(chan struct{}, 100), make(chan struct{})
	v := newVillain(t, func(w io.Writer, req *http.Request) {
		if req.Header.Get("X-Evil") != "" {
			arrived <- struct{}{}
			<-release
			return
		}
		io.WriteString(w, "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 4\r\n\r\ngood")
	})
	r := newRig(t, cacheable)
	registry := prometheus.NewRegistry()
	_, addr := r.startBefore(t, v, "", func(cfg *edge.Config) { cfg.Registry = registry })
	var visitors sync.WaitGroup
	visitors.Go(func() { r.tryGet(t, addr, "/a", "X-Evil", "1") })
	<-arrived
	for range 3 {
		visitors.Go(func() {
			if status, body, err := r.tryGet(t, addr, "/a"); status != http.StatusOK {
				t.Errorf("a harmless visitor got %d %q %v", status, body, err)
			}
		})
	}
	eventually(t, "all wait", func() bool { return metric(t, registry, "nearcast_edge_fill_readers") == 4 })
	close(release)
	visitors.Wait()
}

// TestAttackLosingTheLoop: nobody can have CDN-Loop taken off on the way (RFC 8586 section 2).
func TestAttackLosingTheLoop(t *testing.T) {
	for _, option := range []string{"CDN-Loop", "cdn-loop", "CDN-LOOP", "cDN-lOOP"} {
		var got string
		r := newRig(t, func(_ http.ResponseWriter, req *http.Request) { got = strings.Join(req.Header["Cdn-Loop"], ", ") })
		_, addr := r.startAlone(t)
		reply := raw(t, addr, "GET /a HTTP/1.1\r\nHost: "+domain+"\r\nCDN-Loop: another-cdn\r\nConnection: close, "+option+"\r\n\r\n")
		if !strings.HasPrefix(reply, "HTTP/1.1 400") && !strings.Contains(got, "another-cdn") {
			t.Errorf("Connection: %s: upstream gets CDN-Loop %q", option, got)
		}
	}
}

// TestAttackConnectionHidesPrivate: a response that names its Cache-Control or Vary in Connection is no less private
// for that, in neither tier.
func TestAttackConnectionHidesPrivate(t *testing.T) {
	for name, field := range map[string]string{"Cache-Control": "private", "CDN-Cache-Control": "private", "Vary": "Cookie"} {
		r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
			w.Header().Set("Connection", name)
			w.Header().Set("Expires", "Thu, 01 Jan 2099 00:00:00 GMT")
			w.Header().Set(name, field)
			io.WriteString(w, "for "+req.Header.Get("Cookie"))
		})
		r.chain(t)
		for _, visitor := range []string{"a", "b"} {
			if a := r.get(t, r.addr("fra-1"), "/a", "Cookie", visitor); a.body != "for "+visitor {
				t.Errorf("%s: visitor %s gets %q, %s", name, visitor, a.body, a.status())
			}
		}
	}
}
