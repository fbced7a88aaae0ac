// Package rawtcp reads and writes TCP connections with system calls that the scheduler is not told about.
//
// A system call on a socket that never blocks takes a microsecond or two. Telling the Go scheduler before and after
// costs a tenth of that, and keeps its monitor thread awake, which takes the processor away from calls that last longer
// than it thinks right. For small reads and writes, which is what a server of small objects does all day, that is a
// tenth of all its time.
//
// It is not for large writes, which copy for so long that the scheduler has to know, or for files: both go the usual way.
package rawtcp

const (
	maxRaw   = 64 << 10 // octets of the largest read or write that is made unannounced
	maxParts = 8        // of a write
)
