package coding

import (
	"errors"
	"fmt"
	"io"
)

// What Limits means by zero.
const (
	DefaultMaxRatio = 100
	DefaultMaxSize  = 1 << 30
)

// freeSize is what may come out whatever went in, in octets: short pages of one character are no
// bombs.
const freeSize = 1 << 20

// ErrBomb is that a body grows beyond its Limits when decoded.
var ErrBomb = errors.New("the body is out of proportion when decoded")

// Limits bound what a decoder gives out.
type Limits struct {
	// MaxRatio is the greatest ratio of decoded to coded octets, at any point of the stream. It holds once
	// 1 MiB has been decoded. Zero or less is DefaultMaxRatio.
	MaxRatio int
	// MaxSize is the greatest number of decoded octets. Zero or less is DefaultMaxSize.
	MaxSize int64
}

// allowed returns how many octets may have been decoded after so many were read.
func (l Limits) allowed(read int64) int64 {
	ratio, size := int64(l.MaxRatio), l.MaxSize
	if ratio <= 0 {
		ratio = DefaultMaxRatio
	}
	if size <= 0 {
		size = DefaultMaxSize
	}
	if read > size/ratio { // read*ratio is no less, or would overflow
		return size
	}
	return min(size, max(freeSize, read*ratio))
}

// NewDecoder takes a coding off src. It decodes as it is read, in the caller's goroutine, in bounded memory: at most
// 8 MiB of window for zstd (RFC 9659 section 3), 16 MiB for br, 32 KiB for gzip. Nothing is read before
// the first Read; what has been read is decoded at once, but for the last 16 octets of br.
//
// A stream that breaks off is io.ErrUnexpectedEOF; one that is damaged, or has anything after
// its end, is an error of its library; one that exceeds the limits is ErrBomb. Octets given out before the
// error may be of a damaged stream: only io.EOF says that all is well. An error of src is returned as it is.
//
// Decoders are pooled: Close gives this one back, and does not close src. The reader is not safe for
// concurrent use. The only error of NewDecoder is ErrUnsupported.
func NewDecoder(src io.Reader, c Coding, lim Limits) (io.ReadCloser, error) {
	u, err := takeUnpacker(c)
	if err != nil {
		return nil, fmt.Errorf("content coding %q: %w", string(c), err)
	}
	u.src = source{r: src}
	return &decodingReader{u: u, lim: lim}, nil
}

// decodingReader is what NewDecoder returns.
type decodingReader struct {
	u       *unpacker // nil once given back
	lim     Limits
	decoded int64 // octets given out
	err     error // sticky
}

// Read implements io.Reader.
func (r *decodingReader) Read(p []byte) (int, error) {
	if len(p) == 0 || r.err != nil {
		return 0, r.err
	}
	n, err := 0, error(nil)
	for empty := 0; n == 0 && err == nil; empty++ {
		if empty == maxEmptyReads {
			err = io.ErrNoProgress
			break
		}
		n, err = r.u.read(p)
	}
	if room := r.lim.allowed(r.u.src.n) - r.decoded; int64(n) > room {
		n, err = int(max(room, 0)), ErrBomb
	}
	r.decoded += int64(n)
	if err != nil {
		r.err = err
		r.release()
	}
	return n, err
}

// Close gives the decoder back. It returns no error.
func (r *decodingReader) Close() error {
	r.release()
	r.err = ErrClosed
	return nil
}

func (r *decodingReader) release() {
	if r.u != nil {
		r.u.giveBack()
		r.u = nil
	}
}

// source counts what a decoder reads, and keeps the error that ended it.
type source struct {
	r     io.Reader
	n     int64
	empty int // reads in a row that brought nothing
	err   error
}

// Read implements io.Reader.
func (s *source) Read(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.r.Read(p)
	s.n += int64(n)
	s.empty++
	if n > 0 {
		s.empty = 0
	}
	if err == nil && s.empty == maxEmptyReads {
		err = io.ErrNoProgress
	}
	s.err = err
	return n, err
}

// failed reports whether the source ended otherwise than by its end.
func (s *source) failed() bool {
	return s.err != nil && s.err != io.EOF //nolint:errorlint // the end is io.EOF itself; a wrapped one is a failure
}
