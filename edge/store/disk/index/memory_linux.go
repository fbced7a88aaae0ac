package index

import "golang.org/x/sys/unix"

// wide has the kernel use large pages: what is looked for is anywhere in a table, and with small ones each look would also be one for the
// address. b is large pages as a whole, so they take no more room.
func wide(b []byte) {
	_ = unix.Madvise(b, unix.MADV_HUGEPAGE) // a kernel without huge pages does not know it
}

// populate has the kernel find memory for all of b in one go.
func populate(b []byte) {
	if len(b) > 0 {
		_ = unix.Madvise(b, unix.MADV_POPULATE_WRITE) // older kernels do so page by page, when one is written to
	}
}
