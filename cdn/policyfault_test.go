package cdn_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"nearcast/cdn"
)

func policyFleet(policies ...cdn.Policy) *cdn.Fleet {
	return &cdn.Fleet{
		POPs: []cdn.POP{{Name: "fra", Tier: cdn.TierEdge}, {Name: "lon", Tier: cdn.TierEdge}, {Name: "par", Tier: cdn.TierEdge}, {Name: "ams", Tier: cdn.TierRegional}},
		Nodes: []cdn.Node{
			{Name: "a", POP: "fra", Roles: []cdn.Role{cdn.RoleEdge}},
			{Name: "b", POP: "lon", Roles: []cdn.Role{cdn.RoleEdge}},
			{Name: "c", POP: "par", Roles: []cdn.Role{cdn.RoleEdge}},
			{Name: "d", POP: "ams", Roles: []cdn.Role{cdn.RoleEdge}},
		},
		Policies: policies,
	}
}

// Two policies, one for fra only and one for lon only, leave nothing for whom both match. That is found where it is certain, and
// nothing is found where it is not: a fleet that is right is never refused.
func TestPolicyDeadEnd(t *testing.T) {
	day := func(days ...string) cdn.PolicyMatch { return cdn.PolicyMatch{Window: cdn.Window{Days: days}} }
	hours := func(begin, end, zone string, days ...string) cdn.PolicyMatch {
		return cdn.PolicyMatch{Window: cdn.Window{Begin: begin, End: end, Zone: zone, Days: days}}
	}
	span := func(from, until int) cdn.PolicyMatch {
		at := func(month int) time.Time {
			if month == 0 {
				return time.Time{}
			}
			return time.Date(2027, time.Month(month), 1, 0, 0, 0, 0, time.UTC)
		}
		return cdn.PolicyMatch{Window: cdn.Window{From: at(from), Until: at(until)}}
	}
	countries := func(c ...string) cdn.PolicyMatch { return cdn.PolicyMatch{Countries: c} }
	isps := func(c ...string) cdn.PolicyMatch { return cdn.PolicyMatch{ISPs: c} }
	prefixes := func(p ...string) (m cdn.PolicyMatch) {
		for _, s := range p {
			m.Prefixes = append(m.Prefixes, netip.MustParsePrefix(s))
		}
		return m
	}
	sites := func(s ...cdn.SiteName) cdn.PolicyMatch { return cdn.PolicyMatch{Sites: s} }
	tests := []struct {
		name     string
		fra, lon cdn.PolicyMatch
		want     bool // that somebody is left nothing
	}{
		{"everybody", cdn.PolicyMatch{}, cdn.PolicyMatch{}, true},
		{"everybody and some", cdn.PolicyMatch{}, countries("DE"), true},
		{"other countries", countries("DE", "AT"), countries("GB"), false},
		{"a country in common", countries("DE", "AT"), countries("GB", "AT"), true},
		{"a country and a carrier, which may be elsewhere", countries("DE"), isps("BT"), false},
		{"a country, and a carrier in it", countries("DE"), cdn.PolicyMatch{Countries: []string{"DE"}, ISPs: []string{"BT"}}, true},
		{"a country and a site", countries("DE"), sites("shop"), true},
		{"a carrier in two spellings", isps("Telekom"), isps("TELEKOM"), true},
		{"other sites", sites("shop"), sites("blog"), false},
		{"prefixes that nest", prefixes("10.0.0.0/8"), prefixes("10.1.0.0/16", "11.0.0.0/8"), true},
		{"prefixes apart", prefixes("10.0.0.0/8"), prefixes("11.0.0.0/8"), false},
		{"day and night", hours("08:00", "20:00", ""), hours("20:00", "08:00", ""), false},
		{"day and a longer night", hours("08:00", "20:00", "UTC"), hours("19:59", "08:00", ""), true},
		{"other days", day("mon", "tue"), day("wed"), false},
		{"the same day", day("mon", "tue"), day("tue"), true},
		{"the night before", hours("22:00", "06:00", "", "sat"), day("sun"), true},
		{"the night before ends", hours("22:00", "06:00", "", "sat"), hours("06:00", "22:00", "", "sun"), false},
		{"other zones, which cannot be told", hours("08:00", "20:00", "Europe/Berlin"), hours("08:00", "20:00", "Asia/Tokyo"), false},
		{"one after the other", span(1, 2), span(2, 3), false},
		{"spans that overlap", span(1, 3), span(2, 0), true},
		{"a month of Mondays", span(1, 3), day("mon"), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fra := cdn.Policy{Name: "one", Match: tt.fra, Allow: []cdn.POPName{"fra"}}
			lon := cdn.Policy{Name: "two", Match: tt.lon, Deny: []cdn.POPName{"fra"}}
			for _, f := range []*cdn.Fleet{policyFleet(fra, lon), policyFleet(lon, fra)} {
				if got := f.PolicyDeadEnd(); (got != nil) != tt.want {
					t.Errorf("found %v, want one: %v", got, tt.want)
				}
			}
		})
	}
}

func TestPolicyDeadEndOfThree(t *testing.T) {
	f := policyFleet(
		cdn.Policy{Name: "one", Deny: []cdn.POPName{"fra"}},
		cdn.Policy{Name: "idle", Prefer: []cdn.POPPreference{{POP: "fra", MS: 1}}},
		cdn.Policy{Name: "two", Deny: []cdn.POPName{"lon"}},
		cdn.Policy{Name: "three", Match: cdn.PolicyMatch{Countries: []string{"DE"}}, Deny: []cdn.POPName{"par"}},
	)
	got := f.PolicyDeadEnd()
	want := "policies[3]: together with one (policies[0]) and two (policies[2]) it leaves no edge POP for visitors whom they all match (allow a POP in all of them, or narrow a match)"
	if got == nil || got.String() != want {
		t.Errorf("got %v, want %s", got, want)
	}
	f.Policies[3].Deny = []cdn.POPName{"lon"}
	if got := f.PolicyDeadEnd(); got != nil {
		t.Errorf("got %v although par is left", got)
	}
	f.Nodes = nil
	if got := f.PolicyDeadEnd(); got != nil {
		t.Errorf("got %v of a fleet without caches", got)
	}
}

// Many policies with long lists are no way to keep the control plane busy.
func TestPolicyDeadEndIsBounded(t *testing.T) {
	f := policyFleet()
	for i := range cdn.MaxPolicies {
		m := cdn.PolicyMatch{}
		for k := range 1000 {
			m.Prefixes = append(m.Prefixes, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(k >> 8), byte(k), 0}), 24))
		}
		f.Policies = append(f.Policies, cdn.Policy{Name: fmt.Sprint(i), Match: m, Deny: []cdn.POPName{[]cdn.POPName{"fra", "lon"}[i%2]}})
	}
	began := time.Now()
	if got := f.PolicyDeadEnd(); got != nil {
		t.Errorf("got %v although par is left", got)
	}
	if d := time.Since(began); d > 30*time.Second {
		t.Errorf("it took %v", d)
	}
}
