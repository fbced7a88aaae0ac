package http1

import "net"

// output collects what is to be sent, so that it goes in few system calls. Its error is
// sticky. It belongs to whoever holds the response's mu.
type output struct {
	c   *conn
	buf []byte
	err error
	vec [4][]byte
	all net.Buffers // into vec
}

// write sends parts one after the other. Small ones wait for company. There are at most three.
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
	o.all = append(net.Buffers(o.vec[:0]), o.buf)
	o.all = append(o.all, parts...)
	o.send()
}

// flush sends what waits.
func (o *output) flush() {
	if len(o.buf) == 0 {
		return
	}
	o.all = append(net.Buffers(o.vec[:0]), o.buf)
	o.send()
}

// send sends all, which begins with what waits.
func (o *output) send() {
	if o.err == nil {
		o.err = o.c.armWrite()
	}
	if o.err == nil {
		_, o.err = o.all.WriteTo(o.c.nc)
	}
	if o.err != nil {
		o.c.lost(nil)
	}
	o.all, o.vec = nil, [4][]byte{}
	o.buf = o.buf[:0]
	if cap(o.buf) > 4*smallBuffer {
		o.buf = make([]byte, 0, smallBuffer)
	}
}
