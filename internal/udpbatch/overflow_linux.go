package udpbatch

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// overflowed returns how many packets the kernel has dropped because the socket's buffer was full; zero if the socket is closed or the kernel does not
// say, as before Linux 4.12.
func (s *socket) overflowed() (n uint32) {
	raw, err := s.file.SyscallConn()
	if err != nil {
		return 0
	}
	raw.Control(func(fd uintptr) { //nolint:errcheck // as above
		var info [unix.SK_MEMINFO_VARS]uint32
		size := uint32(unsafe.Sizeof(info))
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_MEMINFO, uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
		if errno == 0 {
			n = info[unix.SK_MEMINFO_DROPS]
		}
	})
	return n
}
