package http2

import (
	"encoding/binary"

	h2 "golang.org/x/net/http2"
)

const (
	frameHeaderLen = 9
	// maxFrameSize is what each end may send unless it has been told otherwise, and we tell nobody (RFC 9113
	// section 4.2).
	maxFrameSize = 16384
)

// frame is a frame that has been read. Its payload is valid until the next one is read.
type frame struct {
	kind    h2.FrameType
	flags   h2.Flags
	id      uint32
	payload []byte
}

// parseHeader reads the header of a frame (RFC 9113 section 4.1).
func parseHeader(p []byte) (f frame, length int) {
	f.kind, f.flags = h2.FrameType(p[3]), h2.Flags(p[4])
	f.id = uint31(p[5:])
	return f, int(p[0])<<16 | int(p[1])<<8 | int(p[2])
}

// uint31 reads a number of a stream, or an increment of a window. The bit before it is reserved.
func uint31(p []byte) uint32 { return binary.BigEndian.Uint32(p) & (1<<31 - 1) }

// unpad takes the padding off the payload of a DATA or HEADERS frame (RFC 9113 section 6.1).
func (f *frame) unpad() ([]byte, error) {
	p := f.payload
	if !f.flags.Has(h2.FlagDataPadded) {
		return p, nil
	}
	if len(p) == 0 {
		return nil, wrongSize("padding")
	}
	n := int(p[0])
	if p = p[1:]; n > len(p) {
		return nil, violation("padding")
	}
	return p[:len(p)-n], nil
}

func appendFrameHeader(dst []byte, length int, kind h2.FrameType, flags h2.Flags, id uint32) []byte {
	return append(dst, byte(length>>16), byte(length>>8), byte(length), byte(kind), byte(flags),
		byte(id>>24), byte(id>>16), byte(id>>8), byte(id))
}

func appendSettings(dst []byte, settings ...h2.Setting) []byte {
	dst = appendFrameHeader(dst, 6*len(settings), h2.FrameSettings, 0, 0)
	for _, s := range settings {
		dst = binary.BigEndian.AppendUint16(dst, uint16(s.ID))
		dst = binary.BigEndian.AppendUint32(dst, s.Val)
	}
	return dst
}

func appendPing(dst []byte, flags h2.Flags, data []byte) []byte {
	dst = appendFrameHeader(dst, 8, h2.FramePing, flags, 0)
	return append(dst, data[:8]...)
}

func appendGoAway(dst []byte, last uint32, code h2.ErrCode) []byte {
	dst = appendFrameHeader(dst, 8, h2.FrameGoAway, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, last)
	return binary.BigEndian.AppendUint32(dst, uint32(code))
}

func appendWindowUpdate(dst []byte, id uint32, increment int64) []byte {
	dst = appendFrameHeader(dst, 4, h2.FrameWindowUpdate, 0, id)
	return binary.BigEndian.AppendUint32(dst, uint32(increment))
}

func appendReset(dst []byte, id uint32, code h2.ErrCode) []byte {
	dst = appendFrameHeader(dst, 4, h2.FrameRSTStream, 0, id)
	return binary.BigEndian.AppendUint32(dst, uint32(code))
}

// appendHeaders appends a header block in as many frames as it needs.
func appendHeaders(dst []byte, id uint32, end bool, block []byte) []byte {
	kind, flags := h2.FrameHeaders, h2.Flags(0)
	if end {
		flags = h2.FlagHeadersEndStream
	}
	for {
		part := block[:min(len(block), maxFrameSize)]
		block = block[len(part):]
		if len(block) == 0 {
			flags |= h2.FlagHeadersEndHeaders
		}
		dst = appendFrameHeader(dst, len(part), kind, flags, id)
		dst = append(dst, part...)
		if len(block) == 0 {
			return dst
		}
		kind, flags = h2.FrameContinuation, 0
	}
}
