package seat

import "syscall"

// Affordable returns how many connections there may be of those that are wanted: each is an open file, and they may be
// one of so many parts of the files that this process may have open. If they were more, no room would ever be full:
// nobody would make room, and what else is opened would fail.
func Affordable(wanted, part int) int {
	var files syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files) != nil {
		return wanted
	}
	return affordable(wanted, part, files.Cur)
}

func affordable(wanted, part int, files uint64) int {
	if most := files / uint64(max(1, part)); most < uint64(max(0, wanted)) { //nolint:gosec // not negative
		return int(max(1, most)) //nolint:gosec // less than wanted
	}
	return wanted
}
