package http2

import (
	"bytes"
	"slices"
	"strconv"

	"golang.org/x/net/http2/hpack"

	"nearcast/internal/web/lane"
)

// tableSizeZero says that our encoder has no dynamic table (RFC 7541 section 6.3). So nothing has to be put in order
// between the streams of a connection, and no setting of the client's changes anything.
const tableSizeZero = 0x20

// coder encodes header blocks without the dynamic table.
type coder struct {
	buf bytes.Buffer
	enc *hpack.Encoder
}

func (s *Server) takeCoder() *coder {
	if e, ok := s.coders.Get().(*coder); ok {
		return e
	}
	e := new(coder)
	e.enc = hpack.NewEncoder(&e.buf)
	e.enc.SetMaxDynamicTableSizeLimit(0)
	e.field(":status", "200") // the encoder says now that it has no table; firstBlock says so where it is needed
	e.buf.Reset()
	return e
}

// field encodes a field. Its name is in lower case.
func (e *coder) field(name, value string) {
	e.enc.WriteField(hpack.HeaderField{Name: name, Value: value}) //nolint:errcheck // a buffer never fails
}

// done returns the block, and gives the coder back.
func (s *Server) done(e *coder) []byte {
	block := slices.Clone(e.buf.Bytes())
	e.buf.Reset()
	s.coders.Put(e)
	return block
}

// encode encodes a response's head.
func (s *Server) encode(status int, fields []lane.Field) []byte {
	e := s.takeCoder()
	e.field(":status", strconv.Itoa(status))
	for _, f := range fields {
		e.field(f.Name, f.Value)
	}
	return s.done(e)
}

// appendFirst appends what goes before the first header block of the connection.
func (c *conn) appendFirst(dst []byte) []byte {
	if c.saidTable {
		return dst
	}
	c.saidTable = true
	return append(dst, tableSizeZero)
}

// firstBlock is appendFirst for a block that is there already.
func (c *conn) firstBlock(block []byte) []byte {
	if c.saidTable {
		return block
	}
	return append(c.appendFirst(nil), block...)
}
