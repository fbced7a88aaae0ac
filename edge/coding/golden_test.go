package coding_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"nearcast/edge/coding"
)

// TestTheOctetsAreThoseOfThisGeneration fails when the coders begin to make other octets, as a new version of a
// library may. Then the generation in tag.go goes up, with the digests here: the strong tags of two releases
// that run side by side must not be alike for different octets.
func TestTheOctetsAreThoseOfThisGeneration(t *testing.T) {
	var data []byte
	for _, s := range append(samples(), longPage()) {
		data = append(data, s.data...)
	}
	for c, want := range map[coding.Coding]string{
		coding.Gzip:   "527016e1c5b73271a7471499c5863c154a0abb57bc2ce453cbd1c00210290d03",
		coding.Brotli: "4080df831f8e2ec4969b884d337e43d72076c2b14de1a0eab89b9ffe5b41f2b0",
		coding.Zstd:   "2d42b093bb7ef15eb2823db03326353e42d5aeee88d191525bd9c68388be9bff",
	} {
		sum := sha256.Sum256(encode(t, bytes.NewReader(data), c))
		if got := hex.EncodeToString(sum[:]); got != want {
			t.Errorf("%s: the digest is %s, want %s", c, got, want)
		}
	}
}
