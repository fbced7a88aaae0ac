package dnssec

import (
	"crypto"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"nearcast/cdn"
	"nearcast/scheduler/rr"
)

// Times of signatures, in seconds. They begin and end at whole hours.
const (
	hour   = 3600
	before = hour             // from how long before the hour in which it was made a signature is good: clocks of resolvers are not exact
	life   = 4 * 24 * hour    // how long it is good at least, from that hour on
	jitter = 24               // how many hours longer some are, by their names, so that not all end at once
	renew  = life/2 - 12*hour // after how long it is made anew at the earliest,
	spread = 24 * hour        // and how much later some are, by their names
)

// window is when a signature is good, and from when on it is made anew; in Unix seconds.
type window struct{ inception, expiry, renew int64 }

// windowOf returns that of a signature made now for an owner.
func windowOf(now int64, owner []byte) window {
	made, shift := now-now%hour, xxhash.Sum64(owner)
	return window{
		inception: made - before,
		expiry:    made + life + int64(shift%jitter)*hour,
		renew:     made + renew + int64(shift>>8%spread),
	}
}

// signature returns the RDATA of an RRSIG record (RFC 4034 section 3.1).
func (k *key) signature(w window, zone, owner []byte, set *rr.Set) ([]byte, error) {
	data := make([]byte, 0, 18+len(zone)+64)
	data = binary.BigEndian.AppendUint16(data, set.Type)
	data = append(data, algorithm, labels(owner))
	data = binary.BigEndian.AppendUint32(data, set.TTL)
	data = binary.BigEndian.AppendUint32(data, uint32(w.expiry))    //nolint:gosec // serial numbers (RFC 4034 section 3.1.5)
	data = binary.BigEndian.AppendUint32(data, uint32(w.inception)) //nolint:gosec // likewise
	data = binary.BigEndian.AppendUint16(data, k.tag)
	data = append(data, zone...)
	sum := digest(data, owner, set)
	der, err := k.private.Sign(nil, sum[:], crypto.SHA256) // deterministic (RFC 6979): all servers give the same
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	return appendPoint(data, der)
}

// algorithm is ECDSA P-256 with SHA-256.
const algorithm = 13

// labels counts the labels of a name, as RRSIG does: without the root and without a wildcard.
func labels(name []byte) (n byte) {
	for i := 0; i < len(name) && name[i] != 0; i += int(name[i]) + 1 {
		n++
	}
	if len(name) > 1 && name[0] == 1 && name[1] == '*' {
		n--
	}
	return n
}

// digest is the hash of what is signed (RFC 4034 section 3.1.8.1).
func digest(head, owner []byte, set *rr.Set) (sum [sha256.Size]byte) {
	size := len(head)
	for _, data := range set.Data {
		size += len(owner) + 10 + len(data)
	}
	text := append(make([]byte, 0, size), head...)
	for _, data := range set.Data {
		text = append(text, owner...)
		text = binary.BigEndian.AppendUint16(text, set.Type)
		text = binary.BigEndian.AppendUint16(text, rr.ClassIN)
		text = binary.BigEndian.AppendUint32(text, set.TTL)
		text = binary.BigEndian.AppendUint16(text, uint16(len(data))) //nolint:gosec // RDATA has a length of 16 bits
		text = append(text, data...)
	}
	return sha256.Sum256(text)
}

// appendPoint appends a signature as RFC 6605 section 4 wants it, r and s of 32 octets each.
func appendPoint(dst, der []byte) ([]byte, error) {
	var inner cryptobyte.String
	input := cryptobyte.String(der)
	var r, s []byte
	if !input.ReadASN1(&inner, asn1.SEQUENCE) || !inner.ReadASN1Integer(&r) || !inner.ReadASN1Integer(&s) || len(r) > 32 || len(s) > 32 {
		return nil, cdn.Errorf(cdn.Other, "dnssec.Sign", "a signature of %d octets is not understood", len(der))
	}
	var zeros [32]byte
	dst = append(append(dst, zeros[:32-len(r)]...), r...)
	return append(append(dst, zeros[:32-len(s)]...), s...), nil
}
