package edge_test

import (
	"net/netip"
	"strings"
	"testing"

	"nearcast/cdn"
	"nearcast/edge"
	"nearcast/internal/geo"
	"nearcast/internal/prefixtable"
)

// inCountry returns a database in which all the visitors of these tests are in one country.
func inCountry(t *testing.T, code string) *geo.Database {
	t.Helper()
	table, err := prefixtable.New([]prefixtable.Entry{{Prefix: netip.MustParsePrefix("127.0.0.0/8")}})
	if err != nil {
		t.Fatal(err)
	}
	return &geo.Database{Table: table, Records: []geo.Record{{Country: code}}}
}

// TestPlaces: rules by country follow the database of addresses, from one request to the next on the same connection, and the fleet's own
// prefixes go before it.
func TestPlaces(t *testing.T) {
	r := newRig(t, asked("Nearcast-Country", "X-End"), cdn.Route{CacheKey: cdn.KeyRule{Country: true}})
	l1, _ := r.chain(t)
	see := func(when, want, word string) {
		t.Helper()
		if got := r.say(t, "fra-1", "/a"); !strings.Contains(got.body, "Nearcast-Country="+want+" ") || got.word() != word {
			t.Errorf("%s: %s %q, want %s for country %q", when, got.word(), got.body, word, want)
		}
	}
	see("no database", "", "MISS")
	l1.ApplyPlaces(inCountry(t, "FR"))
	see("a database", "FR", "MISS")
	see("again", "FR", "HIT")
	l1.ApplyPlaces(inCountry(t, "JP"))
	see("another", "JP", "MISS")
	l1.ApplyPlaces(inCountry(t, "FR"))
	see("as before", "FR", "HIT")
	r.fleet.Clients = []cdn.ClientPrefix{{Prefix: netip.MustParsePrefix("127.0.0.0/8"), Location: cdn.Location{Country: "DE"}}}
	if err := l1.Apply(&cdn.Snapshot{Generation: 2, Fleet: r.fleet, Sites: r.sites}); err != nil {
		t.Fatal(err)
	}
	see("the fleet's prefix", "DE", "MISS")
	l1.ApplyPlaces(inCountry(t, "JP"))
	see("the fleet's prefix before another database", "DE", "HIT")
	r.fleet.Clients = nil
	if err := l1.Apply(&cdn.Snapshot{Generation: 3, Fleet: r.fleet, Sites: r.sites}); err != nil {
		t.Fatal(err)
	}
	see("the database of before", "JP", "HIT")
	l1.ApplyPlaces(nil)
	see("none any more", "", "HIT")
}

// TestPlacesOfTiers: a regional node takes the visitor to be where the edge node does, whatever its own database says: else what is
// stored for one country would be another's.
func TestPlacesOfTiers(t *testing.T) {
	r := newRig(t, asked("Nearcast-Country", "X-End"), cdn.Route{CacheKey: cdn.KeyRule{Country: true}})
	l1, l2 := r.chain(t)
	for _, node := range l2 {
		node.ApplyPlaces(inCountry(t, "US"))
	}
	for _, step := range []struct {
		path     string
		database *geo.Database
		want     string
	}{{"/unknown", nil, ""}, {"/other", inCountry(t, "FR"), "FR"}} {
		l1.ApplyPlaces(step.database)
		if got := r.say(t, "fra-1", step.path); !strings.Contains(got.body, "Nearcast-Country="+step.want+" ") {
			t.Errorf("the origin heard %q, want country %q", got.body, step.want)
		}
	}
}

// TestPlacesBefore: a database may come before the first configuration.
func TestPlacesBefore(t *testing.T) {
	r := newRig(t, asked("Nearcast-Country", "X-End"), cdn.Route{CacheKey: cdn.KeyRule{Country: true}})
	s := r.startConfig(t, edge.Config{Node: "fra-1", Addr: r.addr("fra-1"), RAM: 64 << 20, Secret: "a secret of the fleet"})
	s.ApplyPlaces(inCountry(t, "FR"))
	for _, node := range []string{"ams-1", "ams-2"} {
		r.start(t, node)
	}
	if err := s.Apply(&cdn.Snapshot{Generation: 1, Fleet: r.fleet, Sites: r.sites}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "ready", func() bool { return s.Ready() == nil })
	if got := r.say(t, "fra-1", "/a"); !strings.Contains(got.body, "Nearcast-Country=FR ") {
		t.Errorf("the origin heard %q", got.body)
	}
}
