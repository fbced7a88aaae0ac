package gossip_test

import (
	"strings"
	"testing"

	"nearcast/routequality/gossip"
)

func TestMeta(t *testing.T) {
	for _, test := range []struct {
		name, in, want string // want: what is said again; empty if refused
	}{
		{"plain", "1 edge ready zz 1.2.3 ams", "1 edge ready zz 1.2.3 ams"},
		{"nothing", "1 - - 0 - -", "1 - - 0 - -"},
		{"old", "1 edge ready zz 1.2.3", "1 edge ready zz 1.2.3 -"},
		{"more", "1 edge ready zz 1.2.3 ams and more", "1 edge ready zz 1.2.3 ams"},
		{"pop", "1 edge ready zz 1.2.3 No_Name", "1 edge ready zz 1.2.3 -"},
		{"down", "1 edge down zz 1.2.3 ams", "1 edge - zz 1.2.3 ams"},
		{"newstate", "1 edge dancing zz 1.2.3 ams", "1 edge - zz 1.2.3 ams"},
		{"newformat", "2 whatever", "1 - - " + zeroTime + " - -"},
		{"empty", "", "1 - - " + zeroTime + " - -"},
		{
			"long version", "1 sixteen-octets-r starting dbfczq9x4kg " + strings.Repeat("v", 32) + " " + strings.Repeat("p", 40),
			"1 sixteen-octets-r starting dbfczq9x4kg " + strings.Repeat("v", 32) + " " + strings.Repeat("p", 40),
		},
		{"few", "1 edge ready", ""},
		{"time", "1 edge ready !! 1.2.3", ""},
		{"long", "1 edge ready zz " + strings.Repeat("x", gossip.MaxMeta), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := gossip.ParseMeta([]byte(test.in))
			if (err != nil) != (test.want == "") {
				t.Fatalf("error %v, want one: %t", err, test.want == "")
			}
			if string(got) != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// However long the words, a meta keeps its bound, and of all words only the version is cut.
func TestLongMeta(t *testing.T) {
	in := "1 routequality starting dbfczq9x4kg " + strings.Repeat("v", 28) + " " + strings.Repeat("p", 63)
	got, err := gossip.ParseMeta([]byte(in))
	if err != nil || string(got) != in {
		t.Errorf("%d octets %q are said again as %q, %v", len(in), in, got, err)
	}
	if got := gossip.Meta("routequality", "starting", strings.Repeat("v", 99), strings.Repeat("p", 63)); len(got) > gossip.MaxMeta || !strings.HasSuffix(got, strings.Repeat("p", 63)) {
		t.Errorf("a meta of %d octets: %q", len(got), got)
	}
}

// zeroTime is the zero time.Time in a meta: no member sends it.
const zeroTime = "-gzt8b3t5hc0"

func FuzzMeta(f *testing.F) {
	f.Add([]byte("1 edge ready zz 1.2.3"))
	f.Add([]byte("2"))
	f.Add([]byte("1 - - -1 -"))
	f.Fuzz(func(t *testing.T, b []byte) {
		said, err := gossip.ParseMeta(b)
		if err != nil {
			return
		}
		if len(said) > gossip.MaxMeta {
			t.Errorf("%q is said again in %d octets", b, len(said))
		}
		again, err := gossip.ParseMeta(said)
		if err != nil || string(again) != string(said) {
			t.Errorf("%q is said again as %q (%v)", said, again, err)
		}
	})
}
