package disk

import (
	"sync"
	"sync/atomic"
)

// blindness remembers what was written before everything on the disks was known.
type blindness struct {
	any   atomic.Bool
	mu    sync.Mutex        // guards veils
	veils map[uint64][]veil // by hash
}

func (b *blindness) add(hash uint64, l veil) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.veils == nil {
		b.veils = make(map[uint64][]veil)
	}
	b.veils[hash] = append(b.veils[hash], l)
	b.any.Store(true)
}

// of returns what there is of a hash.
func (b *blindness) of(hash uint64) []veil {
	if !b.any.Load() {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.veils[hash]
}

// forget forgets everything: all is known.
func (b *blindness) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.veils = nil
}
