package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
)

// ask is what a visitor wants of a content.
type ask struct {
	method      string
	accept      accept
	ranges      []span // none for the whole
	ifNoneMatch []string
	ifRange     string
}

// accept is an Accept-Encoding field and what it means.
type accept struct {
	field   string // "" is no field
	weights map[string]float64
}

// accepts are the fields that visitors send.
func accepts() []accept {
	return []accept{
		{field: ""},
		{field: "gzip", weights: map[string]float64{"gzip": 1}},
		{field: "br", weights: map[string]float64{"br": 1}},
		{field: "zstd", weights: map[string]float64{"zstd": 1}},
		{field: "gzip, deflate, br, zstd", weights: map[string]float64{"gzip": 1, "br": 1, "zstd": 1}},
		{field: "br;q=0.5, gzip;q=1.0", weights: map[string]float64{"gzip": 1, "br": 0.5}},
		{field: "identity, gzip;q=0.1, zstd;q=0.2", weights: map[string]float64{"": 1, "gzip": 0.1, "zstd": 0.2}},
		{field: "*;q=0.3, br;q=0", weights: map[string]float64{"": 0.3, "gzip": 0.3, "zstd": 0.3}},
		{field: "deflate, compress"},
		{field: "br, gzip;q=0", weights: map[string]float64{"br": 1}},
		{field: "zstd, *;q=0.1", weights: map[string]float64{"": 0.1, "gzip": 0.1, "br": 0.1, "zstd": 1}},
	}
}

// best is the coding that a response should have, "" for none.
func (a accept) best(offered []string) string {
	best, weight := "", 0.0
	for _, coding := range offered {
		if w := a.weights[coding]; w > weight {
			best, weight = coding, w
		}
	}
	if a.weights[""] > weight {
		return ""
	}
	return best
}

// span is a range: first to last with both, last is -1 if it is open, and first is negative for a suffix of so many octets.
type span struct{ first, last int64 }

func (s span) String() string {
	switch {
	case s.first < 0:
		return fmt.Sprint(s.first)
	case s.last < 0:
		return fmt.Sprintf("%d-", s.first)
	}
	return fmt.Sprintf("%d-%d", s.first, s.last)
}

// of returns the octets that a range means of a content of size octets; from is not before to if there are none.
func (s span) of(size int64) (from, to int64) {
	switch {
	case s.first < 0:
		return max(0, size+s.first), size
	case s.last < 0:
		return s.first, size
	}
	return s.first, min(s.last+1, size)
}

func (a *ask) header() http.Header {
	h := make(http.Header)
	if a.accept.field != "" {
		h.Set("Accept-Encoding", a.accept.field)
	}
	if len(a.ranges) > 0 {
		h.Set("Range", "bytes="+strings.ReplaceAll(strings.Trim(fmt.Sprint(a.ranges), "[]"), " ", ", "))
	}
	if len(a.ifNoneMatch) > 0 {
		h.Set("If-None-Match", strings.Join(a.ifNoneMatch, ", "))
	}
	if a.ifRange != "" {
		h.Set("If-Range", a.ifRange)
	}
	return h
}

func (a *ask) String() string { return fmt.Sprintf("%s %v", a.method, a.header()) }

// randomAsk makes a request for a content of size octets. tags are the entity tags of it that have been seen.
func randomAsk(rng *rand.Rand, size int64, tags []string) ask {
	a := ask{method: http.MethodGet, accept: accepts()[rng.IntN(len(accepts()))]}
	if rng.IntN(12) == 0 {
		a.method = http.MethodHead
	}
	if rng.IntN(3) > 0 || size > 4<<20 && rng.IntN(8) > 0 { // of very long ones the whole is rare
		a.ranges = randomRanges(rng, size)
	}
	if len(tags) == 0 {
		return a
	}
	tag := func() string { return tags[rng.IntN(len(tags))] }
	switch rng.IntN(8) {
	case 0:
		a.ifNoneMatch = []string{tag()}
	case 1:
		a.ifNoneMatch = []string{`"none-such"`, "W/" + strings.TrimPrefix(tag(), "W/"), `"x, y"`}
	case 2, 3:
		if len(a.ranges) > 0 {
			a.ifRange = tag()
		}
	case 4:
		if len(a.ranges) > 0 {
			a.ifRange = `"of-yesterday"`
		}
	}
	return a
}

func randomRanges(rng *rand.Rand, size int64) []span {
	if size == 0 { // Go's file server answers a suffix of nothing with a Content-Range that is not valid
		return []span{{first: 0, last: rng.Int64N(10)}}
	}
	switch rng.IntN(8) {
	case 0:
		return []span{{first: -(1 + rng.Int64N(min(size, 100_000)+10))}}
	case 1:
		return []span{{first: position(rng, size), last: -1}}
	case 2:
		return []span{{first: size + 1<<30, last: -1}}
	case 3, 4:
		ranges := make([]span, 2+rng.IntN(4))
		for i := range ranges {
			ranges[i] = randomSpan(rng, size, size/16)
		}
		if rng.IntN(3) == 0 {
			ranges[0] = span{first: -(1 + rng.Int64N(size/16+1))}
		}
		return ranges
	}
	return []span{randomSpan(rng, size, size)}
}

// randomSpan returns a range of up to longest octets, often a short one.
func randomSpan(rng *rand.Rand, size, longest int64) span {
	if rng.IntN(2) == 0 {
		longest = min(longest, 2000)
	}
	first := position(rng, size)
	return span{first, first + rng.Int64N(longest+1)}
}

// position returns an offset, often one near the bounds of the slices in which nodes keep contents.
func position(rng *rand.Rand, size int64) int64 {
	const slice = 1 << 20
	if size > slice && rng.IntN(3) == 0 {
		return slice*(1+rng.Int64N(size/slice)) - 2 + rng.Int64N(4)
	}
	return rng.Int64N(size + 1)
}
