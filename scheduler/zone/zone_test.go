package zone_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"nearcast/cdn"
	"nearcast/scheduler/rr"
	"nearcast/scheduler/zone"
)

func node(name cdn.NodeName, addr string) *cdn.Node {
	return &cdn.Node{Name: name, Addresses: []netip.Addr{netip.MustParseAddr(addr)}}
}

func config() zone.Config {
	e1, e2 := node("e1", "192.0.2.1"), node("e2", "192.0.2.2")
	return zone.Config{
		Zone: "cdn.test", Generation: 7,
		DNS: cdn.DNS{Steered: []cdn.Domain{"d1", "d2", "a.deep", "www.shop.example"}},
		Zones: []cdn.Zone{
			{Name: "cdn.test", Records: []cdn.Record{
				{Name: "@", Type: "TXT", Data: `"fleet"`},
				{Name: "_acme-challenge.d1", Type: "TXT", Data: "token"},
				{Name: "d1", Type: "CAA", Data: `0 issue "ca.example"`},
				{Name: "mine", Type: "A", Data: "192.0.2.99"},
				{Name: "e1.mine", Type: "MX", Data: "10 mx"},
				{Name: "*.dev", Type: "A", Data: "192.0.2.98"},
				{Name: "real.dev", Type: "TXT", Data: "x"},
				{Name: "sub", Type: "NS", Data: "ns.sub"},
				{Name: "sub", Type: "NS", Data: "ns.elsewhere.example."},
				{Name: "sub", Type: "DS", Data: "1 13 2 " + strings.Repeat("ab", 32)},
				{Name: "ns.sub", Type: "A", Data: "192.0.2.97"},
				{Name: "alias", Type: "ALIAS", Data: "Other.Example."},
			}},
			{Name: "shop.example", Records: []cdn.Record{
				{Name: "@", Type: "MX", Data: "10 mail"},
				{Name: "mail", Type: "A", Data: "192.0.2.50"},
				{Name: "www", Type: "TXT", Data: `"beside"`},
				{Name: "*", Type: "CNAME", Data: "www"},
			}},
		},
		Servers: []zone.Server{{Name: "ns1.cdn.test", Node: node("s1", "192.0.2.53")}, {Name: "ns2.cdn.test", Node: node("s2", "192.0.2.54")}},
		Sites: []cdn.Site{
			{Name: "shop", Domains: []cdn.Domain{"www.shop.example", "shop.example", "a.b.shop.example"}},
			{Name: "odd", Domains: []cdn.Domain{"ns1", "ns9", "mine", "x.sub"}, Redirection: cdn.Redirection{Off: true}},
			{Name: "like", Domains: []cdn.Domain{"e2.www.shop.example"}},
		},
		Class: func(s cdn.SiteName) int { return len(s) },
		Nodes: map[cdn.NodeName]*cdn.Node{"e1": e1, "e2": e2},
	}
}

func compile(t testing.TB, cfg zone.Config, before *zone.Set) *zone.Set {
	t.Helper()
	s, err := zone.Compile(cfg, before)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func wire(t testing.TB, name string) []byte {
	t.Helper()
	buf := make([]byte, 256)
	n, err := dns.PackDomainName(dns.Fqdn(name), buf, 0, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	return buf[:n]
}

// show is a match in one line.
func show(m *zone.Match) string {
	if m.Zone == nil {
		return "refused"
	}
	var b strings.Builder
	b.WriteString(string(m.Zone.Text))
	for _, f := range []struct {
		on   bool
		name string
	}{{!m.Exists, "absent"}, {m.Apex, "apex"}, {m.Wildcard, "wildcard"}, {m.AtCut, "at"}, {m.Cut != nil, "cut"}} {
		if f.on {
			b.WriteString(" " + f.name)
		}
	}
	if m.Domain != "" {
		fmt.Fprintf(&b, " steered=%s/%d", m.Domain, m.Class)
	}
	if m.Node != nil {
		fmt.Fprintf(&b, " node=%s", m.Node.Name)
	}
	if m.Alias != nil {
		fmt.Fprintf(&b, " alias=%s", m.Alias.Target)
	}
	for _, set := range m.Sets {
		fmt.Fprintf(&b, " %s:%d", dns.TypeToString[set.Type], len(set.Data))
	}
	return b.String()
}

func TestFind(t *testing.T) {
	s := compile(t, config(), nil)
	for name, want := range map[string]string{
		".":                               "refused",
		"test":                            "refused",
		"other.test":                      "refused",
		"xcdn.test":                       "refused",
		`x\.cdn.test`:                     "refused",
		`cdn\.test`:                       "refused",
		"cdn.test":                        "cdn.test apex NS:2 SOA:1 TXT:1",
		"CDN.tEsT":                        "cdn.test apex NS:2 SOA:1 TXT:1",
		"ns1.cdn.test":                    "cdn.test node=s1",
		"ns2.cdn.test":                    "cdn.test node=s2",
		"ns9.cdn.test":                    "cdn.test steered=ns9/3",
		"e1.ns9.cdn.test":                 "cdn.test steered=ns9/3 node=e1",
		"e1.ns1.cdn.test":                 "cdn.test absent",
		"e1.cdn.test":                     "cdn.test absent",
		"d1.cdn.test":                     "cdn.test steered=d1/0 CAA:1",
		"D2.cdn.test":                     "cdn.test steered=d2/0",
		"e2.d2.cdn.test":                  "cdn.test steered=d2/0 node=e2",
		"e3.d2.cdn.test":                  "cdn.test absent",
		"x.e2.d2.cdn.test":                "cdn.test absent",
		"d3.cdn.test":                     "cdn.test absent",
		"deep.cdn.test":                   "cdn.test",
		"a.deep.cdn.test":                 "cdn.test steered=a.deep/0",
		`a\.deep.cdn.test`:                "cdn.test absent",
		"_acme-challenge.d1.cdn.test":     "cdn.test TXT:1",
		"example.cdn.test":                "cdn.test",
		"www.shop.example.cdn.test":       "cdn.test steered=www.shop.example/4",
		"wWw.Shop.example.cdn.test":       "cdn.test steered=www.shop.example/4",
		"e1.www.shop.example.cdn.test":    "cdn.test steered=www.shop.example/4 node=e1",
		"e2.www.shop.example.cdn.test":    "cdn.test steered=e2.www.shop.example/4",
		"e2.shop.example.cdn.test":        "cdn.test steered=shop.example/4 node=e2",
		"e1.example.cdn.test":             "cdn.test absent",
		"b.shop.example.cdn.test":         "cdn.test",
		"mine.cdn.test":                   "cdn.test A:1",
		"e1.mine.cdn.test":                "cdn.test MX:1",
		"e2.mine.cdn.test":                "cdn.test absent",
		"dev.cdn.test":                    "cdn.test",
		"*.dev.cdn.test":                  "cdn.test A:1",
		"x.dev.cdn.test":                  "cdn.test wildcard A:1",
		"y.x.dev.cdn.test":                "cdn.test wildcard A:1",
		"real.dev.cdn.test":               "cdn.test TXT:1",
		"x.real.dev.cdn.test":             "cdn.test absent",
		"x.*.dev.cdn.test":                "cdn.test absent",
		"sub.cdn.test":                    "cdn.test at cut",
		"x.sub.cdn.test":                  "cdn.test cut",
		"ns.sub.cdn.test":                 "cdn.test cut",
		"alias.cdn.test":                  "cdn.test alias=other.example",
		"shop.example":                    "shop.example apex steered=shop.example/4 NS:2 SOA:1 MX:1",
		"www.shop.example":                "shop.example steered=www.shop.example/4 TXT:1",
		"a.b.shop.example":                "shop.example steered=a.b.shop.example/4",
		"b.shop.example":                  "shop.example",
		"x.b.shop.example":                "shop.example absent",
		"mail.shop.example":               "shop.example A:1",
		"other.shop.example":              "shop.example wildcard CNAME:1",
		"e1.a.b.shop.example":             "shop.example absent", // its closest ancestor has no wildcard
		"d1.shop.example":                 "shop.example wildcard CNAME:1",
		"e1.www.shop.example":             "shop.example absent",
		"x.www.shop.example.cdn.test":     "cdn.test absent",
		strings.Repeat("a.", 60) + "test": "refused",
	} {
		t.Run(name, func(t *testing.T) {
			var m zone.Match
			s.Find(wire(t, name), &m)
			if got := show(&m); got != want {
				t.Errorf("%s: %s, want %s", name, got, want)
			}
		})
	}
}

func TestNoNames(t *testing.T) {
	s := compile(t, config(), nil)
	for _, name := range []string{"", "\x03cdn", "\x03cdn\x04test", "\x03cdn\x04test\x00\x00", "\xc0\x0c", "\x40" + strings.Repeat("a", 64) + "\x00", strings.Repeat("\x01a", 200) + "\x00"} {
		m := zone.Match{Exists: true}
		s.Find([]byte(name), &m)
		if m.Zone != nil || m.Exists {
			t.Errorf("%q is in %s", name, m.Zone.Text)
		}
	}
}

func TestCut(t *testing.T) {
	var m zone.Match
	compile(t, config(), nil).Find(wire(t, "a.sub.cdn.test"), &m)
	if m.Cut == nil || string(m.Cut.Owner) != string(wire(t, "sub.cdn.test")) || len(m.Cut.NS.Data) != 2 || m.Cut.DS == nil || len(m.Cut.Glue) != 1 {
		t.Fatalf("cut %+v", m.Cut)
	}
	want := []zone.Glue{{Owner: wire(t, "ns.sub.cdn.test"), Sets: []rr.Set{{Type: rr.TypeA, TTL: 3600, Data: [][]byte{{192, 0, 2, 97}}}}}}
	if diff := cmp.Diff(want, m.Cut.Glue); diff != "" {
		t.Errorf("glue (-want +got):\n%s", diff)
	}
}

func TestStartOfAuthority(t *testing.T) {
	cfg := config()
	cfg.DNS.TTL.Negative = cdn.Duration(30e9)
	s := compile(t, cfg, nil)
	for i, origin := range []string{"cdn.test.", "shop.example."} {
		z := s.Zones()[i]
		data := z.SOA.Data[0]
		packet := slices.Concat(wire(t, origin), []byte{0, 6, 0, 1, 0, 0, 0, 1, 0, byte(len(data))}, data)
		got, _, err := dns.UnpackRR(packet, 0)
		if want := origin + "\t1\tIN\tSOA\tns1.cdn.test. hostmaster." + origin + " 7 3600 600 604800 30"; err != nil || got.String() != want {
			t.Errorf("%v, %v, want %s", got, err, want)
		}
		if z.Negative != 30 || len(z.NS.Data) != 2 {
			t.Errorf("negative TTL %d, want 30; %d servers, want 2", z.Negative, len(z.NS.Data))
		}
	}
}

func TestHost(t *testing.T) {
	s := compile(t, config(), nil)
	for host, want := range map[cdn.Domain]string{
		"www.shop.example":             "www.shop.example shop 4 -",
		"shop.example":                 "shop.example shop 4 -",
		"www.shop.example.cdn.test":    "www.shop.example shop 4 -",
		"e1.www.shop.example.cdn.test": "www.shop.example shop 4 e1",
		"e1.www.shop.example":          "none",
		"d1.cdn.test":                  "d1 0 -",
		"e1.d1.cdn.test":               "d1 0 e1",
		"d1":                           "none",
		"ns1.cdn.test":                 "none",
		"cdn.test":                     "none",
		"x.sub.cdn.test":               "none",
		"mine":                         "mine odd 3 - redirection",
		"mine.cdn.test":                "none",
		"ns9.cdn.test":                 "ns9 odd 3 - redirection",
		"":                             "none",
		"..":                           "none",
	} {
		h := s.Host(host)
		name := cdn.NodeName("-")
		if h.Node != nil {
			name = h.Node.Name
		}
		got := fmt.Sprintf("%s %s %d %s", h.Domain, h.Site, h.Class, name)
		if h.Domain == "" {
			got = "none"
		} else if h.Site == "" {
			got = fmt.Sprintf("%s %d %s", h.Domain, h.Class, name)
		}
		if h.Redirection != nil {
			got += " redirection"
		}
		if got != want {
			t.Errorf("%q: %q, want %q", host, got, want)
		}
	}
	if site, class := s.Site("www.shop.example"); site != "shop" || class != 4 {
		t.Errorf("the site of www.shop.example is %q with class %d, want shop and 4", site, class)
	}
	if site, _ := s.Site("d1"); site != "" || !s.Steers("d1") || s.Steers("d9") {
		t.Errorf("d1 is of site %q, steered %v, d9 %v", site, s.Steers("d1"), s.Steers("d9"))
	}
}

func TestRefused(t *testing.T) {
	for name, change := range map[string]func(*zone.Config){
		"zone a.cdn.test is within":  func(c *zone.Config) { c.Zones = []cdn.Zone{{Name: "a.cdn.test"}} },
		"zone b.test is there twice": func(c *zone.Config) { c.Zones = []cdn.Zone{{Name: "b.test"}, {Name: "b.test"}} },
		"record 0": func(c *zone.Config) {
			c.Zones = []cdn.Zone{{Name: "b.test", Records: []cdn.Record{{Name: "@", Type: "A", Data: "x"}}}}
		},
		"schedulers": func(c *zone.Config) {
			c.Zones = []cdn.Zone{{Name: "b.test", Records: []cdn.Record{{Name: "@", Type: "NS", Data: "x"}}}}
		},
	} {
		cfg := config()
		change(&cfg)
		if _, err := zone.Compile(cfg, nil); err == nil || !strings.Contains(err.Error(), name) || cdn.KindOf(err) != cdn.Invalid {
			t.Errorf("%v, want %q", err, name)
		}
	}
}

func TestAll(t *testing.T) {
	s := compile(t, config(), nil)
	for _, z := range s.Zones() {
		seen := make(map[string]bool)
		s.All(z, func(owner []byte, m *zone.Match) bool {
			name, _, err := dns.UnpackDomainName(owner, 0)
			if err != nil || seen[name] {
				t.Errorf("%s is told twice, or is no name: %v", name, err)
			}
			seen[name] = true
			var again zone.Match
			if s.Find(owner, &again); show(m) != show(&again) {
				t.Errorf("%s is told as %s, and found as %s", name, show(m), show(&again))
			}
			return true
		})
		want := map[cdn.Domain]int{"cdn.test": 18, "shop.example": 6}[z.Text]
		if len(seen) != want {
			t.Errorf("%s: %d names, want %d: %v", z.Text, len(seen), want, seen)
		}
	}
}

// A label may have a dot in it, as those of services do (RFC 6763 section 4.1). What is above it is found all the same.
func TestDotsInLabels(t *testing.T) {
	cfg := config()
	cfg.Zones = []cdn.Zone{{Name: "shop.example", Records: []cdn.Record{
		{Name: "sub", Type: "NS", Data: "ns.elsewhere.example."}, {Name: "*.wild", Type: "TXT", Data: "any"}, {Name: "a.b", Type: "TXT", Data: "plain"},
	}}}
	s := compile(t, cfg, nil)
	for name, want := range map[string]string{
		`mr\.x.sub.shop.example`:    "shop.example cut",
		`mr\.x.y.sub.shop.example`:  "shop.example cut",
		`mr\.x.wild.shop.example`:   "shop.example wildcard TXT:1",
		`y.mr\.x.wild.shop.example`: "shop.example wildcard TXT:1",
		`mr\.x.a.wild.shop.example`: "shop.example wildcard TXT:1",
		`a\.b.shop.example`:         "shop.example absent",
		`x.a\.b.shop.example`:       "shop.example absent",
		`a.b\.shop.example`:         "refused",
	} {
		var m zone.Match
		if s.Find(wire(t, name), &m); show(&m) != want {
			t.Errorf("%s is found as %s, want %s", name, show(&m), want)
		}
	}
}
