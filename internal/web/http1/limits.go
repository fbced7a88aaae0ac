package http1

import (
	"cmp"
	"time"
)

// Limits bound what one connection can hold and for how long. A field that is zero means
// its default.
type Limits struct {
	// RequestLine is the longest request line in octets, its CR LF included. Default
	// 17 KiB. A longer one is answered with 414.
	RequestLine int
	// Target is the longest request target in octets. Default 16 KiB. A longer one is
	// answered with 414.
	Target int
	// HeaderBytes is the largest head in octets: request line, fields and the empty
	// line. Default 64 KiB. A larger one is answered with 431.
	HeaderBytes int
	// Fields is the largest number of field lines in a head or a trailer section.
	// Default 200. More are answered with 431.
	Fields int
	// ChunkExtension is the longest run of chunk extensions on one line, in octets.
	// Default 256. They are dropped.
	ChunkExtension int
	// TrailerBytes is the largest trailer section in octets. Default 8 KiB.
	TrailerBytes int
	// Unread is how many octets of a body that the handler left are read and dropped
	// to keep the connection. Default 64 KiB.
	Unread int64
	// HeaderTime is how long a head may take from its first octet. Default 10 s. A slower head is answered with 408.
	HeaderTime time.Duration
	// IdleTime is how long a connection may wait for the first octet of a request.
	// Default 75 s.
	IdleTime time.Duration
	// Stall is the longest pause while a body is read, or while the client takes
	// none of what is sent, unless the handler sets a deadline. Default 60 s.
	Stall time.Duration
	// MinRate is how many octets of a body a client has to send in a second, on average of the time that is
	// spent waiting for it, once that is longer than Stall. Default 500. A slower one is cut off.
	MinRate int
	// Linger is how long a connection that the server ends is still read from, so
	// that what the client is sending does not destroy the answer on its way
	// (RFC 9112 section 9.6). Default 500 ms. While the client goes on sending the content of
	// a request that has been answered it is ten times as long, for 16 MiB.
	Linger time.Duration
	// Drain is how long running requests may go on after the server was told to
	// stop. Default 10 s.
	Drain time.Duration
}

// withDefaults returns l with its zero fields filled in.
func (l Limits) withDefaults() Limits {
	return Limits{
		RequestLine:    cmp.Or(l.RequestLine, 17<<10),
		Target:         cmp.Or(l.Target, 16<<10),
		HeaderBytes:    cmp.Or(l.HeaderBytes, 64<<10),
		Fields:         cmp.Or(l.Fields, 200),
		ChunkExtension: cmp.Or(l.ChunkExtension, 256),
		TrailerBytes:   cmp.Or(l.TrailerBytes, 8<<10),
		Unread:         cmp.Or(l.Unread, 64<<10),
		HeaderTime:     cmp.Or(l.HeaderTime, 10*time.Second),
		IdleTime:       cmp.Or(l.IdleTime, 75*time.Second),
		Stall:          cmp.Or(l.Stall, time.Minute),
		MinRate:        cmp.Or(l.MinRate, 500),
		Linger:         cmp.Or(l.Linger, 500*time.Millisecond),
		Drain:          cmp.Or(l.Drain, 10*time.Second),
	}
}
