package local

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"

	"nearcast/cdn"
)

// checkPorts binds every socket that the commands will bind, and lets go again: a
// taken port is reported at once, with all others, before anything is started.
func checkPorts(commands []command) error {
	var taken []string
	for _, c := range commands {
		for _, l := range c.listens {
			if err := tryListen(l.Network, l.Addr); err != nil {
				taken = append(taken, fmt.Sprintf("  %s/%s (%s): %s", l.Addr, l.Network, l.For, plainReason(err)))
			}
		}
	}
	if len(taken) == 0 {
		return nil
	}
	return cdn.Errorf(cdn.Conflict, "", "these ports cannot be used:\n%s\nstop what uses them, or choose other ports with --port-base",
		strings.Join(taken, "\n"))
}

func tryListen(network, addr string) error {
	if network == "udp" {
		c, err := net.ListenPacket(network, addr) //nolint:noctx // a bind does not wait
		if err != nil {
			return err
		}
		return c.Close()
	}
	l, err := net.Listen(network, addr) //nolint:noctx // a bind does not wait
	if err != nil {
		return err
	}
	return l.Close()
}

func plainReason(err error) string {
	if errors.Is(err, syscall.EADDRINUSE) {
		return "taken by another program"
	}
	return err.Error()
}
