package http2

import (
	"io"
	"net"
)

const (
	smallInput = 4 << 10  // of a connection whose client sends little
	largeInput = 64 << 10 // of one that uploads
	maxEmpty   = 100      // reads in a row that bring nothing
)

// input is what has been read from a connection and not been used yet. Frames are parsed where they lie in
// its buffer.
type input struct {
	buf  []byte
	r, w int // buf[r:w] is unread
}

func (in *input) unread() []byte { return in.buf[in.r:in.w] }

func (in *input) skip(n int) { in.r += n }

// next takes a frame if it is there to its last octet.
func (in *input) next() (f frame, ok bool, err error) {
	p := in.unread()
	if len(p) < frameHeaderLen {
		return f, false, nil
	}
	f, length := parseHeader(p)
	if length > maxFrameSize {
		return f, false, wrongSize("frame-too-large")
	}
	if len(p) < frameHeaderLen+length {
		return f, false, nil
	}
	f.payload = p[frameHeaderLen : frameHeaderLen+length]
	in.skip(frameHeaderLen + length)
	return f, true, nil
}

// more reads once.
func (in *input) more(src net.Conn) error {
	in.makeRoom()
	for range maxEmpty {
		n, err := src.Read(in.buf[in.w:])
		in.w += n
		if n > 0 {
			return nil // an error will be there the next time too
		}
		if err != nil {
			return err //nolint:wrapcheck // the caller knows what was being read
		}
	}
	return io.ErrNoProgress
}

// makeRoom makes room at the end of the buffer: by moving what is unread to its begin, or by making it larger if
// there is a lot of that.
func (in *input) makeRoom() {
	n, full := in.w-in.r, in.w == len(in.buf)
	switch {
	case !full && n > 0:
		return
	case full && (n == 0 || n > len(in.buf)/2) && len(in.buf) < largeInput:
		larger := make([]byte, max(smallInput, min(4*len(in.buf), largeInput)))
		copy(larger, in.unread())
		in.buf = larger
	default:
		copy(in.buf, in.unread())
	}
	in.r, in.w = 0, n
}

// rest gives up the buffer if it is empty.
func (in *input) rest() {
	if in.r == in.w {
		*in = input{}
	}
}
