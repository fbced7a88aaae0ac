package store

import (
	"sync/atomic"
	"unsafe"

	"nearcast/internal/heapsize"
)

// Memo holds what its users have worked out about a stored object, until the object is replaced. Its zero value is
// empty, and of an object that no store accounts for.
type Memo struct {
	keeper Keeper // nil if nobody accounts for the memory
	value  atomic.Value
	size   atomic.Int64
	// Checked and Softened are what package purge has last found out about the object, and in its hands.
	Checked  atomic.Uint64
	Softened atomic.Int64
}

// Keeper accounts for the memory of objects.
type Keeper interface {
	// Resize books that the size of the object, if it is still stored, has changed.
	Resize(o *Object)
}

// NewMemo returns an empty memo of an object whose memory the keeper accounts for.
func NewMemo(k Keeper) *Memo { return &Memo{keeper: k} }

// Load returns what has been remembered last, or nil.
func (m *Memo) Load() any { return m.value.Load() }

// Remember puts a value, always of the same type, of so many bytes into the memo of a stored object. The store may let the object go for that, or others, and
// tell of it. No lock of a store may be held.
func (o *Object) Remember(value any, size int64) {
	o.Memo.value.Store(value)
	o.Memo.size.Store(size)
	if k := o.Memo.keeper; k != nil {
		k.Resize(o)
	}
}

// Size is the memory that the object takes, in bytes: of a body only what is in memory, and the share of the store's index, lists and
// counters.
func (o *Object) Size() int64 {
	n := overhead + o.Response.Size() + o.Body.memory() +
		heapsize.Of(len(o.Key)) + heapsize.Of(len(o.URL)) + heapsize.Of(len(o.Variant)) + heapsize.Of(8*len(o.Tags))
	if o.Memo != nil {
		n += o.Memo.size.Load()
	}
	return n
}

// overhead is what an object takes besides what hangs on it, in bytes: itself with its memo, and its share of a store's index, lists and
// counters, of which package ram's are measured by its tests.
const overhead = int64(unsafe.Sizeof(Object{})+unsafe.Sizeof(Memo{})) + indexed

const indexed = 340

// memory is what the pieces take.
func (b Body) memory() int64 {
	n := heapsize.Pointers(len(b.pieces) * int(unsafe.Sizeof(b.pieces[0])))
	for _, p := range b.pieces {
		n += heapsize.Of(cap(p))
	}
	return n
}
