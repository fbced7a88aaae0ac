package coding

import "strings"

// Coding is the name of a content coding in lower case, as the IANA registry has it
// (RFC 9110 section 16.6.1). The zero value is identity: no coding at all. Names other than
// the constants below can be negotiated, but neither applied nor taken off.
type Coding string

// The codings that this package has coders for.
const (
	Identity Coding = ""
	Gzip     Coding = "gzip" // RFC 1952
	Brotli   Coding = "br"   // RFC 7932
	Zstd     Coding = "zstd" // RFC 8878, with the window of RFC 9659
)

// Parse returns the coding that a configuration names, letter case aside: "gzip", "br", "zstd" or
// "identity". It reports false for any other name.
func Parse(name string) (Coding, bool) {
	switch c := canonical(name); c {
	case Gzip, Brotli, Zstd:
		return c, true
	case "identity":
		return Identity, true
	default:
		return Identity, false
	}
}

// canonical brings the name of a coding into lower case and resolves the alias that a recipient
// should know (RFC 9110 section 8.4.1.3). It does not allocate for names in lower case.
func canonical(name string) Coding {
	if strings.EqualFold(name, "x-gzip") {
		return Gzip
	}
	return Coding(strings.ToLower(name))
}
