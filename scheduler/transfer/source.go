package transfer

import (
	"encoding/binary"
	"iter"

	"nearcast/cdn"
	"nearcast/scheduler/rr"
)

// Source is what there is to transfer at one time. It never changes, so that a long transfer is of one moment, and may be read by many at once. To make one of the
// schedulers' zones: Zones are those of the set; Records yields the static sets of each name, and at steered names also what a default answer is (addresses of
// two nodes of different POPs, chosen by configuration alone), so that it is the same on all schedulers of one generation. An ALIAS has no
// place in it, since its addresses come and go without a new serial. Signatures and what only a signer can make (RRSIG, NSEC, DNSKEY) are left out: a copy is not signed.
type Source interface {
	// Zones returns the zones.
	Zones() []Zone
	// Records yields every set of a zone but the SOA, once, in any order, with its owner in wire form, in lower case. Nothing may be kept.
	Records(z *Zone) iter.Seq2[[]byte, rr.Set]
}

// Zone is one zone of a source.
type Zone struct {
	// Name is the apex, in wire form, in lower case.
	Name []byte
	// SOA has one record. Its serial stands for the content: a source whose zone has other records has another, larger (RFC 1982) serial.
	SOA rr.Set
	// Secondaries may have the zone. Without any nobody may, and it costs nothing.
	Secondaries []cdn.Secondary
}

// Serial is the zone's, from the SOA; zero if that is none.
func (z *Zone) Serial() uint32 {
	if len(z.SOA.Data) == 0 || len(z.SOA.Data[0]) < 22 {
		return 0
	}
	d := z.SOA.Data[0]
	return binary.BigEndian.Uint32(d[len(d)-20:])
}

// later reports whether a serial comes after another (RFC 1982).
func later(a, b uint32) bool { return a != b && int32(a-b) > 0 } //nolint:gosec // serial numbers
