package coding

import (
	"bytes"
	"io"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// The settings of the encoders. Changing any of them changes the coded octets, and so needs a new
// generation of tags.
const (
	gzipLevel = 6 // what zlib takes by default
	// brotliLevel is the first that searches properly; those above gain little and cost much.
	brotliLevel = 5
	// brotliWindow is a binary logarithm. Few responses that can be coded are longer than 1 MiB, and each encoder
	// needs twice the window.
	brotliWindow = 20
	zstdLevel    = zstd.SpeedDefault // about level 3 of the reference program
	zstdWindow   = 1 << 20           // octets; RFC 9659 section 3 allows 8 MiB
)

// encoder is what the three libraries have in common.
type encoder interface {
	io.WriteCloser
	Reset(dst io.Writer)
}

// Idle encoders. What a stream leaves in one does not show in the next: Reset sees to that, and a
// test.
//
//nolint:gochecknoglobals // pools of idle memory; nothing can be read from them
var gzipMachines, brotliMachines, zstdMachines sync.Pool

func machines(c Coding) *sync.Pool {
	switch c {
	case Gzip:
		return &gzipMachines
	case Brotli:
		return &brotliMachines
	case Zstd:
		return &zstdMachines
	default:
		return nil
	}
}

// takeMachine returns an encoder at the start of a stream.
func takeMachine(c Coding) (*machine, error) {
	pool := machines(c)
	if pool == nil {
		return nil, ErrUnsupported
	}
	m, ok := pool.Get().(*machine)
	if !ok {
		enc, err := newEncoder(c)
		if err != nil {
			return nil, err
		}
		m = &machine{coding: c, enc: enc}
	}
	m.out.Reset()
	m.enc.Reset(&m.out)
	return m, nil
}

// giveBack puts an encoder into its pool.
func (m *machine) giveBack() {
	if m.out.Cap() > maxIdleBuffer {
		m.out = bytes.Buffer{}
	}
	machines(m.coding).Put(m)
}

func newEncoder(c Coding) (encoder, error) {
	switch c {
	case Gzip:
		return gzip.NewWriterLevel(io.Discard, gzipLevel)
	case Brotli:
		return brotli.NewWriterOptions(io.Discard, brotli.WriterOptions{Quality: brotliLevel, LGWin: brotliWindow}), nil
	case Zstd:
		return zstd.NewWriter(nil,
			zstd.WithEncoderConcurrency(1), // no goroutines
			zstd.WithEncoderLevel(zstdLevel),
			zstd.WithWindowSize(zstdWindow),
			zstd.WithLowerEncoderMem(true),
			zstd.WithZeroFrames(true), // an empty body is a frame, too
		)
	default:
		return nil, ErrUnsupported
	}
}
