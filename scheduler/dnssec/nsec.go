package dnssec

import "slices"

const maxName = 255 // octets of a name (RFC 1035 section 2.3.4)

// AppendNSEC appends the RDATA of the NSEC record by which an owner has the types and no others, and by which no name is between it and the next one there can be
// (RFC 9824). owner is a name in wire form and lower case; types need no order, and may be there twice.
func AppendNSEC(dst, owner []byte, types ...uint16) []byte {
	dst = appendSuccessor(dst, owner)
	for window, more := nextWindow(types, 0); more; window, more = nextWindow(types, window+1) {
		var bits [32]byte
		size := 0
		for _, t := range types {
			if int(t>>8) == window {
				bits[t&0xff>>3] |= 0x80 >> (t & 7)
				size = max(size, int(t&0xff>>3)+1)
			}
		}
		dst = append(append(dst, byte(window), byte(size)), bits[:size]...)
	}
	return dst
}

// nextWindow returns the first block of 256 types from one on that has some (RFC 4034 section 4.1.2).
func nextWindow(types []uint16, from int) (window int, found bool) {
	for _, t := range types {
		if w := int(t >> 8); w >= from && (!found || w < window) {
			window, found = w, true
		}
	}
	return window, found
}

// appendSuccessor appends the next name in canonical order: \000.owner, and if that is too long, the one that RFC 4471 section 3.1.2 has.
func appendSuccessor(dst, owner []byte) []byte {
	if len(owner)+2 <= maxName {
		return append(append(dst, 1, 0), owner...)
	}
	for len(owner) > 1 {
		label, parent := owner[1:1+owner[0]], owner[1+owner[0]:]
		if len(owner) < maxName && len(label) < 63 {
			dst = append(append(dst, byte(len(label)+1)), label...)
			return append(append(dst, 0), parent...)
		}
		for i, l := range slices.Backward(label) {
			if l == 0xff {
				continue
			}
			next := l + 1
			if next == 'A' {
				next = 'Z' + 1 // upper case comes where lower case does
			}
			dst = append(append(dst, byte(i+1)), label[:i]...)
			return append(append(dst, next), parent...)
		}
		owner = parent // nothing beside this comes later under its parent
	}
	return append(dst, owner...)
}
