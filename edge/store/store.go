// Package store keeps responses, found by cache key and, below it, by the request
// fields that Vary names. Its subpackages are the implementations; storetest is what each of
// them must pass.
//
// It is not for deciding what may be stored or served: that is httpcache.
package store

import (
	"net/http"

	"nearcast/cdn"
	"nearcast/edge/httpcache"
)

// MaxVariants bounds the variants of one key; the oldest goes first.
const MaxVariants = 32

// Object is a stored response. It is immutable.
type Object struct {
	// Key is where the object is found.
	Key cdn.CacheKey
	// Revision is the newest purge that the node had applied when the fill that
	// brought the object began.
	Revision cdn.Revision
	// Response is the head.
	Response *httpcache.Response
	// Body is the content.
	Body Body
}

// Size is the memory that the object takes, in bytes.
func (o *Object) Size() int64 { return o.Body.Len() + int64(o.Response.Size()+len(o.Key)) + overhead }

// overhead is an object's share of indexes, lists and counters, in bytes: an estimate.
const overhead = 512

// Store is a set of objects. All methods may be called at any time from any goroutine.
type Store interface { //nolint:interfacebloat // a cache of variants needs each of the eight
	// Get returns the newest object of the key that the request fields select and
	// counts the use, or returns nil.
	Get(key cdn.CacheKey, fields http.Header) *Object
	// Peek is Get without counting.
	Peek(key cdn.CacheKey, fields http.Header) *Object
	// Put stores o in place of the object of its key that fields, those of the request
	// that brought it, select. It may refuse, and reports whether it did not. When
	// Put has returned true, Get finds the object.
	Put(o *Object, fields http.Header) bool
	// Refresh gives the object old a new head with the same body and reports whether
	// old was still stored.
	Refresh(old *Object, head *httpcache.Response) bool
	// Delete removes all objects of the key.
	Delete(key cdn.CacheKey)
	// Clear removes all objects.
	Clear()
	// Stats reports the fill level.
	Stats() Stats
	// Close frees everything; Get finds nothing afterwards and Put refuses.
	Close()
}

// Stats is a store's fill level and history.
type Stats struct {
	Objects   int64  // objects stored
	Bytes     int64  // their memory, see [Object.Size]
	Evictions uint64 // objects given up for room since the start
}
