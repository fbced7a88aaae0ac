package http1

import (
	"bytes"
	"errors"
	"io"
	"math"
)

const (
	smallBuffer = 4 << 10 // of a connection that does nothing unusual
	maxEmpty    = 100     // reads in a row that bring nothing
)

var errBufferFull = errors.New("the buffer is full")

// input is what has been read from a connection and not been used yet. Heads and chunk
// lines are parsed where they lie in its buffer.
type input struct {
	src  io.Reader
	buf  []byte
	r, w int // buf[r:w] is unread
}

// unread returns what is there. It is valid until the next read.
func (in *input) unread() []byte { return in.buf[in.r:in.w] }

func (in *input) skip(n int) { in.r += n }

// more reads once, into a buffer that grows up to limit octets.
func (in *input) more(limit int) error {
	if err := in.makeRoom(limit); err != nil {
		return err
	}
	for range maxEmpty {
		n, err := in.src.Read(in.buf[in.w:])
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

func (in *input) makeRoom(limit int) error {
	if in.r == in.w {
		in.r, in.w = 0, 0
	}
	switch {
	case in.w < len(in.buf):
		return nil
	case in.r > 0:
		in.w = copy(in.buf, in.unread())
		in.r = 0
		return nil
	case len(in.buf) >= max(limit, smallBuffer):
		return errBufferFull
	}
	larger := make([]byte, min(max(2*len(in.buf), smallBuffer), max(limit, smallBuffer)))
	copy(larger, in.buf)
	in.buf = larger
	return nil
}

// push adds an octet that was read past the buffer.
func (in *input) push(c byte) {
	in.makeRoom(math.MaxInt) //nolint:errcheck // there is no limit to exceed
	in.buf[in.w] = c
	in.w++
}

// shrink gives up a large buffer that is empty.
func (in *input) shrink() {
	if in.r == in.w && len(in.buf) > smallBuffer {
		in.buf, in.r, in.w = make([]byte, smallBuffer), 0, 0
	}
}

// Read takes what is there, else it reads.
func (in *input) Read(p []byte) (int, error) {
	if in.r == in.w {
		if len(p) >= len(in.buf) {
			return in.src.Read(p) //nolint:wrapcheck // as above
		}
		if err := in.more(smallBuffer); err != nil {
			return 0, err
		}
	}
	n := copy(p, in.unread())
	in.r += n
	return n, nil
}

// hasLine reports whether a line of at most limit octets can be had without reading.
func (in *input) hasLine(limit int) bool {
	p := in.unread()
	return len(p) > limit || bytes.IndexByte(p, '\n') >= 0
}

// line takes a line of at most limit octets and returns it without its CR LF, valid
// until the next read.
func (in *input) line(limit int) ([]byte, error) {
	for searched := 0; ; {
		p := in.unread()
		if i := bytes.IndexByte(p[searched:], '\n'); i >= 0 && searched+i < limit {
			in.skip(searched + i + 1)
			line, why := trimLineEnd(p[:searched+i])
			if why != nil {
				return nil, &bodyError{why.text}
			}
			return line, nil
		}
		if len(p) >= limit {
			return nil, &bodyError{"a line is too long"}
		}
		searched = len(p)
		if err := in.more(limit); err != nil {
			return nil, unexpected(err)
		}
	}
}

// unexpected makes the end of the connection in the middle of a message an error.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
