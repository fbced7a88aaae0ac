package cdn_test

import (
	"encoding/json"
	"strings"
	"testing"

	"nearcast/cdn"
)

var domains = []struct{ name, in, want string }{ // want "": refused
	{"plain", "www.shop.example", "www.shop.example"},
	{"case", "WWW.Shop.Example", "www.shop.example"},
	{"dot", "www.shop.example.", "www.shop.example"},
	{"single", "localhost", "localhost"},
	{"alabel", "xn--caf-dma.example", "xn--caf-dma.example"},
	{"digits", "1.2.3.x4", "1.2.3.x4"},
	{"underscore", "a_b.example", "a_b.example"},
	{"longest", strings.Repeat("a.", 126) + "a", strings.Repeat("a.", 126) + "a"},
	{"label", strings.Repeat("a", 63) + ".example", strings.Repeat("a", 63) + ".example"},
	{"empty", "", ""},
	{"root", ".", ""},
	{"dots", "www..example", ""},
	{"leading", ".example", ""},
	{"trailing", "example..", ""},
	{"hyphen", "-a.example", ""},
	{"hyphens", "a-.example", ""},
	{"service", "_http.example", ""},
	{"long", strings.Repeat("a.", 127) + "a", ""},
	{"long-label", strings.Repeat("a", 64) + ".example", ""},
	{"space", "a b.example", ""},
	{"nul", "a\x00.example", ""},
	{"ulabel", "café.example", ""},
	{"kelvin", "\u212a.example", ""}, // Unicode's lower case of it is "k"
	{"ipv4", "192.0.2.1", ""},
	{"ipv6", "2001:db8::1", ""},
	{"bracketed", "[2001:db8::1]", ""},
	{"short-ipv4", "10.1", ""},
	{"octal-ipv4", "010.0.0.1", ""},
	{"number", "80", ""},
	{"port", "shop.example:80", ""},
	{"url", "http://shop.example", ""},
	{"wildcard", "*.shop.example", ""},
}

func TestParseDomain(t *testing.T) {
	for _, tt := range domains {
		t.Run(tt.name, func(t *testing.T) {
			got, err := cdn.ParseDomain(tt.in)
			if string(got) != tt.want {
				t.Errorf("ParseDomain(%q) = %q, %v; want %q", tt.in, got, err, tt.want)
			}
			wantKind(t, err, tt.want != "")
		})
	}
}

// wantKind checks that an error of a parser is there or not, tells the caller that
// the input is at fault, and is of a length that no log minds.
func wantKind(t *testing.T, err error, ok bool) {
	t.Helper()
	switch {
	case ok && err != nil:
		t.Errorf("error %v", err)
	case !ok && cdn.KindOf(err) != cdn.Invalid:
		t.Errorf("error %v of kind %v, want one of kind invalid", err, cdn.KindOf(err))
	case !ok && len(err.Error()) > 1000:
		t.Errorf("an error of %d octets", len(err.Error()))
	}
}

func FuzzParseDomain(f *testing.F) {
	for _, tt := range domains {
		f.Add(tt.in)
	}
	f.Fuzz(func(t *testing.T, in string) {
		d, err := cdn.ParseDomain(in)
		if err != nil {
			wantKind(t, err, false)
			return
		}
		if again, err := cdn.ParseDomain(string(d)); again != d || err != nil {
			t.Errorf("ParseDomain(%q) = %q, which parses as %q, %v", in, d, again, err)
		}
		if host, err := cdn.ParseHost(string(d) + ":8080"); host != d || err != nil {
			t.Errorf("ParseHost of domain %q = %q, %v", d, host, err)
		}
	})
}

// The wire form is what RFC 1035 section 3.1 says.
func TestWire(t *testing.T) {
	for d, want := range map[cdn.Domain]string{"test": "\x04test\x00", "www.shop.example": "\x03www\x04shop\x07example\x00"} {
		if got := string(d.Wire()); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
}

// The target of an ALIAS is relative to its zone unless it ends in a dot.
func TestAliasTarget(t *testing.T) {
	for data, want := range map[string]cdn.Domain{"lb.other.example.": "lb.other.example", "lb": "lb.shop.example", "@": "shop.example", "LB.x": "lb.x.shop.example"} {
		if got, err := (&cdn.Record{Data: data}).AliasTarget("shop.example"); err != nil || got != want {
			t.Errorf("%q: %q (%v), want %q", data, got, err, want)
		}
	}
	for _, data := range []string{"", ".", "a..", "a b", "192.0.2.1."} {
		if got, err := (&cdn.Record{Data: data}).AliasTarget("shop.example"); err == nil {
			t.Errorf("%q: %q, want an error", data, got)
		}
	}
}

func TestWithin(t *testing.T) {
	for _, tt := range []struct {
		name         string
		domain, zone cdn.Domain
		part         cdn.Domain
		ok           bool
	}{
		{"below", "www.shop.example.cdn.test", "cdn.test", "www.shop.example", true},
		{"same", "cdn.test", "cdn.test", "", true},
		{"other", "www.shop.example", "cdn.test", "", false},
		{"suffix", "mycdn.test", "cdn.test", "", false},
		{"above", "test", "cdn.test", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			part, ok := tt.domain.Within(tt.zone)
			if part != tt.part || ok != tt.ok {
				t.Errorf("%q.Within(%q) = %q, %v; want %q, %v", tt.domain, tt.zone, part, ok, tt.part, tt.ok)
			}
			if ok && part != "" && part.Under(tt.zone) != tt.domain {
				t.Errorf("%q.Under(%q) = %q, want %q", part, tt.zone, part.Under(tt.zone), tt.domain)
			}
		})
	}
}

func TestNames(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		ok       bool
	}{
		{"plain", "edge-1", true},
		{"digit", "1", true},
		{"longest", strings.Repeat("n", 63), true},
		{"empty", "", false},
		{"long", strings.Repeat("n", 64), false},
		{"flood", strings.Repeat("n", 1<<20), false},
		{"case", "Edge", false},
		{"dot", "a.b", false},
		{"underscore", "a_b", false},
		{"slash", "../a", false},
		{"hyphen", "a-", false},
		{"unicode", "é", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for what, parse := range map[string]func(string) (string, error){
				"site":   func(s string) (string, error) { n, err := cdn.ParseSiteName(s); return string(n), err },
				"node":   func(s string) (string, error) { n, err := cdn.ParseNodeName(s); return string(n), err },
				"POP":    func(s string) (string, error) { n, err := cdn.ParsePOPName(s); return string(n), err },
				"region": func(s string) (string, error) { n, err := cdn.ParseRegionName(s); return string(n), err },
			} {
				got, err := parse(tt.in)
				if tt.ok && got != tt.in {
					t.Errorf("%s name %q became %q", what, tt.in, got)
				}
				wantKind(t, err, tt.ok)
				if err != nil && !strings.HasPrefix(err.Error(), what+" name ") {
					t.Errorf("error %q does not say that it is about a %s", err, what)
				}
			}
		})
	}
}

// TestDecode: a name, domain, duration or size in a document is parsed as strictly
// as anywhere, and a bad one leaves the field as it was.
func TestDecode(t *testing.T) {
	type document struct {
		Site     cdn.SiteName
		Node     cdn.NodeName
		POP      cdn.POPName
		Region   cdn.RegionName
		Domain   cdn.Domain
		Duration cdn.Duration
		Size     cdn.Size
	}
	const good = `{"Site":"shop","Node":"l1-a","POP":"fra","Region":"eu","Domain":"a.example","Duration":"1d","Size":"1MiB"}`
	var d document
	if err := json.Unmarshal([]byte(good), &d); err != nil {
		t.Fatal(err)
	}
	if text, err := json.Marshal(d); string(text) != good || err != nil {
		t.Errorf("encoded again: %s, %v; want %s", text, err, good)
	}
	before := d
	for _, field := range []string{"Site", "Node", "POP", "Region", "Domain", "Duration", "Size"} {
		t.Run(strings.ToLower(field), func(t *testing.T) {
			err := json.Unmarshal([]byte(`{"`+field+`":"-?"}`), &d)
			wantKind(t, err, false)
			if d != before {
				t.Errorf("the document became %+v", d)
			}
		})
	}
}
