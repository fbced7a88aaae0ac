package fill

import (
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

	mu    sync.Mutex // guards the following
	until map[cdn.CacheKey]time.Time
}

// NewMemory returns a memory that keeps a key for a time, and at most size of them.
func NewMemory(keep time.Duration, size int) *Memory {
	return &Memory{keep: keep, size: size, until: make(map[cdn.CacheKey]time.Time)}
}

// Add remembers a key.
func (m *Memory) Add(now time.Time, key cdn.CacheKey) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, known := m.until[key]; !known && len(m.until) >= m.size {
		m.makeRoomLocked(now)
	}
	m.until[key] = now.Add(m.keep)
}

// makeRoomLocked drops what is over among a few keys, or else any one.
func (m *Memory) makeRoomLocked(now time.Time) {
	var last cdn.CacheKey
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
	m.mu.Lock()
	defer m.mu.Unlock()
	return now.Before(m.until[key])
}

// Remove forgets a key.
func (m *Memory) Remove(key cdn.CacheKey) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.until, key)
}
