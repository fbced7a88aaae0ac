package policy_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the machine may have none

	"github.com/google/go-cmp/cmp"

	"nearcast/cdn"
	"nearcast/internal/locate"
	"nearcast/scheduler/policy"
)

var pops = []cdn.POPName{"a", "b", "c"}

func fleet(policies ...cdn.Policy) *cdn.Fleet {
	f := &cdn.Fleet{Policies: policies, POPs: []cdn.POP{{Name: "vacant", Tier: cdn.TierEdge}}}
	for _, name := range pops {
		f.POPs = append(f.POPs, cdn.POP{Name: name, Tier: cdn.TierEdge})
	}
	return f
}

func compile(t *testing.T, policies ...cdn.Policy) *policy.Set {
	t.Helper()
	for i := range policies {
		if policies[i].Name == "" {
			policies[i].Name = string(rune('A' + i))
		}
	}
	s, err := policy.Compile(fleet(policies...), pops, []locate.Place{
		{Location: cdn.Location{Country: "DE"}, ASN: 64500, ISP: "Telekom"}, {Location: cdn.Location{Country: "FR"}}, {},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC) // a Monday

// allowed are the names of the POPs that a verdict allows.
func allowed(v *policy.Verdict) (names []cdn.POPName) {
	for i, name := range pops {
		if v.Allows(i) {
			names = append(names, name)
		}
	}
	return names
}

// Only POPs that every allow names and no deny names may be chosen; the first pin or weights decides; preferences are added.
func TestVerdict(t *testing.T) {
	type names = []cdn.POPName
	for _, test := range []struct {
		name     string
		policies []cdn.Policy
		allowed  names
		pin      int
		weights  []policy.Weight
		prefer   [3]float64
	}{
		{"allow", []cdn.Policy{{Allow: names{"a", "b"}}}, names{"a", "b"}, -1, nil, [3]float64{}},
		{"allows", []cdn.Policy{{Allow: names{"a", "b"}}, {Allow: names{"b", "c"}}}, names{"b"}, -1, nil, [3]float64{}},
		{"allow one without nodes", []cdn.Policy{{Allow: names{"vacant"}}}, nil, -1, nil, [3]float64{}},
		{"deny", []cdn.Policy{{Deny: names{"a"}}, {Deny: names{"c"}}}, names{"b"}, -1, nil, [3]float64{}},
		{"allow and deny", []cdn.Policy{{Allow: names{"a", "b"}, Deny: names{"a"}}}, names{"b"}, -1, nil, [3]float64{}},
		{"pin", []cdn.Policy{{Pin: "b"}}, pops, 1, nil, [3]float64{}},
		{"first pin", []cdn.Policy{{Pin: "b"}, {Pin: "c"}, {Weights: []cdn.POPWeight{{POP: "a", Weight: 1}}}}, pops, 1, nil, [3]float64{}},
		{"denied pin", []cdn.Policy{{Pin: "b"}, {Deny: names{"b"}}}, names{"a", "c"}, -1, nil, [3]float64{}},
		{"pin without nodes", []cdn.Policy{{Pin: "vacant"}}, pops, -1, nil, [3]float64{}},
		{"weights", []cdn.Policy{
			{Weights: []cdn.POPWeight{{POP: "a", Weight: 1}, {POP: "b", Weight: 2}, {POP: "c", Weight: 3}}}, {Pin: "b"}, {Deny: names{"c"}},
		}, names{"a", "b"}, -1, []policy.Weight{{0, 1}, {1, 2}}, [3]float64{}},
		{"prefer", []cdn.Policy{{Prefer: []cdn.POPPreference{{POP: "a", MS: 5}, {POP: "vacant", MS: 9}}}, {Prefer: []cdn.POPPreference{{POP: "a", MS: 2}, {POP: "c", MS: 1}}}}, pops, -1, nil, [3]float64{7, 0, 1}},
		{"prefer below zero", []cdn.Policy{{Prefer: []cdn.POPPreference{{POP: "b", MS: -20}, {POP: "c", MS: 1}}}}, pops, -1, nil, [3]float64{20, 0, 21}},
	} {
		t.Run(test.name, func(t *testing.T) {
			v, _ := compile(t, test.policies...).At(noon, nil).Verdict(policy.Visitor{Place: locate.None})
			if got := allowed(v); !slices.Equal(got, test.allowed) || v.Strict != (len(got) < len(pops)) {
				t.Errorf("allowed %v, strict %t; want %v", got, v.Strict, test.allowed)
			}
			if v.Pin != test.pin || !slices.Equal(v.Weights, test.weights) {
				t.Errorf("pin %d, weights %v; want %d, %v", v.Pin, v.Weights, test.pin, test.weights)
			}
			if got := [3]float64{v.Prefer(0), v.Prefer(1), v.Prefer(2)}; got != test.prefer || v.Prefers() != (got != [3]float64{}) {
				t.Errorf("preferences %v, want %v", got, test.prefer)
			}
		})
	}
	var none *policy.Verdict
	if !none.Allows(1) || none.Prefer(1) != 0 || none.Prefers() {
		t.Error("no verdict is one")
	}
}

// All conditions must hold; of a list, one item.
func TestMatch(t *testing.T) {
	prefix := netip.MustParsePrefix
	set := compile(t,
		cdn.Policy{Name: "all", Deny: []cdn.POPName{"a"}},
		cdn.Policy{Name: "country", Deny: []cdn.POPName{"a"}, Match: cdn.PolicyMatch{Countries: []string{"AT", "DE"}}},
		cdn.Policy{Name: "carrier", Deny: []cdn.POPName{"a"}, Match: cdn.PolicyMatch{ISPs: []string{"telekom"}}},
		cdn.Policy{Name: "number", Deny: []cdn.POPName{"a"}, Match: cdn.PolicyMatch{ISPs: []string{"as64500"}}},
		cdn.Policy{Name: "wide", Deny: []cdn.POPName{"a"}, Match: cdn.PolicyMatch{Prefixes: []netip.Prefix{prefix("10.0.0.0/8")}}},
		cdn.Policy{Name: "narrow", Deny: []cdn.POPName{"a"}, Match: cdn.PolicyMatch{Prefixes: []netip.Prefix{prefix("192.0.2.0/24"), prefix("10.1.0.0/16")}}},
		cdn.Policy{Name: "site", Deny: []cdn.POPName{"a"}, Match: cdn.PolicyMatch{Sites: []cdn.SiteName{"shop", "news"}}},
		cdn.Policy{Name: "other", Deny: []cdn.POPName{"a"}, Match: cdn.PolicyMatch{Sites: []cdn.SiteName{"news"}}},
		cdn.Policy{Name: "both", Deny: []cdn.POPName{"a"}, Match: cdn.PolicyMatch{Sites: []cdn.SiteName{"shop"}, Countries: []string{"FR"}}},
		cdn.Policy{Name: "past", Deny: []cdn.POPName{"a"}, Match: cdn.PolicyMatch{Window: cdn.Window{Until: noon}}},
	)
	for _, test := range []struct {
		place int
		addr  string
		site  cdn.SiteName
		want  string
		scope int
	}{
		{locate.None, "198.51.100.1", "", "all", 6},
		{0, "198.51.100.1", "", "all country carrier number", 6},
		{1, "198.51.100.1", "", "all", 6},
		{2, "10.2.0.1", "", "all wide", 15},
		{2, "10.1.0.1", "", "all wide narrow", 16},
		{2, "192.0.2.1", "blog", "all narrow", 24},
		{2, "2001:db8::1", "shop", "all site", 0},
		{2, "2001:db8::1", "news", "all site other", 0},
		{1, "10.1.0.1", "shop", "all wide narrow site both", 16},
	} {
		v, scope := set.At(noon, nil).Verdict(policy.Visitor{Place: test.place, Addr: netip.MustParseAddr(test.addr), Class: set.Class(test.site)})
		if got := strings.Join(v.Policies, " "); got != test.want || scope != test.scope {
			t.Errorf("place %d, %s, %q: %s, scope %d; want %s, scope %d", test.place, test.addr, test.site, got, scope, test.want, test.scope)
		}
	}
	if set.Classes() != 3 || set.Class("blog") != 0 || set.Class("shop") == set.Class("news") || set.ClassName(0) != "" {
		t.Errorf("%d classes", set.Classes())
	}
	active := set.At(noon, nil)
	if !active.Narrow(0) || active.Narrow(1) || !active.Forbids(0) || active.Forbids(1) {
		t.Error("who is forbidden is not known")
	}
	if set.At(noon.Add(time.Hour), active) != active || set.At(noon.Add(-time.Hour), active) == active {
		t.Error("policies in force are not told apart")
	}
}

// Windows go by the clocks on the wall of their zone. In Berlin, summer time began on 29 March 2026 at 02:00, which became 03:00, and ends on
// 25 October 2026 at 03:00, which becomes 02:00.
func TestWindow(t *testing.T) {
	berlin := func(begin, end string, days ...string) cdn.Window {
		return cdn.Window{Begin: begin, End: end, Days: days, Zone: "Europe/Berlin"}
	}
	for _, test := range []struct {
		name   string
		window cdn.Window
		at     string // UTC
		want   bool
	}{
		{"always", cdn.Window{}, "2026-03-02 12:00", true},
		{"before", cdn.Window{From: noon}, "2026-03-02 11:59", false},
		{"from", cdn.Window{From: noon}, "2026-03-02 12:00", true},
		{"until", cdn.Window{Until: noon}, "2026-03-02 12:00", false},
		{"day", cdn.Window{Days: []string{"mon"}}, "2026-03-02 00:00", true},
		{"other day", cdn.Window{Days: []string{"mon"}}, "2026-03-03 00:00", false},
		{"day elsewhere", cdn.Window{Days: []string{"mon"}, Zone: "Asia/Tokyo"}, "2026-03-01 15:00", true},
		{"begin", berlin("09:00", "17:00"), "2026-03-02 08:00", true},
		{"shortly before", berlin("09:00", "17:00"), "2026-03-02 07:59", false},
		{"end", berlin("09:00", "17:00"), "2026-03-02 16:00", false},
		{"in summer", berlin("09:00", "17:00"), "2026-06-02 07:00", true},
		{"in summer before", berlin("09:00", "17:00"), "2026-06-02 06:59", false},
		{"day before the change", berlin("09:00", "17:00"), "2026-03-28 07:30", false},
		{"day after the change", berlin("09:00", "17:00"), "2026-03-29 07:30", true},
		{"night", berlin("22:00", "06:00"), "2026-03-02 21:00", true},
		{"morning after", berlin("22:00", "06:00"), "2026-03-03 04:59", true},
		{"day between", berlin("22:00", "06:00"), "2026-03-03 05:00", false},
		{"night of friday", berlin("22:00", "06:00", "fri"), "2026-03-07 04:59", true},
		{"friday morning", berlin("22:00", "06:00", "fri"), "2026-03-06 04:59", false},
		{"whole day from noon", berlin("12:00", "12:00", "fri"), "2026-03-07 10:59", true},
		{"whole day until noon", berlin("12:00", "12:00", "fri"), "2026-03-07 11:00", false},
		{"last minute before the gap", berlin("01:30", "03:00"), "2026-03-29 00:59", true},
		{"hour that is not there", berlin("02:00", "03:00"), "2026-03-29 01:00", false},
		{"night over the gap", berlin("22:00", "06:00"), "2026-03-29 03:59", true},
		{"its end", berlin("22:00", "06:00"), "2026-03-29 04:00", false},
		{"hour that is there twice", berlin("02:00", "03:00"), "2026-10-25 00:30", true},
		{"and again", berlin("02:00", "03:00"), "2026-10-25 01:30", true},
		{"and over", berlin("02:00", "03:00"), "2026-10-25 02:00", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			now, err := time.Parse("2006-01-02 15:04", test.at)
			if err != nil {
				t.Fatal(err)
			}
			set := compile(t, cdn.Policy{Pin: "a", Match: cdn.PolicyMatch{Window: test.window}})
			v, _ := set.At(now, nil).Verdict(policy.Visitor{Place: locate.None})
			if got := v != nil; got != test.want {
				t.Errorf("in force %t at %s, want %t", got, now.In(time.FixedZone("", 3600)), test.want)
			}
		})
	}
}

func TestCompileRefuses(t *testing.T) {
	_, err := policy.Compile(fleet(cdn.Policy{Name: "x", Pin: "z"}), pops, nil)
	if cdn.KindOf(err) != cdn.Invalid {
		t.Errorf("error %v, want one of kind invalid", err)
	}
	set, err := policy.Compile(fleet(), pops, nil)
	if err != nil || set.Len() != 0 || set.Classes() != 1 {
		t.Errorf("without any: %v", err)
	}
	if v, scope := set.At(noon, nil).Verdict(policy.Visitor{Place: 3}); v != nil || scope != 0 {
		t.Errorf("without any: %+v", v)
	}
	if diff := cmp.Diff("[A]", compile(t, cdn.Policy{Pin: "a"}).At(noon, nil).String()); diff != "" {
		t.Error(diff)
	}
}
