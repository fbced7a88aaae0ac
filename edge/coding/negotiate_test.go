package coding_test

import (
	"testing"

	"nearcast/edge/coding"
)

func TestParse(t *testing.T) {
	for name, want := range map[string]coding.Coding{
		"gzip": coding.Gzip, "GZip": coding.Gzip, "x-gzip": coding.Gzip, "X-GZIP": coding.Gzip,
		"br": coding.Brotli, "zstd": coding.Zstd, "identity": coding.Identity,
	} {
		if c, ok := coding.Parse(name); !ok || c != want {
			t.Errorf("Parse(%q) = %q, %t", name, c, ok)
		}
	}
	for _, name := range []string{"", "deflate", "brotli", " gzip", "*", "gzip,br"} {
		if c, ok := coding.Parse(name); ok || c != coding.Identity {
			t.Errorf("Parse(%q) = %q, %t", name, c, ok)
		}
	}
}

// negotiations is the table for Negotiate and Normalise; all three codings are offered, zstd first.
var negotiations = []struct {
	name   string
	accept []string
	want   coding.Coding
	normal string
}{
	{"absent", nil, "", ""},
	{"no-lines", []string{}, "", ""},
	{"empty", []string{""}, "", ""},
	{"commas-only", []string{" , ,,\t"}, "", ""},
	// the examples of RFC 9110 section 12.5.3
	{"rfc-1", []string{"compress, gzip"}, "gzip", "gzip"},
	{"rfc-2", []string{"*"}, "zstd", "br, gzip, zstd"},
	{"rfc-3", []string{"compress;q=0.5, gzip;q=1.0"}, "gzip", "gzip"},
	{"rfc-4", []string{"gzip;q=1.0, identity; q=0.5, *;q=0"}, "gzip", "gzip"},
	// what browsers and tools send
	{"chrome", []string{"gzip, deflate, br, zstd"}, "zstd", "br, gzip, zstd"},
	{"safari", []string{"gzip, deflate, br"}, "br", "br, gzip"},
	{"s3-client", []string{"identity"}, "", ""},
	{"several-lines", []string{"gzip;q=0.5", "br"}, "br", "br, gzip"},
	// weights
	{"weight-before-order", []string{"zstd;q=0.1, gzip;q=0.9, br;q=0.5"}, "gzip", "br, gzip, zstd"},
	{"thousandths", []string{"zstd;q=0.001, gzip;q=0.002"}, "gzip", "gzip, zstd"},
	{"refused", []string{"zstd;q=0, br;q=0.0, gzip;q=0.000"}, "", ""},
	{"refused-all", []string{"*;q=0"}, "", ""},
	{"refused-identity-and-nothing-fits", []string{"deflate, identity;q=0"}, "", ""},
	{"refused-identity", []string{"identity;q=0, gzip;q=0.1"}, "gzip", "gzip"},
	{"star-for-the-rest", []string{"*;q=0.5, zstd;q=0.1"}, "br", "br, gzip, zstd"},
	{"star-but-one", []string{"zstd;q=0, *"}, "br", "br, gzip"},
	{"own-before-star", []string{"*;q=0, gzip;q=0.1"}, "gzip", "gzip"},
	{"identity-preferred", []string{"gzip;q=0.5, identity"}, "", "gzip"},
	{"identity-by-star-preferred", []string{"*, gzip;q=0.5, br;q=0.5, zstd;q=0.5"}, "", "br, gzip, zstd"},
	{"identity-alike", []string{"identity, gzip"}, "gzip", "gzip"},
	{"identity-unweighted", []string{"gzip;q=0.001"}, "gzip", "gzip"},
	// letter case, alias, white space
	{"letter-case", []string{"GZIP, BR;Q=0.5"}, "gzip", "br, gzip"},
	{"alias", []string{"x-gzip"}, "gzip", "gzip"},
	{"alias-refused", []string{"x-gzip;q=0, gzip"}, "", ""},
	{"white-space", []string{"\tbr \t;\t q=1.000 ,gzip ; q=0.5"}, "br", "br, gzip"},
	// a name twice: the lowest weight, in any order
	{"twice", []string{"gzip, gzip;q=0"}, "", ""},
	{"twice-turned", []string{"gzip;q=0, gzip"}, "", ""},
	// what does not follow the grammar is as if it were not there
	{"weight-too-great", []string{"br;q=1.001, gzip"}, "gzip", "gzip"},
	{"weight-too-long", []string{"br;q=0.1234, gzip"}, "gzip", "gzip"},
	{"weight-negative", []string{"br;q=-1, gzip"}, "gzip", "gzip"},
	{"weight-empty", []string{"br;q=, gzip"}, "gzip", "gzip"},
	{"weight-without-zero", []string{"br;q=.5, gzip"}, "gzip", "gzip"},
	{"weight-quoted", []string{`br;q="1", gzip`}, "gzip", "gzip"},
	{"weight-spaced", []string{"br;q = 1, zstd;q= 1, gzip"}, "gzip", "gzip"},
	{"weight-a-word", []string{"br;q=high, gzip"}, "gzip", "gzip"},
	{"weight-dot-only", []string{"br;q=1."}, "br", "br"},
	{"no-weight", []string{"br;, gzip"}, "gzip", "gzip"},
	{"other-parameter", []string{"br;level=5, gzip"}, "gzip", "gzip"},
	{"two-parameters", []string{"br;q=1;x=1, gzip"}, "gzip", "gzip"},
	{"no-name", []string{";q=1, gzip"}, "gzip", "gzip"},
	{"no-token", []string{"b r, br/1, (br), gzip"}, "gzip", "gzip"},
	{"not-ascii", []string{"bŕ, ｂｒ, gzip"}, "gzip", "gzip"},
	{"semicolons-for-commas", []string{"gzip;br;zstd"}, "", ""},
	{"star-in-a-name", []string{"g*, *r"}, "", ""},
}

func TestNegotiate(t *testing.T) {
	offered := []coding.Coding{coding.Zstd, coding.Brotli, coding.Gzip}
	for _, tt := range negotiations {
		t.Run(tt.name, func(t *testing.T) {
			if got := coding.Negotiate(tt.accept, offered); got != tt.want {
				t.Errorf("Negotiate(%q) = %q, want %q", tt.accept, got, tt.want)
			}
			normal := coding.Normalise(tt.accept, offered)
			if normal != tt.normal {
				t.Errorf("Normalise(%q) = %q, want %q", tt.accept, normal, tt.normal)
			}
			if got := coding.Normalise([]string{normal}, offered); got != normal {
				t.Errorf("Normalise(%q) = %q: not a normal form", normal, got)
			}
		})
	}
}

func TestTheOrderOfTheOfferDecidesAmongEquals(t *testing.T) {
	all := []string{"gzip, br, zstd"}
	for _, offered := range [][]coding.Coding{{"br", "gzip"}, {"gzip", "br"}, {"zstd"}, {"", "br"}} {
		want := offered[0]
		if want == coding.Identity {
			want = offered[1]
		}
		if got := coding.Negotiate(all, offered); got != want {
			t.Errorf("of %q: %q", offered, got)
		}
	}
	if got := coding.Negotiate(all, nil); got != coding.Identity {
		t.Errorf("of nothing: %q", got)
	}
	if got := coding.Normalise(all, []coding.Coding{"zstd", "", "br", "zstd"}); got != "br, zstd" {
		t.Errorf("Normalise of an offer with doubles: %q", got)
	}
}

func TestAcceptable(t *testing.T) {
	tests := []struct {
		name   string
		accept []string
		coding coding.Coding
		want   bool
	}{
		{"absent-is-anything", nil, "deflate", true},
		{"absent-identity", nil, "", true},
		{"empty-is-nothing", []string{""}, "gzip", false},
		{"empty-identity", []string{""}, "", true},
		{"listed", []string{"gzip, br"}, "br", true},
		{"not-listed", []string{"gzip"}, "br", false},
		{"refused", []string{"gzip;q=0"}, "gzip", false},
		{"star", []string{"*"}, "dcz", true},
		{"star-refused", []string{"*;q=0"}, "gzip", false},
		{"alias-listed", []string{"x-gzip"}, "gzip", true},
		{"alias-stored", []string{"gzip"}, "x-gzip", true},
		{"stored-in-upper-case", []string{"deflate"}, "Deflate", true},
		{"identity-unlisted", []string{"gzip"}, "", true},
		{"identity-named", []string{"gzip"}, "identity", true},
		{"identity-refused", []string{"gzip, identity;q=0"}, "", false},
		{"identity-refused-by-star", []string{"gzip, *;q=0"}, "", false},
		{"identity-against-star", []string{"*;q=0, identity;q=0.1"}, "", true},
		{"malformed", []string{"gzip;q=2"}, "gzip", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := coding.Acceptable(tt.accept, tt.coding); got != tt.want {
				t.Errorf("Acceptable(%q, %q) = %t", tt.accept, tt.coding, got)
			}
		})
	}
}

// FuzzNegotiate holds what the answers have in common.
func FuzzNegotiate(f *testing.F) {
	for _, tt := range negotiations {
		for _, line := range tt.accept {
			f.Add(line, "")
		}
	}
	f.Add("gzip;q=0.5", "br")
	offered := []coding.Coding{coding.Zstd, coding.Brotli, coding.Gzip}
	f.Fuzz(func(t *testing.T, one, two string) {
		accept := []string{one, two}
		c := coding.Negotiate(accept, offered)
		if c != coding.Identity && !coding.Acceptable(accept, c) {
			t.Errorf("%q is negotiated and not acceptable", c)
		}
		if c != coding.Negotiate([]string{two, one}, offered) || c != coding.Negotiate([]string{one + "," + two}, offered) {
			t.Errorf("%q depends on the order or the lines", c)
		}
		normal := coding.Normalise(accept, offered)
		if again := coding.Normalise([]string{normal}, offered); again != normal {
			t.Errorf("%q is no normal form: %q", normal, again)
		}
		for _, c := range offered {
			if coding.Acceptable(accept, c) != (normal != "" && coding.Acceptable([]string{normal}, c)) {
				t.Errorf("%q has lost or won %q", normal, c)
			}
		}
	})
}
