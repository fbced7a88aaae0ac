package http1

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"time"

	"nearcast/internal/rawtcp"
	"nearcast/internal/web/lane"
	"nearcast/internal/web/wire"
)

// maxWaiting is how much may wait for the answers to further requests that are there already, in octets.
const maxWaiting = 32 << 10

// output collects what is to be sent, so that it goes in few system calls. Its error is
// sticky. It belongs to whoever holds the response's mu.
type output struct {
	c       *conn
	buf     []byte
	err     error
	written int64       // octets, by writeOne
	went    int64       // octets, since the seat was told
	vec     [][]byte    // memory for all
	all     net.Buffers // what is being sent; WriteTo eats it
	parts   partsWriter // the connection, if it is one
	files   fileSender  // the connection, if it is one and without TLS
	corker  wire.Corker // under the connection's TLS, or nil
	corked  bool
}

// partsWriter is a connection that writes several parts at a lower price than [net.Buffers].
type partsWriter interface {
	WriteParts(parts [][]byte) (int64, error)
}

// fileSender is a connection that sends what is in a file without a copy of it.
type fileSender interface {
	SendFile(head []byte, from rawtcp.Region, offset, length int64) (int64, error)
}

// write sends parts one after the other. Small ones wait for company.
func (o *output) write(parts ...[]byte) {
	size := len(o.buf)
	for _, p := range parts {
		size += len(p)
	}
	if size <= smallBuffer {
		for _, p := range parts {
			o.buf = append(o.buf, p...)
		}
		return
	}
	o.vec = append(append(o.vec[:0], o.buf), parts...)
	o.send()
	o.sent()
}

// flush sends what waits.
func (o *output) flush() {
	if len(o.buf) == 0 {
		return
	}
	o.vec = append(o.vec[:0], o.buf)
	o.send()
	o.sent()
}

// send sends the parts in o.vec and returns how many octets of them went.
func (o *output) send() (n int64) {
	if o.err == nil {
		o.err = o.c.armWrite()
	}
	switch {
	case o.err != nil:
	case len(o.vec) == 1:
		n = o.writeOne(o.vec[0])
	case o.parts != nil:
		n, o.err = o.parts.WriteParts(o.vec)
	default:
		o.all = o.vec
		n, o.err = o.all.WriteTo(o.c.nc)
	}
	o.went += n
	if o.err != nil {
		o.c.lost(nil)
	}
	clear(o.vec)
	o.vec = o.vec[:0]
	return n
}

// writeOne writes one part. crypto/tls begins a connection with records that fit into a packet, and makes a system call
// for each.
func (o *output) writeOne(p []byte) (n int64) {
	young := !o.corked && o.written < wire.YoungOctets && len(p) > wire.YoungRecord
	if young {
		o.cork()
	}
	sent, err := o.c.nc.Write(p)
	o.err = err
	if young {
		o.uncork()
	}
	o.written += int64(sent)
	return int64(sent)
}

// cork has what is under TLS keep what is written until uncork is called.
func (o *output) cork() {
	if o.corker != nil {
		o.corker.Cork()
		o.corked = true
	}
}

func (o *output) uncork() {
	if o.corked {
		o.corked = false
		o.err = cmp.Or(o.err, o.corker.Uncork())
	}
}

// sent forgets what waited.
func (o *output) sent() {
	o.buf = o.buf[:0]
	if cap(o.buf) > 2*maxWaiting {
		o.buf = make([]byte, 0, smallBuffer)
	}
}

// content sends what waits and then pieces of content, of which it makes no copy, and returns how many octets of
// these went.
func (o *output) content(pieces [][]byte) (n int64) {
	if o.c.tls != nil {
		return o.records(pieces)
	}
	waiting := int64(len(o.buf))
	o.vec = append(o.vec[:0], o.buf)
	size := len(o.buf)
	for _, piece := range pieces {
		for len(piece) > 0 && o.err == nil {
			part := piece[:min(len(piece), maxPiece)]
			piece = piece[len(part):]
			o.vec = append(o.vec, part)
			if size += len(part); size >= maxPiece {
				n += o.send()
				size, o.c.clock = 0, time.Time{} // it may have taken long
			}
		}
	}
	if size > 0 && o.err == nil {
		n += o.send()
	}
	o.sent()
	return max(0, n-waiting)
}

// file sends what waits and then octets of a file, and returns how many of these went. If the file is given up on the way the
// error is [rawtcp.ErrGone], and the connection is as good as before.
func (o *output) file(from lane.File, offset, length int64) (n int64, err error) {
	for o.err == nil && length > 0 {
		if o.err = o.c.armWrite(); o.err != nil {
			break
		}
		waiting := int64(len(o.buf))
		sent, err := o.files.SendFile(o.buf, from, offset, min(length, maxFile))
		o.sent()
		o.went += sent
		sent = max(0, sent-waiting)
		n, offset, length = n+sent, offset+sent, length-sent
		o.c.clock = time.Time{} // it may have taken long
		if errors.Is(err, rawtcp.ErrGone) {
			return n, err
		}
		o.err = err
	}
	if o.err != nil {
		o.c.lost(nil)
	}
	return n, o.err
}

// copied sends octets of a file that cannot be sent out of it, and returns how many went.
func (o *output) copied(from lane.File, offset, length int64) (n int64, err error) {
	p := make([]byte, min(length, maxPiece))
	for length > 0 && o.err == nil {
		p = p[:min(length, maxPiece)]
		if _, err := from.ReadAt(p, offset); err != nil {
			return n, fmt.Errorf("%w: %w", rawtcp.ErrGone, err)
		}
		sent := o.content([][]byte{p})
		n, offset, length = n+sent, offset+sent, length-sent
	}
	return n, o.err
}

// records is content over TLS. What waits goes in one record with as much of the content as fits: alone it would
// cost a record, and a system call.
func (o *output) records(pieces [][]byte) (n int64) {
	if !o.corked {
		o.cork()
		defer o.uncork()
	}
	joined := 0
	for _, piece := range pieces {
		part := piece[:min(len(piece), max(0, wire.RecordSize-len(o.buf)))]
		o.buf = append(o.buf, part...)
		joined += len(part)
		if len(part) < len(piece) {
			break
		}
	}
	o.flush()
	if o.err != nil {
		return 0
	}
	n = int64(joined)
	o.c.clock = time.Time{} // it may have taken long, as each of the following
	for _, piece := range pieces {
		skip := min(joined, len(piece))
		joined -= skip
		for piece = piece[skip:]; len(piece) > 0 && o.err == nil; {
			part := piece[:min(len(piece), maxPiece)]
			piece = piece[len(part):]
			o.vec = append(o.vec[:0], part)
			n += o.send()
		}
	}
	return n
}
