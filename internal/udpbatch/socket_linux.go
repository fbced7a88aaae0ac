package udpbatch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// socket is a UDP socket. The runtime's poller does not know it, since it would watch for room to send too, and so be called for each answer
// that has left; it knows an epoll instance that watches for packets only.
type socket struct {
	file *os.File
	poll *os.File // is readable when file is
	fd   uintptr
}

// listen opens as many sockets as there are to be on one port.
func listen(cfg Config) ([]*socket, netip.AddrPort, error) {
	addr, err := net.ResolveUDPAddr("udp", cfg.Addr)
	if err != nil {
		return nil, netip.AddrPort{}, err //nolint:wrapcheck // Listen says what it is about
	}
	if addr.Port != 0 { // other sockets that share would not be noticed below
		alone, err := net.ListenUDP("udp", addr)
		if err != nil {
			return nil, netip.AddrPort{}, err //nolint:wrapcheck // as above
		}
		alone.Close() //nolint:errcheck // it was never used
	}
	n := cfg.Sockets
	if n == 0 {
		n = runtime.GOMAXPROCS(0)
	}
	var sockets []*socket
	where := cfg.Addr
	for len(sockets) < n {
		s, bound, err := open(where, addr.IP == nil || addr.IP.IsUnspecified(), cfg.Buffer)
		if err != nil {
			for _, s := range sockets {
				s.close() //nolint:errcheck // the first error is the one to report
			}
			return nil, netip.AddrPort{}, err
		}
		sockets, addr = append(sockets, s), bound
		where = bound.String()
	}
	return sockets, addr.AddrPort(), nil
}

// open opens a socket that shares its port.
func open(addr string, wildcard bool, buffer int) (*socket, *net.UDPAddr, error) {
	control := func(network, _ string, raw syscall.RawConn) error {
		var err error
		set := func(fd uintptr) { err = setOptions(int(fd), network == "udp6", wildcard, buffer) } //nolint:gosec // file descriptors are small
		if failed := raw.Control(set); failed != nil {
			return failed //nolint:wrapcheck // as in listen
		}
		return err
	}
	lc := net.ListenConfig{Control: control}
	c, err := lc.ListenPacket(context.Background(), "udp", addr)
	if err != nil {
		return nil, nil, err //nolint:wrapcheck // as in listen
	}
	udp := c.(*net.UDPConn) //nolint:errcheck // it was asked for
	defer udp.Close()       //nolint:errcheck // the socket lives on in its duplicate
	file, err := udp.File()
	if err != nil {
		return nil, nil, err //nolint:wrapcheck // as in listen
	}
	s := &socket{file: file, fd: file.Fd()}
	if s.poll, err = watch(int(s.fd)); err != nil { //nolint:gosec // as above
		file.Close() //nolint:errcheck // as in listen
		return nil, nil, err
	}
	return s, udp.LocalAddr().(*net.UDPAddr), nil //nolint:errcheck // a UDP socket has no other
}

// watch returns an epoll instance that is readable when there are packets.
func watch(fd int) (*os.File, error) {
	poll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	err = unix.EpollCtl(poll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: int32(fd)}) //nolint:gosec // file descriptors are small
	if err == nil {
		err = unix.SetNonblock(poll, true) // so that the runtime's poller takes it
	}
	if err != nil {
		unix.Close(poll) //nolint:errcheck // the first error is the one to report
		return nil, fmt.Errorf("epoll: %w", err)
	}
	return os.NewFile(uintptr(poll), "epoll"), nil //nolint:gosec // as above
}

// interrupt ends waiting for packets, now and later.
func (s *socket) interrupt() { s.poll.SetReadDeadline(time.Unix(1, 0)) } //nolint:errcheck // fails only if closed, which is as good

func (s *socket) close() error { return errors.Join(s.poll.Close(), s.file.Close()) }

func setOptions(fd int, six, wildcard bool, buffer int) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
		return err
	}
	for _, o := range [][2]int{{unix.SO_RCVBUF, unix.SO_RCVBUFFORCE}, {unix.SO_SNDBUF, unix.SO_SNDBUFFORCE}} {
		if unix.SetsockoptInt(fd, unix.SOL_SOCKET, o[1], buffer) != nil { // for root only
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, o[0], buffer) //nolint:errcheck // the kernel cuts it down to what it allows
		}
	}
	if six {
		unix.SetsockoptInt(fd, unix.SOL_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_PROBE) //nolint:errcheck // as below
	}
	// Answers are never fragmented, and forged messages about a path's MTU are not believed (RFC 9715); it also spares the kernel to number them.
	unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE) //nolint:errcheck // can be done without
	if !wildcard {
		return nil
	}
	if six { // gives IPv4 addresses too, mapped into IPv6, on sockets for both
		return unix.SetsockoptInt(fd, unix.SOL_IPV6, unix.IPV6_RECVPKTINFO, 1)
	}
	return unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_PKTINFO, 1)
}

// follow gives packets to as many sockets only as there are processors to serve them, which may change: affinity is set from outside. Without
// it the kernel spreads them over all sockets by sender.
func (s *Server) follow(ctx context.Context) {
	if len(s.sockets) == 1 {
		return
	}
	now := len(s.sockets)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		if want := min(len(s.sockets), processors()); want != now && spread(s.sockets[0], want, len(s.sockets)) == nil {
			now = want
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// processors returns how many processors this process may use at a time.
func processors() int {
	n := runtime.GOMAXPROCS(0)
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) == nil {
		n = max(1, min(n, set.Count()))
	}
	return n
}

// spread has the kernel give packets to the first n of all sockets that share one's port, at random.
func spread(s *socket, n, all int) error {
	if n == all {
		err := unix.SetsockoptInt(int(s.fd), unix.SOL_SOCKET, unix.SO_DETACH_REUSEPORT_BPF, 0) //nolint:gosec // as in open
		if errors.Is(err, unix.ENOENT) {
			return nil // it does so already
		}
		return err //nolint:wrapcheck // only compared with nil
	}
	const random = 0xFFFFF000 + 56 // SKF_AD_OFF + SKF_AD_RANDOM
	code := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: random},
		{Code: unix.BPF_ALU | unix.BPF_MOD | unix.BPF_K, K: uint32(n)}, //nolint:gosec // not negative
		{Code: unix.BPF_RET | unix.BPF_A},
	}
	program := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}                                  //nolint:gosec // three
	return unix.SetsockoptSockFprog(int(s.fd), unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_CBPF, &program) //nolint:gosec,wrapcheck // as above
}
