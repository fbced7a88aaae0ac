package record

import "encoding/binary"

// Reseal makes the checksums of a record's header and meta data right, as far as there are octets.
func Reseal(b []byte, salt Salt) {
	h := Header{Key: le32(b[72:]), Variant: le32(b[76:]), URL: le32(b[80:]), Head: le32(b[84:])}
	h.Tags, h.Targets = binary.LittleEndian.Uint16(b[88:]), binary.LittleEndian.Uint16(b[90:])
	h.Body = int64(binary.LittleEndian.Uint64(b[56:]))
	if meta := b[HeaderSize:]; h.Meta() >= 0 && h.Meta() <= int64(len(meta)) {
		binary.LittleEndian.PutUint32(b[92:], salt.sum(meta[:h.Meta()]))
	}
	binary.LittleEndian.PutUint32(b[HeaderSize-4:], salt.sum(b[:HeaderSize-4]))
}

// ResealTrailer makes the checksums of a footer right.
func ResealTrailer(b []byte, salt Salt) {
	at := len(b) - TrailerSize
	binary.LittleEndian.PutUint32(b[at+28:], salt.sum(b[:at]))
	binary.LittleEndian.PutUint32(b[len(b)-4:], salt.sum(b[at:len(b)-4]))
}

func le32(b []byte) uint32 { return binary.LittleEndian.Uint32(b) }
