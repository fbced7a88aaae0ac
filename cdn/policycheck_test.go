package cdn_test

import (
	"fmt"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	"nearcast/cdn"
)

func TestCheckPolicies(t *testing.T) {
	day := func(w cdn.Window) cdn.Policy { return cdn.Policy{Pin: "a", Match: cdn.PolicyMatch{Window: w}} }
	for _, test := range []struct {
		name   string
		policy cdn.Policy
		want   string // "" if it is right
	}{
		{"all", cdn.Policy{
			Match: cdn.PolicyMatch{
				Countries: []string{"DE"}, ISPs: []string{"AS64500", "Telekom"}, Prefixes: []netip.Prefix{netip.MustParsePrefix("2001:db8::/32")}, Sites: []cdn.SiteName{"shop"},
				Window: cdn.Window{Days: []string{"mon", "sun"}, Begin: "22:00", End: "06:00", Zone: "Europe/Berlin"},
			},
			Allow: []cdn.POPName{"a", "b"}, Deny: []cdn.POPName{"b"}, Pin: "a", Prefer: []cdn.POPPreference{{POP: "a", MS: -1000}},
		}, ""},
		{"weights", cdn.Policy{Weights: []cdn.POPWeight{{POP: "a", Weight: 1}, {POP: "b", Weight: 1000}}}, ""},
		{"nothing", cdn.Policy{}, "says nothing"},
		{"both", cdn.Policy{Pin: "a", Weights: []cdn.POPWeight{{POP: "a", Weight: 1}}}, "make it two"},
		{"unknown allow", cdn.Policy{Allow: []cdn.POPName{"a", "c"}}, `allow[1]: the fleet has no POP "c"`},
		{"unknown deny", cdn.Policy{Deny: []cdn.POPName{"c"}}, `deny[0]: the fleet has no POP "c"`},
		{"unknown pin", cdn.Policy{Pin: "c"}, `pin: the fleet has no POP "c"`},
		{"regional pin", cdn.Policy{Pin: "hub"}, `tier "regional"`},
		{"unknown weight", cdn.Policy{Weights: []cdn.POPWeight{{POP: "c", Weight: 1}}}, `weights[0]: the fleet has no POP "c"`},
		{"no weight", cdn.Policy{Weights: []cdn.POPWeight{{POP: "a"}}}, "want 1 to 1000"},
		{"much weight", cdn.Policy{Weights: []cdn.POPWeight{{POP: "a", Weight: 1001}}}, "want 1 to 1000"},
		{"twice", cdn.Policy{Weights: []cdn.POPWeight{{POP: "a", Weight: 1}, {POP: "a", Weight: 1}}}, "weights[1]: a is there twice"},
		{"unknown preference", cdn.Policy{Prefer: []cdn.POPPreference{{POP: "c"}}}, `prefer[0]: the fleet has no POP "c"`},
		{"preference", cdn.Policy{Prefer: []cdn.POPPreference{{POP: "a", MS: 1001}}}, "want -1000 to 1000"},
		{"no number", cdn.Policy{Prefer: []cdn.POPPreference{{POP: "a", MS: math.NaN()}}}, "want -1000 to 1000"},
		{"country", cdn.Policy{Pin: "a", Match: cdn.PolicyMatch{Countries: []string{"de"}}}, `countries[0]: "de" is no country`},
		{"carrier", cdn.Policy{Pin: "a", Match: cdn.PolicyMatch{ISPs: []string{" x"}}}, "isps[0]"},
		{"prefix", cdn.Policy{Pin: "a", Match: cdn.PolicyMatch{Prefixes: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/8")}}}, "prefixes[0]"},
		{"no prefix", cdn.Policy{Pin: "a", Match: cdn.PolicyMatch{Prefixes: []netip.Prefix{{}}}}, "prefixes[0]"},
		{"site", cdn.Policy{Pin: "a", Match: cdn.PolicyMatch{Sites: []cdn.SiteName{"A B"}}}, "sites[0]"},
		{"day", day(cdn.Window{Days: []string{"monday"}}), `days[0]: "monday" is no day`},
		{"half", day(cdn.Window{Begin: "10:00"}), "only one of them"},
		{"clock", day(cdn.Window{Begin: "9:00", End: "24:00"}), `begin: "9:00"`},
		{"end", day(cdn.Window{Begin: "09:00", End: "24:00"}), `end: "24:00"`},
		{"zone", day(cdn.Window{Zone: "Europe/Nowhere"}), "zone: unknown time zone Europe/Nowhere"},
		{"local", day(cdn.Window{Zone: "Local"}), "another zone on every machine"},
		{"never", day(cdn.Window{From: time.Unix(9, 0), Until: time.Unix(9, 0)}), "never begin"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := cdn.Fleet{POPs: []cdn.POP{{Name: "a", Tier: cdn.TierEdge}, {Name: "b", Tier: cdn.TierEdge}, {Name: "hub", Tier: cdn.TierRegional}}}
			test.policy.Name = "mine"
			f.Policies = []cdn.Policy{{Name: "first", Pin: "a"}, test.policy}
			err := f.CheckPolicies()
			if test.want == "" && err != nil {
				t.Error(err)
			}
			if test.want != "" && (cdn.KindOf(err) != cdn.Invalid || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), `policies[1] "mine"`)) {
				t.Errorf("error %v, want one of policies[1] with %q", err, test.want)
			}
		})
	}
	var f cdn.Fleet
	f.POPs = []cdn.POP{{Name: "a", Tier: cdn.TierEdge}}
	for i := range cdn.MaxPolicies + 1 {
		f.Policies = append(f.Policies, cdn.Policy{Name: fmt.Sprint(i), Pin: "a"})
	}
	if err := f.CheckPolicies(); err == nil {
		t.Error("too many policies are accepted")
	}
	f.Policies = f.Policies[:2]
	f.Policies[1].Name = "0"
	if err := f.CheckPolicies(); err == nil || !strings.Contains(err.Error(), "taken") {
		t.Errorf("of two of the same name: %v", err)
	}
	f.Policies[1].Name = ""
	if err := f.CheckPolicies(); err == nil {
		t.Error("one without a name is accepted")
	}
}
