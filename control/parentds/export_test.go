package parentds

import (
	"net"
	"slices"
)

// SystemAt is System with resolvers that listen on another port.
func SystemAt(file, port string) (*Asker, error) {
	a, err := System(file)
	if err != nil {
		return nil, err
	}
	a.servers = slices.Clone(a.servers)
	for i, s := range a.servers {
		host, _, err := net.SplitHostPort(s)
		if err != nil {
			return nil, err
		}
		a.servers[i] = net.JoinHostPort(host, port)
	}
	return a, nil
}
