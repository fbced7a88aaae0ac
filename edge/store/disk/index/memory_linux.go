package index

import "golang.org/x/sys/unix"

// exact has memory take no more pages than are used: huge pages would reach beyond the small steps that tables grow in.
func exact(b []byte) {
	_ = unix.Madvise(b, unix.MADV_NOHUGEPAGE) // a kernel without huge pages does not know it
}
