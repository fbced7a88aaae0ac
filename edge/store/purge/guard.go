package purge

import (
	"time"

	"nearcast/edge/store"
)

// Over returns a store that hands out of another one only what is not [Gone], and what is [Stale] as a copy whose Softened says
// since when.
func Over(s store.Store, l *Log) store.Store { return guard{s, l} }

type guard struct {
	store.Store
	log *Log
}

// Get implements [store.Store].
func (g guard) Get(l store.Lookup) (o *store.Object, known bool) {
	o, known = g.Store.Get(l)
	if o == nil {
		return nil, known
	}
	o = g.log.Look(o)
	return o, o != nil
}

// Peek implements [store.Store].
func (g guard) Peek(l store.Lookup) *store.Object {
	if o := g.Store.Peek(l); o != nil {
		return g.log.Look(o)
	}
	return nil
}

// Look returns what the judgement leaves of a stored object: itself if it is [Good], a copy with Softened set if it is [Stale],
// nil if it is [Gone].
func (l *Log) Look(o *store.Object) *store.Object {
	switch v, at := l.judge(o); v {
	case Good:
		return o
	case Stale:
		soft := *o
		soft.Softened = time.Unix(0, at)
		return &soft
	default:
		return nil
	}
}
