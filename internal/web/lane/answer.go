package lane

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/net/http2/hpack"

	"nearcast/internal/heapsize"
)

// Answer is a response whose content is all in memory, or in a file. It is used again and again; its zero value is ready.
type Answer struct {
	// Status is the final status.
	Status int
	// Block is the fields that are the same for everybody.
	Block *Block
	// Content is the octets to send after the head, in pieces that nobody changes. It is empty for a HEAD or a
	// 304, whatever the fields say of its length.
	Content [][]byte
	// File has the content in place of Content if it is not nil, from Offset on. Only a request that says
	// Files gets it, and has to release it.
	File File
	// Offset is where in File the content begins, in octets.
	Offset int64
	// Length is the number of octets of Content, or of File.
	Length int64
	// Memo belongs to the lane. Reset leaves it as it is.
	Memo any

	fields []field
	text   []byte // the values of fields
}

// File is octets in a file that may be given up at any time.
type File interface {
	// Use calls f with the file's descriptor and the offset of the first octet in it, both good until f returns. It reports
	// false, without a call, if the octets are not there any more.
	Use(f func(fd int, offset int64)) bool
	// ReadAt reads octets at an offset from the first, for when the descriptor cannot be sent from. It implements [io.ReaderAt].
	ReadAt(p []byte, off int64) (int, error)
	// Release says that the octets are not wanted any more. That of an answer is held until then.
	Release()
}

// field is a field that is this answer's own; its value is text[from:to].
type field struct {
	name     *Name
	from, to int
}

// Reset makes the answer as good as new. It keeps memory.
func (a *Answer) Reset() {
	clear(a.Content)
	*a = Answer{Content: a.Content[:0], Memo: a.Memo, fields: a.fields[:0], text: a.text[:0]}
}

// Add adds a field. Its value must be valid: it is not checked.
func (a *Answer) Add(name *Name, value string) {
	from := len(a.text)
	a.text = append(a.text, value...)
	a.fields = append(a.fields, field{name, from, len(a.text)})
}

// AddInt adds a field that is a number, which must not be negative, between two texts.
func (a *Answer) AddInt(name *Name, before string, n int64, after string) {
	from := len(a.text)
	a.text = append(a.text, before...)
	a.text = strconv.AppendInt(a.text, n, 10)
	a.text = append(a.text, after...)
	a.fields = append(a.fields, field{name, from, len(a.text)})
}

// AppendHTTP1 appends the status line and the fields, each with its CR LF, but not the empty line after them: the
// loop may have fields of its own.
func (a *Answer) AppendHTTP1(dst []byte) []byte {
	dst = append(dst, a.Block.http1...)
	for _, f := range a.fields {
		dst = append(dst, f.name.http1...)
		dst = append(dst, a.text[f.from:f.to]...)
		dst = append(dst, "\r\n"...)
	}
	return dst
}

// AppendHPACK appends the complete header block of HTTP/2 (RFC 7541), :status first. It neither uses nor changes the
// dynamic table, so that it fits every connection.
func (a *Answer) AppendHPACK(dst []byte) []byte {
	dst = append(dst, a.Block.hpack...)
	for _, f := range a.fields {
		dst = append(dst, f.name.hpack...)
		value := a.text[f.from:f.to]
		dst = appendLength(dst, len(value))
		dst = append(dst, value...)
	}
	return dst
}

// appendLength writes the length of a string literal that is not Huffman-coded (RFC 7541 sections 5.1 and 5.2).
func appendLength(dst []byte, n int) []byte {
	const limit = 1<<7 - 1
	if n < limit {
		return append(dst, byte(n))
	}
	dst = append(dst, limit)
	for n -= limit; n >= 128; n >>= 7 {
		dst = append(dst, byte(n)|0x80)
	}
	return append(dst, byte(n))
}

// Name is the name of a field in its wire forms.
type Name struct{ http1, hpack string }

// NewName returns a name, which must be a token in canonical form.
func NewName(name string) Name {
	coded := string(encode(Field{Name: name, Value: "x"})) // a value that the static table has for no name
	return Name{http1: name + ": ", hpack: coded[:len(coded)-2]}
}

// Block is the status and some fields of a response in their wire forms. It is immutable.
type Block struct{ http1, hpack []byte }

// NewBlock makes a block of a status and fields, whose names must be in canonical form. Names and values must be valid: they are not
// checked.
func NewBlock(status int, fields []Field) *Block {
	b := &Block{hpack: encode(Field{Name: ":status", Value: strconv.Itoa(status)})}
	b.http1 = append(b.http1, "HTTP/1.1 "+strconv.Itoa(status)+" "+http.StatusText(status)+"\r\n"...)
	for _, f := range fields {
		b.http1 = append(b.http1, f.Name+": "+f.Value+"\r\n"...)
		b.hpack = append(b.hpack, encode(f)...)
	}
	b.http1, b.hpack = bytes.Clone(b.http1), bytes.Clone(b.hpack) // there are as many of them as objects: without room to grow
	return b
}

// Size is the memory of the block in bytes.
func (b *Block) Size() int64 {
	return heapsize.Of(int(unsafe.Sizeof(*b))) + heapsize.Of(cap(b.http1)) + heapsize.Of(cap(b.hpack))
}

// encode writes a field for HTTP/2 without the dynamic table.
func encode(f Field) []byte {
	var out writer
	e := hpack.NewEncoder(&out)
	e.SetMaxDynamicTableSizeLimit(0)
	e.SetMaxDynamicTableSize(0)
	e.WriteField(hpack.HeaderField{Name: ":status", Value: "200"})                 //nolint:errcheck // a writer never fails
	out = out[:0]                                                                  // the change of the table's size is said now
	e.WriteField(hpack.HeaderField{Name: strings.ToLower(f.Name), Value: f.Value}) //nolint:errcheck // as above
	return out
}

// writer collects octets.
type writer []byte

// Write implements [io.Writer].
func (w *writer) Write(p []byte) (int, error) {
	*w = append(*w, p...)
	return len(p), nil
}
