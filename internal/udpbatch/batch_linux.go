package udpbatch

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	batchSize  = 32 // more made no difference
	controlLen = 40 // CMSG_SPACE of struct in6_pktinfo, which is the longer one
)

// message is struct mmsghdr.
type message struct {
	hdr unix.Msghdr
	len uint32
}

// batch is the memory of one socket. Slices of equal index belong together, but for those of send.
type batch struct {
	fd         uintptr // the socket's
	recv, send [batchSize]message
	in, out    [batchSize]unix.Iovec
	from       [batchSize]unix.RawSockaddrInet6 // or what is shorter
	control    [batchSize][controlLen]byte
	packets    [batchSize][]byte
	rooms      [batchSize][]byte // for answers
	answers    [batchSize][]byte // keeps what out points to

	got, ready, sent int // messages received, answers to be sent, and how many of them were
	err              error
}

func newBatch(fd uintptr, maxPacket int) *batch {
	b := &batch{fd: fd}
	for i := range batchSize {
		b.packets[i] = make([]byte, maxPacket)
		b.rooms[i] = make([]byte, 0, answerRoom)
		b.in[i].Base = &b.packets[i][0]
		b.in[i].SetLen(maxPacket)
		b.recv[i].hdr.Name = (*byte)(unsafe.Pointer(&b.from[i]))
		b.recv[i].hdr.Iov, b.send[i].hdr.Iov = &b.in[i], &b.out[i]
		b.recv[i].hdr.SetIovlen(1)
		b.send[i].hdr.SetIovlen(1)
		b.recv[i].hdr.Control = &b.control[i][0]
		b.rewind(i)
	}
	return b
}

// rewind makes a message ready to be received again: the kernel has written the lengths of what came.
func (b *batch) rewind(i int) {
	b.recv[i].hdr.Namelen = unix.SizeofSockaddrInet6
	b.recv[i].hdr.SetControllen(controlLen)
}

// serve answers what comes to a socket until its deadline has passed.
func (s *Server) serve(ctx context.Context, c *socket, handle Handler) error {
	raw, err := c.poll.SyscallConn()
	if err != nil {
		return fmt.Errorf("UDP socket: %w", err)
	}
	b := newBatch(c.fd, s.cfg.MaxPacket)
	receive := b.receive // it would be allocated at each use
	pace := pace{gather: s.cfg.Gather, last: time.Now()}
	for {
		if err := raw.Read(receive); err != nil {
			if ctx.Err() != nil {
				return nil //nolint:nilerr // the deadline of the end
			}
			return fmt.Errorf("receiving: %w", err)
		}
		if b.err != nil {
			return fmt.Errorf("receiving: %w", b.err)
		}
		tooLong := b.handle(handle)
		b.transmit()
		s.count(b, tooLong)
		if b.got == batchSize {
			runtime.Gosched() // more is waiting, for as long as it likes; others are to have their turn
		}
		pace.wait(b.got)
	}
}

// timerSlack is how much longer than asked for a thread may sleep.
const timerSlack = time.Microsecond

// few is how many packets in a batch are not worth waiting for more.
const few = 8

// pace waits for more packets where that makes batches longer.
type pace struct {
	gather time.Duration
	last   time.Time // when the last batch was done
}

// wait waits after a batch of so many packets, or not. The scheduler is not told: its monitor would watch a thread that waits in a system call every
// 20 µs, which costs more than what is saved.
func (p *pace) wait(packets int) {
	if p.gather <= 0 {
		return
	}
	now := time.Now()
	if packets < few && now.Sub(p.last) < 2*p.gather*time.Duration(packets) {
		ts := unix.NsecToTimespec(int64(p.gather))
		syscall.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_TIMERSLACK, uintptr(timerSlack), 0) //nolint:errcheck // of whatever thread this is; without it sleep may take 50 µs longer
		syscall.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&ts)), 0, 0)         //nolint:errcheck // a signal ends it early, which does no harm
		runtime.Gosched()
	}
	p.last = now
}

func (s *Server) count(b *batch, tooLong int) {
	unsent := b.ready
	for i := range b.ready {
		if b.send[i].len > 0 {
			unsent--
		}
		b.answers[i] = nil
	}
	s.batches.Add(1)
	s.packets.Add(uint64(b.got))         //nolint:gosec // not negative
	s.sent.Add(uint64(b.ready - unsent)) //nolint:gosec // as above
	if unsent > 0 {
		s.unsent.Add(uint64(unsent)) //nolint:gosec // as above
	}
	if tooLong > 0 {
		s.tooLong.Add(uint64(tooLong)) //nolint:gosec // as above
	}
}

// receive takes what has come, and reports whether anything has. The system call does not wait, so that the scheduler need not know of it.
func (b *batch) receive(uintptr) bool {
	b.got, b.err = 0, nil
	for {
		n, _, errno := syscall.RawSyscall6(unix.SYS_RECVMMSG, b.fd, uintptr(unsafe.Pointer(&b.recv)), batchSize, unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			b.got = int(n)
			return true
		case unix.EAGAIN:
			return false
		case unix.EINTR, unix.ECONNREFUSED, unix.ECONNRESET, unix.EHOSTUNREACH, unix.ENETUNREACH: // of an answer sent before
		case unix.ENOBUFS, unix.ENOMEM:
			runtime.Gosched()
		default:
			b.err = errno
			return true
		}
	}
}

// handle has each packet answered, and returns how many were too long.
func (b *batch) handle(handle Handler) (tooLong int) {
	b.ready, b.sent = 0, 0
	for i := range b.got {
		m := &b.recv[i]
		from := b.sender(i)
		var answer []byte
		switch {
		case m.hdr.Flags&unix.MSG_TRUNC != 0:
			tooLong++
		case from.IsValid():
			answer = handle(b.rooms[i], b.packets[i][:m.len], from)
		}
		if len(answer) > 0 {
			b.prepare(i, answer)
		}
		b.rewind(i)
	}
	return tooLong
}

// sender returns who sent a packet.
func (b *batch) sender(i int) netip.AddrPort {
	from := &b.from[i]
	port := binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&from.Port))[:])
	switch from.Family {
	case unix.AF_INET:
		return netip.AddrPortFrom(netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(from)).Addr), port)
	case unix.AF_INET6:
		return netip.AddrPortFrom(netip.AddrFrom16(from.Addr).Unmap(), port)
	}
	return netip.AddrPort{}
}

// prepare makes an answer the next one to be sent: to where its packet came from, from where that went.
func (b *batch) prepare(i int, answer []byte) {
	to, iov := &b.send[b.ready], &b.out[b.ready]
	iov.Base = unsafe.SliceData(answer)
	iov.SetLen(len(answer))
	from := &b.recv[i].hdr
	to.hdr.Name, to.hdr.Namelen, to.len = from.Name, from.Namelen, 0
	to.hdr.Control, to.hdr.Controllen = nil, 0
	if from.Controllen > 0 {
		anyInterface(&b.control[i])
		to.hdr.Control, to.hdr.Controllen = from.Control, from.Controllen
	}
	b.answers[b.ready] = answer
	b.ready++
}

// anyInterface takes the interface by which a packet came out of its control message, which can be sent back then: what is left says which address
// the answer leaves from. Routes say by which interface, as for everything else; only link-local addresses need one.
func anyInterface(control *[controlLen]byte) {
	h := (*unix.Cmsghdr)(unsafe.Pointer(control))
	data := control[unix.SizeofCmsghdr:]
	switch {
	case h.Level == unix.SOL_IP && h.Type == unix.IP_PKTINFO:
		(*unix.Inet4Pktinfo)(unsafe.Pointer(&data[0])).Ifindex = 0
	case h.Level == unix.SOL_IPV6 && h.Type == unix.IPV6_PKTINFO:
		info := (*unix.Inet6Pktinfo)(unsafe.Pointer(&data[0]))
		if !netip.AddrFrom16(info.Addr).IsLinkLocalUnicast() {
			info.Ifindex = 0
		}
	}
}

// roomWait is for how long answers wait for a socket that has no room for them, in milliseconds.
const roomWait = 100

// transmit sends the answers that are ready. An answer that cannot be sent is left out; all that are left are if the socket has no room for
// long.
func (b *batch) transmit() {
	for b.sent < b.ready {
		n, _, errno := syscall.RawSyscall6(unix.SYS_SENDMMSG, b.fd, uintptr(unsafe.Pointer(&b.send[b.sent])), uintptr(b.ready-b.sent), unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			b.sent += int(n)
		case unix.EINTR:
		case unix.EAGAIN:
			if n, err := unix.Poll([]unix.PollFd{{Fd: int32(b.fd), Events: unix.POLLOUT}}, roomWait); n == 0 && err == nil { //nolint:gosec // file descriptors are small
				return
			}
		default:
			b.sent++
		}
	}
}
