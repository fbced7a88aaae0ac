package coding

import "io"

// tailSize is more than the eight octets that the br decoder buffers between two reads.
const tailSize = 16

// tail is a source whose last read brings at least tailSize octets, or all there are: it holds so many back
// until more are there, or the end is. The br decoder takes a sound stream for one with
// "excessive input" if its end comes while the decoder works in its buffer of eight octets, that is, if
// the last read was a very short one.
type tail struct {
	src  io.Reader // makes progress, and its errors are sticky
	held [tailSize]byte
	n    int // octets in held
}

// Read implements io.Reader for p of more than tailSize octets.
func (t *tail) Read(p []byte) (int, error) {
	n := copy(p, t.held[:t.n])
	t.n = 0
	for n <= tailSize {
		m, err := t.src.Read(p[n:])
		n += m
		if err != nil {
			return n, err
		}
	}
	t.n = copy(t.held[:], p[n-tailSize:n])
	return n - tailSize, nil
}
