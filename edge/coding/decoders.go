package coding

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// maxZstdWindow is what a sender may use at most (RFC 9659 section 3), in octets.
const maxZstdWindow = 8 << 20

// library is what the decoders of the three libraries have in common.
type library interface {
	io.Reader
	Reset(src io.Reader) error
}

// unpacker is a decoder with its source. One stream owns it at a time.
type unpacker struct {
	coding  Coding
	lib     library
	src     source
	started bool // lib has been reset to src
	broken  bool // lib has panicked, and is not to be used again
}

// read decodes some octets.
func (u *unpacker) read(p []byte) (n int, err error) {
	u.broken = true
	defer recovered(&err, "decoding", u.coding)
	if !u.started {
		err = u.lib.Reset(&u.src) // gzip reads its head here
		u.started = true
	}
	if err == nil {
		n, err = u.lib.Read(p)
	}
	u.broken = false
	return n, u.explain(err)
}

// explain says what an error of the library means.
func (u *unpacker) explain(err error) error {
	switch {
	case err == nil:
		return nil
	case u.src.failed():
		return u.src.err
	case errors.Is(err, io.EOF) && u.src.n > 0:
		return io.EOF
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF): // nothing at all is no stream in any coding
		return fmt.Errorf("decoding %s: %w", u.coding, io.ErrUnexpectedEOF)
	}
	return fmt.Errorf("decoding %s: %w", u.coding, err)
}

// Idle decoders.
//
//nolint:gochecknoglobals // pools of idle memory; nothing can be read from them
var gzipUnpackers, brotliUnpackers, zstdUnpackers sync.Pool

func unpackers(c Coding) *sync.Pool {
	switch c {
	case Gzip:
		return &gzipUnpackers
	case Brotli:
		return &brotliUnpackers
	case Zstd:
		return &zstdUnpackers
	default:
		return nil
	}
}

// takeUnpacker returns a decoder without a source.
func takeUnpacker(c Coding) (*unpacker, error) {
	pool := unpackers(c)
	if pool == nil {
		return nil, ErrUnsupported
	}
	if u, ok := pool.Get().(*unpacker); ok {
		return u, nil
	}
	lib, err := newLibrary(c)
	if err != nil {
		return nil, err
	}
	return &unpacker{coding: c, lib: lib}, nil
}

// giveBack puts a decoder into its pool.
func (u *unpacker) giveBack() {
	u.src, u.started = source{}, false
	if !u.broken {
		unpackers(u.coding).Put(u)
	}
}

func newLibrary(c Coding) (library, error) {
	switch c {
	case Gzip:
		return new(gzip.Reader), nil
	case Brotli:
		return new(brotliReader), nil
	case Zstd:
		return zstd.NewReader(nil,
			zstd.WithDecoderConcurrency(1), // no goroutines
			zstd.WithDecoderMaxWindow(maxZstdWindow),
			zstd.WithDecoderLowmem(true),
		)
	default:
		return nil, ErrUnsupported
	}
}

// brotliReader is a br decoder whose source has a tail.
type brotliReader struct {
	brotli.Reader
	tail tail
}

// Reset starts a stream; src is the unpacker's source.
func (r *brotliReader) Reset(src io.Reader) error {
	r.tail = tail{src: src}
	return r.Reader.Reset(&r.tail)
}
