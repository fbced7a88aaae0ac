//go:build !linux

package rawtcp

import "net"

const _ = maxRaw + maxParts + maxSendfile // limits of what is not done here

// Wrap returns nc.
func Wrap(nc net.Conn) net.Conn { return nc }

// LimitUnsent does nothing.
func LimitUnsent(net.Conn, int) error { return nil }
