package coding

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// blockSize is how much an encoder is given at a time, in octets. What some encoders put out depends on how
// their input is cut up, so it is always cut up in the same way: full blocks, and one last.
const blockSize = 64 << 10

// maxIdleBuffer is the most memory, in octets, that an idle encoder keeps for its output.
const maxIdleBuffer = 1 << 20

// maxEmptyReads is how often in a row a source may return neither octets nor an error.
const maxEmptyReads = 100

// Errors of the coders, to be compared with errors.Is.
var (
	// ErrUnsupported is that there is no coder for a coding.
	ErrUnsupported = errors.New("only gzip, br and zstd can be applied or taken off")
	// ErrClosed is a read from a coder after its Close.
	ErrClosed = errors.New("the coder is closed")
)

// NewReader returns the octets of src with a coding applied. The octets depend on those of src
// only: not on how src cuts them up, nor on the node or the moment.
//
// Each Read reads from src as far as it needs, in the caller's goroutine. An error of src is returned as it
// is, after what was coded before it; the coded stream is then without its end, so that no decoder takes it for
// complete. Encoders are pooled: Close gives this one back, and does not close src. The reader is
// not safe for concurrent use. The only error of NewReader is ErrUnsupported.
func NewReader(src io.Reader, c Coding) (io.ReadCloser, error) {
	m, err := takeMachine(c)
	if err != nil {
		return nil, fmt.Errorf("content coding %q: %w", string(c), err)
	}
	return &encodingReader{src: src, m: m}, nil
}

// encodingReader is what NewReader returns.
type encodingReader struct {
	src io.Reader
	m   *machine // nil once given back
	err error    // what follows the octets in m.out
}

// Read implements io.Reader.
func (r *encodingReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for r.err == nil && r.m.out.Len() == 0 {
		r.err = r.step()
	}
	if r.m != nil && r.m.out.Len() > 0 {
		return r.m.out.Read(p)
	}
	r.release()
	return 0, r.err
}

// step codes one block. It returns io.EOF with the last.
func (r *encodingReader) step() error {
	n, err := fill(r.src, r.m.in[:])
	if err != nil && err != io.EOF { //nolint:errorlint // the end is io.EOF itself; a wrapped one is a failure
		return err
	}
	if failure := r.m.code(r.m.in[:n], err != nil); failure != nil {
		r.m = nil // whatever state it is in
		return failure
	}
	return err
}

// Close gives the encoder back. It returns no error.
func (r *encodingReader) Close() error {
	r.release()
	r.err = ErrClosed
	return nil
}

func (r *encodingReader) release() {
	if r.m != nil {
		r.m.giveBack()
		r.m = nil
	}
	r.src = nil
}

// fill reads until p is full. Unlike io.ReadFull it tells the end of src, io.EOF, from an
// io.ErrUnexpectedEOF that src itself reports, and gives up on a source that makes no progress.
func fill(src io.Reader, p []byte) (int, error) {
	n, empty := 0, 0
	for n < len(p) {
		m, err := src.Read(p[n:])
		n += m
		switch {
		case err != nil:
			return n, err
		case m > 0:
			empty = 0
		default:
			if empty++; empty == maxEmptyReads {
				return n, io.ErrNoProgress
			}
		}
	}
	return n, nil
}

// machine is an encoder with the memory that it works in. One stream owns it at a time.
type machine struct {
	coding Coding
	enc    encoder
	in     [blockSize]byte
	out    bytes.Buffer // what enc has written and nobody has read yet
}

// code encodes a block; the last one ends the stream.
func (m *machine) code(block []byte, last bool) (err error) {
	defer recovered(&err, "encoding", m.coding)
	if len(block) > 0 {
		if _, err := m.enc.Write(block); err != nil {
			return fmt.Errorf("encoding %s: %w", m.coding, err)
		}
	}
	if last {
		if err := m.enc.Close(); err != nil {
			return fmt.Errorf("ending %s: %w", m.coding, err)
		}
	}
	return nil
}

// recovered turns a panic into an error: a fault in a coder must end a stream, not the process.
func recovered(err *error, doing string, c Coding) {
	if fault := recover(); fault != nil {
		*err = fmt.Errorf("%s %s: the coder panicked: %v", doing, c, fault)
	}
}
