package httpfront

import "encoding/binary"

const (
	typeSOA = 6
	typeOPT = 41
)

// freshness returns for how many seconds a DNS message is good: as long as the record of the answer section that is good for the shortest time; if there is
// none, by the SOA record of the authority section (RFC 8484 section 5.1, RFC 2308 section 5), or the shortest of a referral. It is -1 for a message that has
// nothing that could be kept, or cannot be read.
func freshness(m []byte) int {
	const header = 12
	if len(m) < header {
		return -1
	}
	rcode := m[3] & 0xf
	if rcode != 0 && rcode != 3 { // NOERROR, NXDOMAIN
		return -1
	}
	count := func(at int) int { return int(binary.BigEndian.Uint16(m[at:])) }
	at := header
	for range count(4) {
		if at = skipName(m, at); at < 0 || at+4 > len(m) {
			return -1
		}
		at += 4
	}
	answers, authorities := count(6), count(8)
	least := -1
	for i := range answers + authorities {
		if i == answers && answers > 0 {
			break
		}
		var r record
		if r, at = readRecord(m, at); at < 0 {
			return -1
		}
		if r.kind == typeOPT {
			continue
		}
		ttl := r.ttl
		if answers == 0 && r.kind == typeSOA && len(r.data) >= 4 {
			ttl = min(ttl, ttlOf(r.data[len(r.data)-4:])) // MINIMUM
		}
		if least < 0 || ttl < least {
			least = ttl
		}
	}
	return least
}

// record is what matters of a resource record here.
type record struct {
	kind uint16
	ttl  int
	data []byte
}

// readRecord reads the record at an offset. next is -1 if there is none.
func readRecord(m []byte, at int) (r record, next int) {
	at = skipName(m, at)
	if at < 0 || at+10 > len(m) {
		return r, -1
	}
	size := int(binary.BigEndian.Uint16(m[at+8:]))
	if at+10+size > len(m) {
		return r, -1
	}
	return record{binary.BigEndian.Uint16(m[at:]), ttlOf(m[at+4:]), m[at+10 : at+10+size]}, at + 10 + size
}

// ttlOf reads a time to live. One with the highest bit set is none (RFC 2181 section 8).
func ttlOf(p []byte) int {
	n := binary.BigEndian.Uint32(p)
	if n > 1<<31-1 {
		return 0
	}
	return int(n)
}

// skipName returns the offset behind a name, or -1.
func skipName(m []byte, at int) int {
	for at < len(m) {
		switch n := int(m[at]); {
		case n == 0:
			return at + 1
		case n >= 0xc0:
			return at + 2
		case n >= 0x40:
			return -1
		default:
			at += 1 + n
		}
	}
	return -1
}
