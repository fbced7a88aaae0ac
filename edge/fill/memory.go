package fill

import (
	"hash/maphash"
	"sync"
	"time"

	"nearcast/cdn"
)

// Memory remembers keys for a while: those whose responses turned out not to be for
// sharing, so that their requests do not queue for each other again ("hit for miss").
// It is bounded; when full it forgets some key. The zero value is not usable.
type Memory struct {
	keep time.Duration
	size int

	seed  maphash.Seed
	mu    sync.Mutex           // guards the following
	until map[uint64]time.Time // by hash: two keys that share one are treated alike, which is harmless
}

// NewMemory returns a memory that keeps a key for a time, and at most size of them.
func NewMemory(keep time.Duration, size int) *Memory {
	return &Memory{keep: keep, size: size, seed: maphash.MakeSeed(), until: make(map[uint64]time.Time)}
}

// Add remembers a key.
func (m *Memory) Add(now time.Time, key cdn.CacheKey) {
	hash := maphash.Comparable(m.seed, key)
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, known := m.until[hash]; !known && len(m.until) >= m.size {
		m.makeRoomLocked(now)
	}
	m.until[hash] = now.Add(m.keep)
}

// makeRoomLocked drops what is over among a few keys, or else any one.
func (m *Memory) makeRoomLocked(now time.Time) {
	var last uint64
	looked := 0
	for key, until := range m.until {
		last = key
		if now.After(until) {
			delete(m.until, key)
		}
		if looked++; looked == 8 {
			break
		}
	}
	if len(m.until) >= m.size {
		delete(m.until, last)
	}
}

// Has reports whether the key is remembered.
func (m *Memory) Has(now time.Time, key cdn.CacheKey) bool {
	hash := maphash.Comparable(m.seed, key)
	m.mu.Lock()
	defer m.mu.Unlock()
	return now.Before(m.until[hash])
}

// Remove forgets a key.
func (m *Memory) Remove(key cdn.CacheKey) {
	hash := maphash.Comparable(m.seed, key)
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.until, hash)
}
