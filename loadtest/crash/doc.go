// Command crash ends an edge in every way in which an edge can end, starts it again on the same disks, and judges each answer.
//
//	go run ./loadtest/crash --help
//	go run ./loadtest/crash --list
//	go run ./loadtest/crash --scenario kill,power --rounds 20
//	make test-crash                                        # all of them, with the limits
//
// An edge of the built program runs in front of an origin whose contents follow from URL, variant and version, so that each response
// can be judged alone: its head names the content, and its octets, its length, its entity tag and its ranges must be that content's.
// Visitors ask for contents of 0 octets to 5 MiB: whole, in ranges, conditionally, by HEAD; with and without validators and variants; fresh for
// a day and for a second. A POST makes a new version; once it has been answered no request that is made later may get an
// older one (RFC 9111 section 4.4), whatever happens in between.
//
// The scenarios: kill -9; power cuts (an ext4 in a file, which is told to stop and to forget what was not synced); system calls
// that fail (strace); a file system that is full for a while; damage to the files, below a running edge and a stopped one; the loss of
// one disk of two; and how soon an edge with many objects serves and is warm again.
//
// Power cuts, full file systems and lost disks need root, for mounts, which are made in a namespace that ends with the program.
// What cannot be done here is left out, with the reason. The status is 1 if an answer was wrong or a limit was missed.
//
// It is not for the crash model, which cuts after every single system call: that is a test of edge/store/disk.
package main
