//go:build !linux

package rawtcp

import "net"

const _ = maxRaw + maxParts + maxSendfile // limits of what is not done here

// Wrap returns nc.
func Wrap(nc net.Conn) net.Conn { return nc }

// OnClose does nothing.
func OnClose(net.Conn, func()) bool { return false }

// InfoOf knows nothing.
func InfoOf(net.Conn) (Info, error) { return Info{}, errNotTCP }

// LimitUnsent does nothing.
func LimitUnsent(net.Conn, int) error { return nil }
