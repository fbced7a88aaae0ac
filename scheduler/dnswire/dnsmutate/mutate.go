package dnsmutate

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
)

// maxMutant is the longest that mutants are, in octets: as long as a query can be over UDP on an ordinary link.
const maxMutant = 1472

const headerLen = 12

// interesting are values of 16 bits where programs err: lengths, counts, pointers and types of records.
var interesting = [...]uint16{ //nolint:gochecknoglobals // constant
	0, 1, 2, 3, 4, 8, 10, 11, 12, 41, 63, 64, 127, 128, 250, 251, 252, 255, 256, 512, 0x1000, 0x7fff, 0x8000, 0xc000, 0xc00c, 0xc00d, 0xffff,
}

// Mutate appends a mutant of a query to dst, which must not overlap it, and returns that. It may be the query itself, and of any length down to zero.
func Mutate(rng *rand.Rand, dst, query []byte) []byte {
	before := len(dst)
	out := append(dst, query...) //nolint:gocritic // dst is the caller's to have appended to
	for range 1 + rng.IntN(3) {
		out = append(out[:before], mutate(rng, out[before:])...)
		out = out[:min(len(out), before+maxMutant)]
	}
	return out
}

// mutate does one thing.
func mutate(rng *rand.Rand, p []byte) []byte {
	if len(p) == 0 {
		return []byte{byte(rng.Uint32())}
	}
	at := rng.IntN(len(p))
	switch rng.IntN(14) {
	case 0, 1: // a bit flips
		p[at] ^= 1 << rng.IntN(8)
	case 2:
		p[at] = byte(rng.Uint32())
	case 3: // it ends early
		return p[:at]
	case 4: // or goes on
		for range 1 + rng.IntN(40) {
			p = append(p, byte(rng.Uint32()))
		}
	case 5: // a length, a type or something else of 16 bits lies
		put(p, at, interesting[rng.IntN(len(interesting))])
	case 6: // a length is a little wrong
		if at+2 <= len(p) {
			put(p, at, binary.BigEndian.Uint16(p[at:])+uint16(rng.IntN(5))-2)
		}
	case 7: // a count lies
		put(p, 4+2*rng.IntN(4), interesting[rng.IntN(len(interesting))])
	case 8: // a name goes on elsewhere
		put(p, headerLen+rng.IntN(max(1, len(p)-headerLen)), 0xc000|uint16(rng.IntN(len(p)+2)))
	case 9: // a part is missing
		return slices.Delete(p, at, min(len(p), at+1+rng.IntN(12)))
	case 10: // a part is there twice
		return slices.Insert(p, at, slices.Clone(p[at:min(len(p), at+1+rng.IntN(12))])...)
	case 11:
		return twice(rng, p)
	case 12: // the last record once more
		if _, start := optionsOf(p); start > 0 {
			record := slices.Clone(p[start:])
			return count(append(p, record...), 10, 1)
		}
	case 13: // the name is long
		label := append([]byte{63}, make([]byte, 63)...)
		for range 1 + rng.IntN(5) {
			p = slices.Insert(p, min(headerLen, len(p)), label...)
		}
	}
	return p
}

// put writes a number if there is room.
func put(p []byte, at int, n uint16) {
	if at+2 <= len(p) {
		binary.BigEndian.PutUint16(p[at:], n)
	}
}

// count adds to one of the header's counts.
func count(p []byte, at int, n uint16) []byte {
	if at+2 <= len(p) {
		put(p, at, binary.BigEndian.Uint16(p[at:])+n)
	}
	return p
}

// optionsOf finds the options of a query whose last record is OPT: where they begin, and where the record does. Both are zero without.
func optionsOf(p []byte) (options, record int) {
	at := headerLen
	for at < len(p) && p[at] != 0 && p[at] < 64 {
		at += 1 + int(p[at])
	}
	at += 5
	if at+11 > len(p) || p[at] != 0 || binary.BigEndian.Uint16(p[at+1:]) != 41 {
		return 0, 0
	}
	return at + 11, at
}

// twice has an option once more, the record's length right.
func twice(rng *rand.Rand, p []byte) []byte {
	start, _ := optionsOf(p)
	if start == 0 {
		return p
	}
	var all [][]byte
	for at := start; at+4 <= len(p); {
		end := at + 4 + int(binary.BigEndian.Uint16(p[at+2:]))
		if end > len(p) {
			break
		}
		all = append(all, p[at:end])
		at = end
	}
	if len(all) == 0 {
		return p
	}
	option := slices.Clone(all[rng.IntN(len(all))])
	if len(option) > 4 && rng.IntN(2) == 0 { // another of the kind
		option[4+rng.IntN(len(option)-4)] = byte(rng.Uint32())
	}
	return count(append(p, option...), start-2, uint16(len(option))) //nolint:gosec // shorter than a packet
}
