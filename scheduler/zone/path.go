package zone

import (
	"encoding/binary"
	"hash/maphash"
	"math/bits"

	"nearcast/cdn"
)

// Bounds of names, RFC 1035 section 2.3.4.
const (
	maxName   = 255 // octets, in wire form
	maxLabels = 127
)

// seeds make hashes that nobody can predict.
type seeds struct {
	above, label, size uint64
}

func newSeeds() seeds {
	seed := maphash.MakeSeed()
	return seeds{maphash.String(seed, "above"), maphash.String(seed, "label"), maphash.String(seed, "size")}
}

// root is the hash of no labels.
const root uint64 = 0

// under is the hash of the i-th label of a path under a name, by the name's hash.
func (s *seeds) under(above uint64, p *path, i int) uint64 {
	at, end := int(p.starts[i])+1, int(p.starts[i+1])
	h := above ^ s.above
	for ; end-at > 8; at += 8 {
		h = fold(h, binary.LittleEndian.Uint64(p.text[at:at+8])^s.label)
	}
	last := binary.LittleEndian.Uint64(p.text[at:at+8]) & (1<<(8*uint(end-at)) - 1) //nolint:gosec // 0 to 8
	return fold(fold(h, last^s.label), uint64(end-at)^s.size)                       //nolint:gosec // not negative
}

// fold mixes two words, both of which have something secret.
func fold(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

// path is a name, in lower case, that is walked from its end.
type path struct {
	// text has a dot where the wire form has the length of a label, the first one included: ".www.shop.example".
	text [maxName + 8]byte // eight more are read, and ignored
	size int
	// starts are where labels have their dots, from the first label of the name on; one more is the end.
	starts [maxLabels + 1]uint8
	labels int
	// dotted is how many labels there are up to the last that has a dot in it; of these and what follows text is not the name's.
	dotted int
	// hashes are by the number of labels from some ancestor down; see walk.
	hashes [maxLabels + 1]uint64
}

// read takes in a name in wire form, and reports whether it is one.
func (p *path) read(name []byte) bool {
	p.size, p.labels, p.dotted = 0, 0, 0
	if len(name) == 0 || len(name) > maxName {
		return false
	}
	for at := 0; ; {
		n := int(name[at])
		if n == 0 {
			p.size = at
			p.starts[p.labels] = uint8(at) //nolint:gosec // below maxName
			return at == len(name)-1
		}
		if n > 63 || at+1+n >= len(name) || p.labels == maxLabels {
			return false
		}
		p.starts[p.labels] = uint8(at) //nolint:gosec // below maxName
		p.labels++
		p.text[at] = '.'
		for i := at + 1; i <= at+n; i++ {
			c := name[i]
			if 'A' <= c && c <= 'Z' {
				c += 'a' - 'A'
			}
			if c == '.' {
				p.dotted = p.labels
			}
			p.text[i] = c
		}
		at += 1 + n
	}
}

// readText takes in a name that is a text in normal form, and reports whether it is one.
func (p *path) readText(name cdn.Domain) bool {
	p.size, p.labels, p.dotted = 0, 0, 0
	if len(name) == 0 || len(name) > maxName-2 {
		return false
	}
	p.text[0], p.labels = '.', 1
	p.starts[0] = 0
	copy(p.text[1:], name)
	p.size = len(name) + 1
	for i := 1; i < p.size; i++ {
		if p.text[i] != '.' {
			continue
		}
		if p.labels == maxLabels || p.text[i-1] == '.' {
			return false
		}
		p.starts[p.labels] = uint8(i) //nolint:gosec // below maxName
		p.labels++
	}
	p.starts[p.labels] = uint8(p.size) //nolint:gosec // below maxName
	return p.text[p.size-1] != '.'
}

// label is the i-th label of the name.
func (p *path) label(i int) []byte { return p.text[p.starts[i]+1 : p.starts[i+1]] }

// part is the text of labels from one on, up to another: "www.shop".
func (p *path) part(from, to int) []byte {
	if from == to {
		return nil
	}
	return p.text[p.starts[from]+1 : p.starts[to]]
}

// walk fills in hashes for the labels in front of one, which is the number of the ancestor's first: hashes[k] is of the k labels next to the
// ancestor, whose own hash is given.
func (p *path) walk(s *seeds, to int, ancestor uint64) {
	p.hashes[0] = ancestor
	for k := 1; k <= to; k++ {
		p.hashes[k] = s.under(p.hashes[k-1], p, to-k)
	}
}
