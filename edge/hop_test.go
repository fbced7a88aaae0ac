package edge

import (
	"strings"
	"testing"
	"time"
)

const (
	fleetSecret = "a secret of the fleet"
	hopURL      = "http://www.shop.example/a"
	visitor     = "192.0.2.7"
)

func TestHopFitsOneRequestOnly(t *testing.T) {
	at := time.Unix(1e9, 0)
	field := hop{node: "fra-1", at: at, revision: 7, scheme: "http", country: "DE"}.sign(fleetSecret, hopURL, visitor)
	for name, tt := range map[string]struct {
		now             time.Time
		secret, field   string
		client, urlPath string
		ok              bool
	}{
		"genuine":     {at, fleetSecret, field, visitor, hopURL, true},
		"early":       {at.Add(-59 * time.Second), fleetSecret, field, visitor, hopURL, true},
		"late":        {at.Add(59 * time.Second), fleetSecret, field, visitor, hopURL, true},
		"expired":     {at.Add(61 * time.Second), fleetSecret, field, visitor, hopURL, false},
		"future":      {at.Add(-61 * time.Second), fleetSecret, field, visitor, hopURL, false},
		"othersecret": {at, "another secret", field, visitor, hopURL, false},
		"otherurl":    {at, fleetSecret, field, visitor, hopURL + "?admin", false},
		"otherclient": {at, fleetSecret, field, "192.0.2.8", hopURL, false},
		"revision":    {at, fleetSecret, "fra-1 1000000000 8 http " + field[len(field)-64:], visitor, hopURL, false},
		"country":     {at, fleetSecret, strings.Replace(field, "http DE", "http FR", 1), visitor, hopURL, false},
		"nocountry":   {at, fleetSecret, strings.Replace(field, " DE", "", 1), visitor, hopURL, false},
		"nosecret":    {at, "", field, visitor, hopURL, false},
		"empty":       {at, fleetSecret, "", visitor, hopURL, false},
		"truncated":   {at, fleetSecret, field[:len(field)-1], visitor, hopURL, false},
	} {
		t.Run(name, func(t *testing.T) {
			h, ok := verifyHop(tt.now, tt.secret, tt.field, tt.client, func(string) string { return tt.urlPath })
			if ok != tt.ok || ok && (h.node != "fra-1" || h.revision != 7 || h.country != "DE") {
				t.Errorf("%v %+v, want %v", ok, h, tt.ok)
			}
		})
	}
}

// TestHopCountry: nodes of before say no country, which is not the same as one that is unknown.
func TestHopCountry(t *testing.T) {
	for word, want := range map[string]struct {
		country string
		said    bool
	}{"": {"", false}, countryWord(""): {"", true}, countryWord("DE"): {"DE", true}} {
		field := hop{node: "fra-1", at: time.Unix(1e9, 0), revision: 7, scheme: "https", country: word}.sign(fleetSecret, hopURL, visitor)
		h, ok := verifyHop(time.Unix(1e9, 0), fleetSecret, field, visitor, func(string) string { return hopURL })
		if country, said := h.placed(); !ok || country != want.country || said != want.said || h.scheme != "https" {
			t.Errorf("%q: %v, %q %v of %+v", field, ok, country, said, h)
		}
	}
}

// FuzzHop: no text but what a node would send is taken for a hop.
func FuzzHop(f *testing.F) {
	genuine := hop{node: "fra-1", at: time.Unix(1e9, 0), revision: 7, scheme: "http"}.sign(fleetSecret, hopURL, visitor)
	f.Add(genuine)
	f.Add("fra-1 1000000000 7 http 00")
	f.Add("fra-1 +1000000000 07 http " + genuine[len(genuine)-64:])
	f.Add("    ")
	f.Fuzz(func(t *testing.T, field string) {
		_, ok := verifyHop(time.Unix(1e9, 0), fleetSecret, field, visitor, func(string) string { return hopURL })
		if ok && field != genuine {
			t.Errorf("%q is taken for a hop", field)
		}
	})
}
