package gossip

import (
	"context"
	"time"

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

// Meta is what a member with these words says about itself now.
func Meta(role, state, version, pop string) string {
	m := meta{role: cdn.Role(role), state: cdn.NodeState(state), started: time.Now(), version: version, pop: cdn.POPName(pop)}
	return string(m.encode())
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
