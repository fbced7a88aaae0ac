package http2

import (
	"cmp"
	"time"
)

// Limits bound what one connection can hold and for how long. A field that is zero means its default.
type Limits struct {
	// Streams is how many requests of a connection may be under way, those included that the client has given up
	// while their handler still runs. Default 128. More are refused (REFUSED_STREAM), and more
	// than 16 while there are 65,536 on all connections.
	Streams int
	// Target is the longest :path in octets. Default 16 KiB. A longer one is answered with 414.
	Target int
	// HeaderBytes is the largest field section: the octets of all names and values, and 32 for each field (RFC
	// 9113 section 6.5.2). Default 64 KiB. A larger one is answered with 431; one that is four times as large, or takes
	// more than twice as many octets in its compressed form, ends the connection.
	HeaderBytes int
	// Fields is the largest number of fields in a field section. Default 200. More are answered with 431.
	Fields int
	// Continuations is how many CONTINUATION frames may follow a HEADERS frame. Default 16.
	Continuations int
	// StreamWindow is how many octets of a request's content are held until the handler reads them. Default 256 KiB;
	// at least 64 KiB, because that is what a client may send before it knows.
	StreamWindow int
	// ConnWindow is the same for all streams of a connection together. Default 1 MiB; at least StreamWindow.
	ConnWindow int
	// HeaderTime is how long a field section may take from its first octet, and any frame but DATA, and the
	// preface. Default 10 s.
	HeaderTime time.Duration
	// IdleTime is how long a connection may be without a request. Default 75 s.
	IdleTime time.Duration
	// Stall is the longest pause while content is read, or while the client takes none of what is sent, unless the
	// handler sets a deadline. Default 60 s.
	Stall time.Duration
	// MinRate is how many octets of a request's content a client has to send in a second, on average of the time
	// that is spent waiting for it, once that is longer than Stall. Default 500. A slower one is cut off.
	MinRate int
	// Linger is how long a connection that the server ends is still read from, so that what the
	// client is sending does not destroy the GOAWAY on its way. It is also how long a client whose request was answered before
	// its end may go on sending it. Default 500 ms.
	Linger time.Duration
	// Hold is how long a connection whose budget has run out is kept without being read from, so that the client
	// cannot come again at once. Default 1 s.
	Hold time.Duration
	// Held is how many connections of the server are kept so at the same time; others are closed at once.
	// Default 1024.
	Held int
	// Drain is how long running requests may go on after the server was told to stop. Default 10 s.
	Drain time.Duration
}

// withDefaults returns l with its zero fields filled in.
func (l Limits) withDefaults() Limits {
	l = Limits{
		Streams:       cmp.Or(l.Streams, 128),
		Target:        cmp.Or(l.Target, 16<<10),
		HeaderBytes:   cmp.Or(l.HeaderBytes, 64<<10),
		Fields:        cmp.Or(l.Fields, 200),
		Continuations: cmp.Or(l.Continuations, 16),
		StreamWindow:  cmp.Or(l.StreamWindow, 256<<10),
		ConnWindow:    cmp.Or(l.ConnWindow, 1<<20),
		HeaderTime:    cmp.Or(l.HeaderTime, 10*time.Second),
		IdleTime:      cmp.Or(l.IdleTime, 75*time.Second),
		Stall:         cmp.Or(l.Stall, time.Minute),
		MinRate:       cmp.Or(l.MinRate, 500),
		Linger:        cmp.Or(l.Linger, 500*time.Millisecond),
		Hold:          cmp.Or(l.Hold, time.Second),
		Held:          cmp.Or(l.Held, 1024),
		Drain:         cmp.Or(l.Drain, 10*time.Second),
	}
	l.StreamWindow = max(l.StreamWindow, defaultWindow)
	l.ConnWindow = max(l.ConnWindow, l.StreamWindow)
	return l
}
