package coding

import (
	"net/http"
	"strings"
)

// Head returns the header of the coded variant of an eligible response; h, whose keys are canonical,
// stays as it is.
//
//   - Content-Encoding gets the coding as its last (RFC 9110 section 8.4).
//   - Vary names Accept-Encoding (section 12.5.5).
//   - ETag gets a suffix. Variants must not share a strong tag (section 8.8.3.3). It may stay strong because
//     the coders are deterministic: all nodes make the same octets of the same identity,
//     so ranges of the variant from several nodes fit together. If it is no tag, it goes.
//   - Content-Length is of the identity, and goes.
//   - Content-MD5, Digest (RFC 3230), Content-Digest and Repr-Digest (RFC 9530 sections 2 and 3) cover the
//     octets after coding, so the origin's values are wrong now, and go. Unencoded-Digest is of what
//     comes before coding, and stays.
//   - Accept-Ranges stays: it speaks of the resource (RFC 9110 section 14.3), and the variant has
//     fixed octets that ranges can be taken of.
//   - Last-Modified stays: the variant changes when the identity does.
//
// Digests among the trailer fields are the caller's to drop.
func Head(h http.Header, c Coding) http.Header {
	if c == Identity {
		return HeadIdentity(h)
	}
	coded := HeadIdentity(h)
	coded["Content-Encoding"] = append(coded["Content-Encoding"], string(c))
	for _, name := range [...]string{"Content-Length", "Content-Md5", "Digest", "Content-Digest", "Repr-Digest"} {
		delete(coded, name)
	}
	tags := coded["Etag"]
	delete(coded, "Etag")
	if len(tags) == 1 {
		if tag, ok := codedTag(tags[0], c); ok {
			coded["Etag"] = []string{tag}
		}
	}
	return coded
}

// HeadIdentity returns the header of an eligible response that is sent without a coding: a copy of h, whose keys are
// canonical, whose Vary names Accept-Encoding, as another visitor gets another variant.
func HeadIdentity(h http.Header) http.Header {
	plain := h.Clone()
	if plain == nil {
		plain = make(http.Header)
	}
	if !varies(plain["Vary"]) {
		plain["Vary"] = append(plain["Vary"], "Accept-Encoding")
	}
	return plain
}

// varies reports whether Vary says already that the coding of the response was chosen.
func varies(lines []string) bool {
	for _, line := range lines {
		for name := range strings.SplitSeq(line, ",") {
			if name = trim(name); name == "*" || strings.EqualFold(name, "Accept-Encoding") {
				return true
			}
		}
	}
	return false
}
