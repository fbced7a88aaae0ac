package compile_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"nearcast/cdn"
	"nearcast/control/compile"
)

func TestSnapshot(t *testing.T) {
	site := func(name cdn.SiteName, domains ...cdn.Domain) cdn.Site { return cdn.Site{Name: name, Domains: domains} }
	fleet := cdn.Fleet{Zone: "cdn.test"}
	tests := []struct {
		name  string
		sites []cdn.Site
		want  string
	}{
		{"none", nil, ""},
		{"good", []cdn.Site{site("a", "a.example", "cdn.test.example"), site("b", "b.example")}, ""},
		{"name", []cdn.Site{site("a", "a.example"), site("a", "b.example")}, "site a: site: site a is there twice (choose another name)"},
		{
			"domain",
			[]cdn.Site{site("a", "a.example"), site("b", "b.example", "a.example")},
			"site b: domains[1]: domain a.example already belongs to site a (a domain belongs to one site)",
		},
		{
			"zone",
			[]cdn.Site{site("a", "cdn.test"), site("b", "x.cdn.test")},
			"site a: domains[0]: domain cdn.test is inside the CDN's own zone cdn.test (use the name that visitors type)\n" +
				"site b: domains[0]: domain x.cdn.test is inside the CDN's own zone cdn.test (use the name that visitors type)",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			if err := compile.Snapshot(fleet, tt.sites); err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("mistakes differ (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLocate(t *testing.T) {
	src := []byte("site: a\ndomains:\n  - a.example\n  - x.cdn.test\norigin: {urls: [http://o]}\n---\nsite: a\ndomains: [c.example]\norigin: {urls: [http://o]}\n")
	sites, err := compile.Sites("f", src)
	if err != nil {
		t.Fatal(err)
	}
	err = compile.Snapshot(cdn.Fleet{Zone: "cdn.test"}, sites)
	got := compile.Locate(compile.MistakesOf(err), compile.Source{Name: "f", Text: src}).Err().Error()
	want := "f:4:5: domains[1]: domain x.cdn.test is inside the CDN's own zone cdn.test (use the name that visitors type)\n" +
		"f:7:7: site: site a is there twice (choose another name)"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("places differ (-want +got):\n%s", diff)
	}
}
