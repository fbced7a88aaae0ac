package decode_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nearcast/cdn"
	"nearcast/control/decode"
)

// version is a configuration with sites of those names, each with two domains.
func version(names ...string) *cdn.Snapshot {
	s := &cdn.Snapshot{Generation: 7, By: `"sites":[{`, Fleet: cdn.Fleet{Zone: "cdn.test", POPs: []cdn.POP{{Name: "sites", Region: "eu"}}}, Sites: []cdn.Site{}}
	for _, name := range names {
		s.Sites = append(s.Sites, cdn.Site{
			Name: cdn.SiteName(name), Domains: []cdn.Domain{cdn.Domain("www." + name + ".example"), cdn.Domain(name + ".example")},
			Routes: []cdn.Route{{RequestHeaders: cdn.HeaderRule{Set: map[string]string{"X": `a"}]\`}}}},
		})
	}
	s.Drains = []cdn.Drain{{POP: "sites"}}
	return s
}

func text(t testing.TB, s *cdn.Snapshot) []byte {
	t.Helper()
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// shared are the names of the sites that two versions have in the same memory.
func shared(a, b *cdn.Snapshot) (names []string) {
	for i := range b.Sites {
		if s := a.Site(b.Sites[i].Name); s != nil && len(s.Domains) > 0 && len(b.Sites[i].Domains) > 0 && &s.Domains[0] == &b.Sites[i].Domains[0] {
			names = append(names, string(s.Name))
		}
	}
	return names
}

// A version is decoded as encoding/json does it, and what has not changed is in the memory of the one before, whatever comes, goes or changes.
func TestShares(t *testing.T) {
	changed := version("a", "b", "c")
	changed.Sites[1].Domains[0] = "new.example"
	routes := version("a", "b", "c")
	routes.Sites[0].Routes[0].RequestHeaders.Set["X"] = "b"
	fleet := version("a", "b", "c")
	fleet.Fleet.Zone, fleet.Drains, fleet.Generation = "other.test", nil, 8
	for _, test := range []struct {
		name string
		next *cdn.Snapshot
		want string
	}{
		{"nothing", version("a", "b", "c"), "a b c"},
		{"a domain", changed, "a c"},
		{"a route", routes, "b c"},
		{"the fleet", fleet, "a b c"},
		{"the first comes", version("0", "a", "b", "c"), "a b c"},
		{"one comes between", version("a", "aa", "b", "c"), "a b c"},
		{"the last comes", version("a", "b", "c", "d"), "a b c"},
		{"the first goes", version("b", "c"), "b c"},
		{"two go", version("c"), "c"},
		{"the last goes", version("a", "b"), "a b"},
		{"one for another", version("a", "bb", "c"), "a c"},
		{"all go", version(), ""},
		{"another order", version("c", "b", "a"), "c"},
		{"twice", version("a", "a", "b", "c"), "a b c"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var d decode.Decoder
			before, err := d.Snapshot(text(t, version("a", "b", "c")))
			if err != nil {
				t.Fatal(err)
			}
			after, err := d.Snapshot(text(t, test.next))
			if err != nil {
				t.Fatal(err)
			}
			var want cdn.Snapshot
			if err := json.Unmarshal(text(t, test.next), &want); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&want, after, cmp.AllowUnexported(cdn.Snapshot{})); diff != "" {
				t.Errorf("(-json +decoded)\n%s", diff)
			}
			if got := slices.Compact(shared(before, after)); strings.Join(got, " ") != test.want {
				t.Errorf("in the same memory: %v, want %s", got, test.want)
			}
		})
	}
}

// like has two decoders in a row decode a text, and fails if not both make of it what encoding/json makes.
func like(t *testing.T, d *decode.Decoder, data []byte) {
	t.Helper()
	var want cdn.Snapshot
	wrong := json.Unmarshal(data, &want)
	for range 2 {
		got, err := d.Snapshot(data)
		if (err == nil) != (wrong == nil) {
			t.Fatalf("%q: %v; encoding/json says %v", data, err, wrong)
		}
		if err != nil {
			continue
		}
		if a, b := text(t, &want), text(t, got); string(a) != string(b) {
			t.Fatalf("%q is decoded as\n%s, by encoding/json as\n%s", data, b, a)
		}
	}
}

// strange are texts that the control plane does not write, or that are none.
var strange = []string{
	``, `null`, `[]`, `{}`, `{"sites"}`, `{"sites":null}`, `{"sites":[]}`, `{"sites":[ ]}`, `{"sites":{}}`, `{"sites":[`, `{"sites":[{`, `{"sites":[{}`, `{"sites":[{}]`,
	`{"sites":[{},]}`, `{"sites":[,{}]}`, `{"sites":[{}{}]}`, `{"sites":[{}};`, `{"sites":[null,{"name":"a"}]}`, `{"sites":[3]}`, `{"sites":[{"name":3}]}`,
	`{"sites":[{"name":"a"}],"sites":[{"name":"b"}]}`, `{"Sites":[{"name":"a"}],"sites":[{"domains":["b"]}]}`, `{"sites":[{"name":"a"}],"ſites":[]}`, `{"SITES":[{"name":"a"}]}`,
	`{"sit\u0065s":[{"name":"a"}]}`, ` { "fleet" : { "zone" : "x" } , "sites" : [ { "name" : "a" } , { } ] , "drains" : [ ] } `, `{"sites":[{"name":"}\"{\\"},{"name":"b"}]}`,
	`{"sites":[{"name":"a"}]} x`, `{"sites":[{"name":"a"}]}{}`, `{"sites":[{"name":"a"]]}`, `{"sites":[{"name":"a"}],"drains":3}`, `{"fleet":3,"sites":[{"name":"a"}]}`, `{"sites":[{"name":"a\`,
	`{"sites":[{"name":"a"}],}`, `{"sites":[{"name":"a"}]"by":"x"}`, `{3:4,"sites":[]}`, `{"by":"x" "sites":[]}`,
}

// Whatever the text is, what comes of it, or that nothing does, is what encoding/json says, and the next version is decoded as well.
func TestStrange(t *testing.T) {
	var d decode.Decoder
	good := text(t, version("a", "b"))
	if _, err := d.Snapshot(good); err != nil {
		t.Fatal(err)
	}
	for _, s := range strange {
		like(t, &d, []byte(s))
		like(t, &d, good)
	}
	for i := range good {
		for _, c := range []byte(`"{}[],:\ 0x`) {
			bad := slices.Clone(good)
			bad[i] = c
			like(t, &d, bad)
		}
		like(t, &d, good[:i])
		like(t, &d, good)
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range strange {
		f.Add([]byte(s))
	}
	f.Add(text(f, version("a", "b")))
	f.Fuzz(func(t *testing.T, data []byte) {
		var d decode.Decoder
		like(t, &d, text(t, version("a", "b")))
		like(t, &d, data)
	})
}

// BenchmarkChange is what a version costs in which one of a million names of 10,000 sites has changed.
func BenchmarkChange(b *testing.B) {
	s := version()
	s.Sites = make([]cdn.Site, 10_000)
	for i := range s.Sites {
		s.Sites[i].Name = cdn.SiteName(fmt.Sprintf("site-%05d", i))
		for j := range 100 {
			s.Sites[i].Domains = append(s.Sites[i].Domains, cdn.Domain(fmt.Sprintf("www.shop-%d.customer-%d.example", j, i)))
		}
	}
	versions := [][]byte{text(b, s), nil}
	s.Sites[577].Domains[3] = "new.example"
	versions[1] = text(b, s)
	b.Run("shared", func(b *testing.B) {
		var d decode.Decoder
		if _, err := d.Snapshot(versions[1]); err != nil {
			b.Fatal(err)
		}
		for i := 0; b.Loop(); i++ {
			if _, err := d.Snapshot(versions[i%2]); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("json", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			var s cdn.Snapshot
			if err := json.Unmarshal(versions[i%2], &s); err != nil {
				b.Fatal(err)
			}
		}
	})
}
