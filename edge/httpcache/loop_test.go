package httpcache_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"nearcast/edge/httpcache"
)

// loopTests: RFC 8586 section 2.
var loopTests = []struct {
	name  string
	lines []string
	want  []string
	ok    bool
}{
	{"none", nil, nil, true},
	{
		"example",
		[]string{`foo123.foocdn.example, barcdn.example; trace="abcdef"`, `AnotherCDN; abc=123; def="456"`},
		[]string{"foo123.foocdn.example", "barcdn.example", "AnotherCDN"},
		true,
	},
	{"port", []string{"cdn.example:8080", "[2001:db8::1]:80", "[::1]"}, []string{"cdn.example:8080", "[2001:db8::1]:80", "[::1]"}, true},
	{"quoted", []string{`a; x="b, c; d", e`}, []string{"a", "e"}, true},
	{"empty", []string{" , ,", ""}, nil, true},
	{"malformed", []string{"a b, c, d; =x, e; f=, g/h, i:x, [x], [::1]x, [::1, j;k"}, []string{"c"}, false},
}

func TestParseCDNInfosIDs(t *testing.T) {
	for _, tt := range loopTests {
		t.Run(tt.name, func(t *testing.T) {
			infos, ok := httpcache.ParseCDNInfos(tt.lines)
			var got []string
			for _, info := range infos {
				got = append(got, info.ID)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" || ok != tt.ok {
				t.Errorf("ok %v, want %v (-want +got):\n%s", ok, tt.ok, diff)
			}
		})
	}
}

func TestParseCDNInfos(t *testing.T) {
	got, ok := httpcache.ParseCDNInfos([]string{`nearcast ; Node=a1;x="a\"b"`})
	want := []httpcache.CDNInfo{{ID: "nearcast", Parameters: []httpcache.Parameter{{Name: "node", Value: "a1"}, {Name: "x", Value: `a"b`}}}}
	if diff := cmp.Diff(want, got); diff != "" || !ok {
		t.Fatalf("ok %v (-want +got):\n%s", ok, diff)
	}
	if got[0].Parameter("node") != "a1" || got[0].Parameter("y") != "" {
		t.Errorf("Parameter() = %q and %q", got[0].Parameter("node"), got[0].Parameter("y"))
	}
}

func FuzzParseCDNInfos(f *testing.F) {
	for _, tt := range loopTests {
		for _, line := range tt.lines {
			f.Add(line)
		}
	}
	f.Fuzz(func(t *testing.T, line string) {
		infos, _ := httpcache.ParseCDNInfos([]string{line})
		for _, info := range infos {
			again, ok := httpcache.ParseCDNInfos([]string{info.ID})
			if !ok || len(again) != 1 || again[0].ID != info.ID {
				t.Errorf("%q has the identifier %q, which is none", line, info.ID)
			}
		}
	})
}
