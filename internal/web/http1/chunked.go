package http1

import (
	"fmt"
	"io"
	"net/http"
	"net/textproto"

	"nearcast/internal/web/grammar"
)

// The framing of chunks may take so many octets for each one of the body, and some
// more. A chunk for each octet takes five; more than the limit is somebody who wants us busy.
const (
	maxFramingFactor = 16
	maxFramingExtra  = 64 << 10
	maxSizeDigits    = 15 // keeps sizes within an int64; zeros in front count
)

// chunkState is what comes next in a body in chunks.
type chunkState int

const (
	chunkSize    chunkState = iota // a chunk's first line
	chunkData                      // octets of the body
	chunkEnd                       // the CR LF after them
	chunkTrailer                   // fields and the empty line after the last chunk
	chunkDone
)

// chunked reads a body in chunks (RFC 9112 section 7.1).
type chunked struct {
	in      *input
	lim     *Limits
	trailer http.Header // gets the fields after the body that may be there

	state         chunkState
	left          int64 // of the chunk's data
	data, framing int64 // octets so far
}

// Read returns what can be had without waiting, and waits only for the first octet.
func (k *chunked) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if n > 0 && !k.ready() {
			return n, nil
		}
		if k.state != chunkData {
			if err := k.step(); err != nil {
				return n, err
			}
			continue
		}
		m, err := k.in.Read(p[n:min(int64(len(p)), int64(n)+k.left)])
		n += m
		k.left -= int64(m)
		k.data += int64(m)
		if k.left == 0 {
			k.state = chunkEnd
		}
		if err != nil {
			return n, unexpected(err)
		}
	}
	return n, nil
}

// ready reports whether the next step needs no reading.
func (k *chunked) ready() bool {
	switch k.state {
	case chunkData:
		return len(k.in.unread()) > 0
	case chunkDone:
		return true
	case chunkEnd:
		return k.in.hasLine(len("\r\n"))
	case chunkTrailer:
		return false // it may come in several reads
	default:
		return k.in.hasLine(k.lineLimit())
	}
}

// lineLimit is the longest line before a chunk's data.
func (k *chunked) lineLimit() int { return maxSizeDigits + k.lim.ChunkExtension + len("\r\n") }

// step takes what comes next, if that is not data.
func (k *chunked) step() error {
	switch k.state {
	case chunkEnd:
		return k.endChunk()
	case chunkTrailer:
		return k.readTrailer()
	case chunkDone:
		return io.EOF
	default:
		return k.beginChunk()
	}
}

func (k *chunked) beginChunk() error {
	line, err := k.in.line(k.lineLimit())
	if err != nil {
		return err
	}
	k.left, err = parseChunkLine(line, k.lim.ChunkExtension)
	if err != nil {
		return err
	}
	k.state = chunkData
	if k.left == 0 {
		k.state = chunkTrailer
	}
	return k.frame(len(line) + len("\r\n"))
}

func (k *chunked) endChunk() error {
	line, err := k.in.line(len("\r\n"))
	if err != nil {
		return err
	}
	if len(line) > 0 {
		return &bodyError{"a chunk is longer than it says"}
	}
	k.state = chunkSize
	return k.frame(len("\r\n"))
}

// frame counts octets of framing.
func (k *chunked) frame(n int) error {
	k.framing += int64(n)
	if k.framing-maxFramingExtra > maxFramingFactor*k.data {
		return &bodyError{"the chunks have more framing than content"}
	}
	return nil
}

// readTrailer reads the trailer section, which may come in several reads.
func (k *chunked) readTrailer() error {
	size := 0
	for fields := 0; ; fields++ {
		line, err := k.in.line(k.lim.TrailerBytes - size)
		if err != nil {
			return err
		}
		size += len(line) + len("\r\n")
		if len(line) == 0 {
			k.state = chunkDone
			return io.EOF
		}
		if fields == k.lim.Fields {
			return &bodyError{"the body has too many trailer fields"}
		}
		name, value, why := parseField(line)
		if why != nil {
			return &bodyError{"trailer: " + why.text}
		}
		if key := textproto.CanonicalMIMEHeaderKey(string(name)); grammar.MayTrail(key) {
			k.trailer[key] = append(k.trailer[key], string(value))
		}
	}
}

// parseChunkLine returns the size in a chunk's first line, given without its CR LF.
// Extensions mean nothing to us (RFC 9112 section 7.1.1), but they have to be well-formed enough to have
// one end.
func parseChunkLine(line []byte, maxExtension int) (size int64, err error) {
	n := 0
	for ; n < len(line) && grammar.IsHex(line[n]); n++ {
		if n == maxSizeDigits {
			return 0, &bodyError{"a chunk's size has too many digits"}
		}
		size = size<<4 | hexValue(line[n])
	}
	if n == 0 {
		return 0, &bodyError{"a chunk's size is missing"}
	}
	extension := line[n:]
	if len(extension) == 0 {
		return size, nil
	}
	if rest := trimSpace(extension); len(rest) == 0 || rest[0] != ';' {
		return 0, &bodyError{"a chunk's size is followed by something that is no extension"}
	}
	if len(extension) > maxExtension {
		return 0, &bodyError{fmt.Sprintf("a chunk's extensions are longer than %d octets", maxExtension)}
	}
	for _, c := range extension {
		if !grammar.IsFieldOctet(c) {
			return 0, &bodyError{"a chunk's extension has a control character"}
		}
	}
	return size, nil
}

func hexValue(c byte) int64 {
	if grammar.IsDigit(c) {
		return int64(c - '0')
	}
	return int64(c|0x20-'a') + 10
}
