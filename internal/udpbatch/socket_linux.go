package udpbatch

import (
	"context"
	"net"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// listen opens as many sockets as there are to be on one port.
func listen(cfg Config) ([]*net.UDPConn, error) {
	addr, err := net.ResolveUDPAddr("udp", cfg.Addr)
	if err != nil {
		return nil, err //nolint:wrapcheck // Listen says what it is about
	}
	if addr.Port != 0 { // other sockets that share would not be noticed below
		alone, err := net.ListenUDP("udp", addr)
		if err != nil {
			return nil, err //nolint:wrapcheck // as above
		}
		alone.Close() //nolint:errcheck // it was never used
	}
	n := cfg.Sockets
	if n == 0 {
		n = runtime.GOMAXPROCS(0)
	}
	var conns []*net.UDPConn
	for where := cfg.Addr; len(conns) < n; where = conns[0].LocalAddr().String() {
		c, err := open(where, addr.IP == nil || addr.IP.IsUnspecified(), cfg.Buffer)
		if err != nil {
			for _, c := range conns {
				c.Close() //nolint:errcheck // the first error is the one to report
			}
			return nil, err
		}
		conns = append(conns, c)
	}
	return conns, nil
}

// open opens a socket that shares its port.
func open(addr string, wildcard bool, buffer int) (*net.UDPConn, error) {
	control := func(network, _ string, raw syscall.RawConn) error {
		var err error
		set := func(fd uintptr) { err = setOptions(int(fd), network == "udp6", wildcard, buffer) } //nolint:gosec // file descriptors are small
		if failed := raw.Control(set); failed != nil {
			return failed
		}
		return err
	}
	lc := net.ListenConfig{Control: control}
	c, err := lc.ListenPacket(context.Background(), "udp", addr)
	if err != nil {
		return nil, err //nolint:wrapcheck // as in listen
	}
	return c.(*net.UDPConn), nil //nolint:errcheck // it was asked for
}

func setOptions(fd int, six, wildcard bool, buffer int) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
		return err
	}
	for _, o := range [][2]int{{unix.SO_RCVBUF, unix.SO_RCVBUFFORCE}, {unix.SO_SNDBUF, unix.SO_SNDBUFFORCE}} {
		if unix.SetsockoptInt(fd, unix.SOL_SOCKET, o[1], buffer) != nil { // for root only
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, o[0], buffer) //nolint:errcheck // the kernel cuts it down to what it allows
		}
	}
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
	if len(s.conns) == 1 {
		return
	}
	now := len(s.conns)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		if want := min(len(s.conns), processors()); want != now && spread(s.conns[0], want, len(s.conns)) == nil {
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

// spread has the kernel give packets to the first n of all sockets that share c's port, at random.
func spread(c *net.UDPConn, n, all int) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err //nolint:wrapcheck // only compared with nil
	}
	const random = 0xFFFFF000 + 56 // SKF_AD_OFF + SKF_AD_RANDOM
	code := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: random},
		{Code: unix.BPF_ALU | unix.BPF_MOD | unix.BPF_K, K: uint32(n)}, //nolint:gosec // not negative
		{Code: unix.BPF_RET | unix.BPF_A},
	}
	failed := raw.Control(func(fd uintptr) {
		if n == all {
			err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DETACH_REUSEPORT_BPF, 0) //nolint:gosec // as in open
			return
		}
		program := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
		err = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_CBPF, &program) //nolint:gosec // as above
	})
	if failed != nil {
		return failed //nolint:wrapcheck // as above
	}
	return err
}
