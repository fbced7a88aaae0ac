package edge_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"nearcast/cdn"
	"nearcast/edge/shed"
	"nearcast/internal/signedurl"
)

// An overloaded node signs where it sends visitors, so that the other node has them; and keeps whom nodes have sent back.
func TestSignedDivert(t *testing.T) {
	r := neighbourhood(t)
	r.clock.stop()
	r.sites[0].Redirection = cdn.Redirection{Signed: true}
	var s strain
	fra := r.start(t, "fra-1", s.option, withRedirectKey)
	r.start(t, "fra-2", withRedirectKey)
	visitor := r.visitors(t, fra)["HTTP/1.1"]
	visitor.get(t, http.MethodGet, domain, "/big?a")
	s.relief.Store(&shed.Relief{Default: "lon", Loads: map[cdn.NodeName]float64{"fra-2": 0.5}})
	s.set(r, fra, 1.2, 0)
	resp := visitor.get(t, http.MethodGet, domain, "/big?a")
	location := resp.Header.Get("Location")
	if resp.StatusCode != http.StatusFound || !strings.Contains(location, "//fra-2"+nameSuffix) || !strings.Contains(location, "/big?a&"+signedurl.Name+"=") {
		t.Fatalf("%d %q", resp.StatusCode, location)
	}
	_, uri, _ := strings.Cut(strings.TrimPrefix(location, "http://"), "/")
	if there := visitor.get(t, http.MethodGet, "fra-2"+nameSuffix, "/"+uri); there.StatusCode != http.StatusOK {
		t.Errorf("the other node says %d", there.StatusCode)
	}
	back := signedurl.Mark("/big?a", signedurl.Ticket{Hop: 1, Expires: r.clock.now().Add(time.Minute).Unix()})
	if here := visitor.get(t, http.MethodGet, domain, back); here.StatusCode != http.StatusOK {
		t.Errorf("who was sent back gets %d", here.StatusCode)
	}
}
