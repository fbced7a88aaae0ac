// Package rr is sets of resource records in wire form: what zones hold, what is signed, and what answers are made of.
//
// It is not for messages; dnswire reads and writes those.
package rr

// Types of records that this program knows by name (https://www.iana.org/assignments/dns-parameters).
const (
	TypeA       uint16 = 1
	TypeNS      uint16 = 2
	TypeCNAME   uint16 = 5
	TypeSOA     uint16 = 6
	TypeHINFO   uint16 = 13
	TypeMX      uint16 = 15
	TypeTXT     uint16 = 16
	TypeAAAA    uint16 = 28
	TypeOPT     uint16 = 41
	TypeDS      uint16 = 43
	TypeRRSIG   uint16 = 46
	TypeNSEC    uint16 = 47
	TypeDNSKEY  uint16 = 48
	TypeCDS     uint16 = 59
	TypeCDNSKEY uint16 = 60
	TypeSVCB    uint16 = 64
	TypeHTTPS   uint16 = 65
	TypeNXNAME  uint16 = 128 // RFC 9824 section 2
	TypeTSIG    uint16 = 250
	TypeIXFR    uint16 = 251
	TypeAXFR    uint16 = 252
	TypeANY     uint16 = 255
	TypeCAA     uint16 = 257
)

// Classes.
const (
	ClassIN    uint16 = 1
	ClassCHAOS uint16 = 3
	ClassANY   uint16 = 255
)

// Keys of the parameters of HTTPS records (RFC 9460 section 14.3.2).
const (
	KeyALPN     uint16 = 1
	KeyPort     uint16 = 3
	KeyIPv4Hint uint16 = 4
	KeyIPv6Hint uint16 = 6
)

// Set is the records of one name and type. What zones hold is immutable.
type Set struct {
	// Type is of all records.
	Type uint16
	// TTL is for how long they may be kept, in seconds.
	TTL uint32
	// Data is the RDATA of each, uncompressed, in canonical form and order (RFC 4034 sections 6.2 and 6.3), without duplicates. Not empty.
	Data [][]byte
}
