package keyview_test

import (
	"strings"
	"testing"
	"time"

	"nearcast/cdn"
	"nearcast/control/keyview"
	"nearcast/internal/dnskey"
)

// Parents are to be given the DS records of zones that are not within another one of ours: the schedulers make those of the others.
func TestDSForParents(t *testing.T) {
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	key, err := dnskey.New([]byte("a secret of sufficient length"), now, nil)
	if err != nil {
		t.Fatal(err)
	}
	key.State = cdn.KeyActive
	s := &cdn.Snapshot{ZoneKeys: []cdn.ZoneKey{key}}
	s.Fleet.Zone, s.Fleet.DNS.Signed = "cdn.shop.test", true
	s.Fleet.Zones = []cdn.Zone{{Name: "shop.test"}, {Name: "a.b.shop.test"}, {Name: "cdn.shop.test"}, {Name: "xshop.test"}}
	var names []string
	for _, ds := range keyview.Of(s, now).DS {
		name, _, _ := strings.Cut(ds, " ")
		names = append(names, name)
	}
	if got := strings.Join(names, " "); got != "shop.test. xshop.test." {
		t.Errorf("DS of %s", got)
	}
}
