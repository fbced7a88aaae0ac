package index

import "golang.org/x/sys/unix"

// wide has the kernel use large pages where they fit in: what is looked for is anywhere in a table, and with small ones each look would
// also be one for the address. They take no more room, since they do not reach beyond a table.
func wide(b []byte) {
	_ = unix.Madvise(b, unix.MADV_HUGEPAGE) // a kernel without huge pages does not know it
}
