package report

import (
	"io"
	"time"
)

// Encode returns the report as JSON, compressed (gzip) if it is longer than a few kB; see [Encoding].
// It fails if the report is longer than [MaxBody].
func (p *POP) Encode() ([]byte, error) { return nil, nil }

// Encoding returns the value of Content-Encoding for what [POP.Encode] returned: "gzip", or empty.
func Encoding(body []byte) string { return "" }

// Decode reads a POP's report, compressed or not: that is seen by its first octets, whatever the header says. Parts that are absurd are left out and counted.
// An error, of kind [cdn.Invalid], means that the report is malformed, too large, or from the future as a whole.
func Decode(r io.Reader, now time.Time) (*POP, Refused, error) { return nil, Refused{}, nil }

// Encode returns the report as one message: in a compact form of about 100 octets if it has a load and no visitors, else as compressed JSON.
// It fails if that is longer than [MaxPacket], or [MaxMessage].
func (n *Node) Encode() ([]byte, error) { return nil, nil }

// DecodeNode reads a message of a node, as [Decode] does.
func DecodeNode(msg []byte, now time.Time) (*Node, Refused, error) { return nil, Refused{}, nil }
