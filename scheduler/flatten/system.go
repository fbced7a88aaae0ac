package flatten

import (
	"context"
	"sync"

	"nearcast/cdn"
)

// System asks the resolvers that a file such as /etc/resolv.conf names. It reads the file when it needs it first, and
// again as long as it cannot be used; until then every question fails.
type System struct {
	// File is the file's name. Required.
	File string

	mu     sync.Mutex // guards the following
	client *Client    // nil before the file could be used
}

// Resolve implements [Resolver].
func (s *System) Resolve(ctx context.Context, name cdn.Domain) (Answer, error) {
	c, err := s.open()
	if err != nil {
		return Answer{}, err
	}
	return c.Resolve(ctx, name)
}

func (s *System) open() (*Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client == nil {
		c, err := SystemClient(s.File)
		if err != nil {
			return nil, err
		}
		s.client = c
	}
	return s.client, nil
}
