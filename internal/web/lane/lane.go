// Package lane is what the loop of a connection and whoever answers out of memory say to each other about a request:
// its head as the octets that came, and an answer whose head was put into its wire form long before. Neither costs an
// allocation.
//
// A loop ([nearcast/internal/web/http1], [nearcast/internal/web/http2]) offers each request that qualifies to its [Handler] first; what
// the lane does not take goes the general way, through the loop's [net/http.Handler], and gets the same answer there.
//
// It is not for deciding what is answered: the lane's owner does that.
package lane

import (
	"context"
	"crypto/tls"
	"time"
)

// Field is a field line. In a request the name is as it came: in any letter case in HTTP/1.
type Field struct {
	Name, Value string
	Kind        Kind // of a request's field
}

// Request is a request that asks for no change of protocol and has been checked: it is what the RFC of its protocol
// allows. It has no content, unless the loop was told that the lane takes some. All strings may lie in the memory of the loop: they hold
// until [Handler.Sent] has returned.
type Request struct {
	Method string
	Host   string  // of Host or :authority
	Target string  // path and query, with "/" in front
	Fields []Field // in their order, without Host and pseudo-header fields
	Kinds  Kind    // of all fields
	// Content is what came with the head, all of it. It holds until [Handler.Take] has returned. nil if there is none.
	Content []byte
	Major   int       // of the protocol's version: 1 or 2
	Minor   int       // 0 or 1
	At      time.Time // when the head had come
	Files   bool      // the loop can send an [Answer.File]
}

// Reset forgets the fields, and keeps their memory.
func (r *Request) Reset() { *r = Request{Fields: r.Fields[:0]} }

// Add adds a field. Host is to be set, not added.
func (r *Request) Add(name, value string) {
	kind := KindOf(name)
	r.Kinds |= kind
	r.Fields = append(r.Fields, Field{name, value, kind})
}

// Value returns the value of the only field of a kind. It is "" if there is none, and ok is false if there are several.
func (r *Request) Value(kind Kind) (value string, ok bool) {
	found := false
	for i := range r.Fields {
		if r.Fields[i].Kind != kind {
			continue
		}
		if found {
			return "", false
		}
		value, found = r.Fields[i].Value, true
	}
	return value, true
}

// First returns the value of the first field of a kind, "" if there is none.
func (r *Request) First(kind Kind) string {
	for i := range r.Fields {
		if r.Fields[i].Kind == kind {
			return r.Fields[i].Value
		}
	}
	return ""
}

// Peer is the other end of a connection.
type Peer struct {
	// Client is the visitor's IP address in text.
	Client string
	// TLS is the connection's; nil in cleartext.
	TLS *tls.ConnectionState
	// Watched is what whoever watches the connection knows it by, see [With]; nil if nobody does.
	Watched any
	// Memo belongs to the lane, for what it has found out about the connection.
	Memo any
}

// watched is the key of a context's.
type watched struct{}

// With returns a context for a connection that somebody watches, who knows it by v.
func With(ctx context.Context, v any) context.Context { return context.WithValue(ctx, watched{}, v) }

// Watched returns what a context of [With], or one made from it, was given; nil if there is none.
func Watched(ctx context.Context) any { return ctx.Value(watched{}) }

// Handler answers requests out of memory. Its methods are called by one goroutine at a time for each Peer.
type Handler interface {
	// Take puts the answer to r into a, which has been reset, and reports true; or false if the request
	// has to go the general way. It may wait for a disk in HTTP/1, and for
	// nothing in HTTP/2, where other streams would wait as well.
	Take(p *Peer, r *Request, a *Answer) bool
	// Sent is called once for each answer, when nothing more of it will be sent. p, r and a are those
	// of Take, unchanged.
	Sent(p *Peer, r *Request, a *Answer, end End)
}

// End is how an answer ended.
type End struct {
	At   time.Time // when the last octet went
	Sent int64     // octets of content that went
	Err  error     // why not all did; nil if they did
}
