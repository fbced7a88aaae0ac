package tlscert

import (
	"errors"
	"net"
	"sync"

	"nearcast/internal/web/wire"
)

// wireBuffer is how much a [Wire] collects: what eight records of 16 KiB make, and room for the
// smaller ones with which a connection starts.
const wireBuffer = 136 << 10

// Wire is what lies under a [*tls.Conn] that a [Gate] has made. crypto/tls makes a system call for each
// record of 16 KiB; between Cork and Uncork the Wire collects them, so that a large Write
// needs one.
type Wire struct {
	net.Conn

	gate  *Gate
	turn  *turn  // while shaking hands; belongs to the goroutine that does
	early []byte // read while shaking hands, and sent after it; belongs to the reader

	mu     sync.Mutex // guards what follows, and the order of writes
	corked bool
	buf    *[]byte // from the gate's pool, or nil
	err    error   // of a write that nobody has been told of, or the connection's end
}

// NetConn returns the connection below.
func (w *Wire) NetConn() net.Conn { return w.Conn }

// Read reads from the connection. It is for crypto/tls.
func (w *Wire) Read(p []byte) (int, error) {
	if w.turn != nil {
		return w.turn.read(w.Conn, p)
	}
	if len(w.early) > 0 {
		n := copy(p, w.early)
		if w.early = w.early[n:]; len(w.early) == 0 {
			w.early = nil // let go of it
		}
		return n, nil
	}
	return w.Conn.Read(p) //nolint:wrapcheck // crypto/tls hands on what it gets
}

// WaitReadable waits until there is something to read, if the connection below can tell without reading.
func (w *Wire) WaitReadable() error {
	if c, ok := w.Conn.(wire.Waiter); ok {
		return c.WaitReadable() //nolint:wrapcheck // as in Read
	}
	return nil
}

// Write writes to the connection, or keeps a copy of what is to be written. It is for crypto/tls.
func (w *Wire) Write(p []byte) (int, error) {
	if w.turn != nil {
		w.turn.leave() // nothing is computed until the client has answered
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.corked {
		return w.Conn.Write(p) //nolint:wrapcheck // as in Read
	}
	if w.err != nil {
		return 0, w.err
	}
	if w.buf == nil {
		w.buf = w.gate.takeBuffer()
	}
	if w.buf == nil {
		return w.Conn.Write(p) //nolint:wrapcheck // as in Read
	}
	if len(*w.buf)+len(p) > cap(*w.buf) {
		if err := w.flush(); err != nil {
			return 0, err
		}
	}
	if len(p) > cap(*w.buf) {
		return w.Conn.Write(p) //nolint:wrapcheck // as in Read
	}
	*w.buf = append(*w.buf, p...)
	return len(p), nil
}

// flush writes what has been collected. mu is held.
func (w *Wire) flush() error {
	if w.buf == nil || len(*w.buf) == 0 {
		return nil
	}
	_, err := w.Conn.Write(*w.buf)
	*w.buf = (*w.buf)[:0]
	w.err = err
	return err //nolint:wrapcheck // as in Read
}

// Cork keeps what is written from now on until Uncork is called or there is too much of it. It
// is worth its while for a Write of more than one record: 128 KiB then take three quarters of the processor time. Uncork
// before the [tls.Conn] is closed, or its last octets are dropped.
func (w *Wire) Cork() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.corked = true
}

// Uncork writes what has been kept, and lets later writes pass. An error may be about
// anything written since Cork, and the connection is of no use after it.
func (w *Wire) Uncork() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.corked = false
	if w.err != nil {
		return w.err
	}
	err := w.flush()
	w.release()
	return err
}

// release gives the buffer back. mu is held.
func (w *Wire) release() {
	if w.buf != nil {
		w.gate.giveBuffer(w.buf)
		w.buf = nil
	}
}

// Close closes the connection. What has been kept and not been written is dropped.
func (w *Wire) Close() error {
	err := w.Conn.Close() // before anything waits for mu: it wakes whoever writes
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = net.ErrClosed
	}
	w.release()
	return err //nolint:wrapcheck // as in Read
}

// CloseWrite ends the stream to the client, after what has been kept.
func (w *Wire) CloseWrite() error {
	half, ok := w.Conn.(interface{ CloseWrite() error })
	if !ok {
		return errors.ErrUnsupported
	}
	if err := w.Uncork(); err != nil {
		return err
	}
	return half.CloseWrite() //nolint:wrapcheck // as in Read
}
