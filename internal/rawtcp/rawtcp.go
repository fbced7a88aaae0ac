// Package rawtcp reads and writes TCP connections with system calls that the scheduler is not told about.
//
// A system call on a socket that never blocks takes a microsecond or two. Telling the Go scheduler before and after
// costs a tenth of that, and keeps its monitor thread awake, which takes the processor away from calls that last longer
// than it thinks right. For small reads and writes, which is what a server of small objects does all day, that is a
// tenth of all its time.
//
// It is not for large writes, which copy for so long that the scheduler has to know: they go the usual way. Files are
// sent with an explicit offset, which [os.File] and [net.TCPConn] have no way to say.
package rawtcp

import (
	"errors"
	"time"
)

const (
	maxRaw   = 64 << 10 // octets of the largest read or write that is made unannounced
	maxParts = 8        // of a write

	maxSendfile = 1 << 20 // octets of one call, in which a file stays open that somebody may want to give up
)

// ErrGone is that a [Region] is not there any more.
var ErrGone = errors.New("the region of the file has been given up")

// errNotTCP is that the kernel cannot be asked about a connection.
var errNotTCP = errors.New("not a TCP connection that the kernel can be asked about")

// Info is what the kernel knows of a connection (TCP_INFO).
type Info struct {
	// MinRTT is the shortest round trip of the last minutes, and RTT the smoothed one, to a microsecond; zero if there was none yet.
	MinRTT, RTT time.Duration
	// Sent is how many segments with octets were sent, those of Resent included. Resent is how many were sent again.
	Sent, Resent uint32
	// Unanswered is how often in a row the time-out for an acknowledgement has run out by now.
	Unanswered int
}

// Region is octets in a file that may be given up at any time.
type Region interface {
	// Use calls f with the file's descriptor and the offset of the first octet, both good until f returns. It reports false, without
	// a call, if the octets are not there any more.
	Use(f func(fd int, offset int64)) bool
}
