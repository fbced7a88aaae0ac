package gossip

import (
	"context"

	"nearcast/cdn"
)

// RunUntilKilled runs like Run, but at the end closes the sockets without a word,
// as the kernel does for a killed process.
func (p *Pool) RunUntilKilled(ctx context.Context) error {
	p.maintain(ctx)
	return p.shutdown()
}

// ParseMeta reads a member's meta, and says it again.
func ParseMeta(b []byte) ([]byte, error) {
	m, err := parseMeta(b)
	if err != nil {
		return nil, err
	}
	return m.encode(), nil
}

// MaxMeta is the bound of a meta.
const MaxMeta = maxMeta

// MaxMembers is the bound of a pool's memory.
const MaxMembers = maxMembers

// Fill makes the pool remember as many names as it may.
func (p *Pool) Fill(name func(int) string) {
	for i := range maxMembers {
		p.view.put(&Member{Name: cdn.NodeName(name(i))})
	}
}
