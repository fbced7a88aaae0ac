// Package store keeps responses, found by cache key and, below it, by the request
// fields that Vary names. Its subpackages are the implementations; storetest is what each of
// them must pass.
//
// It is not for deciding what may be stored or served: that is httpcache.
package store

import (
	"net/http"
	"strconv"
	"time"

	"nearcast/cdn"
	"nearcast/edge/httpcache"
)

// MaxVariants bounds the variants of one key; the oldest goes first.
const MaxVariants = 32

// ID names one content: that of a response which came in one fetch, or was put together of
// parts that share a strong validator. No two contents of a node have the same.
type ID uint64

// Epoch counts the purges that a node has applied, in its own order.
type Epoch uint64

// Object is a stored response, or a slice of one. It is immutable.
type Object struct {
	// ID is the content's. A validation changes the head only, and leaves it.
	ID ID
	// Key is where the object is found.
	Key cdn.CacheKey
	// Variant tells apart what is stored of the key by other things than fields that Vary names;
	// empty for most.
	Variant string
	// Born is the newest purge that the node had applied when the fill that brought the object, or validated it last, began.
	Born Epoch
	// Softened is when a soft purge has made the object stale, in what is handed out by a store that knows of purges; zero if
	// none has. It is not stored.
	Softened time.Time
	// URL is the normal form of what was asked for, for purges that go by it: domain, path and query. Slices and
	// what has been made of another object have none: they are found through that object only.
	URL string
	// Tags are hashes of the tags that the origin gave the response.
	Tags []uint64
	// Response is the head.
	Response *httpcache.Response
	// Fresh is until when the response is fresh by the rules under which it was stored, which may be others than its origin's; zero
	// if that is not known. It helps to keep together what ends together, and is not stored.
	Fresh time.Time
	// Body is the content, or the octets of a slice.
	Body Body
	// Start is where in the content Body begins: zero, except in a slice.
	Start int64
	// Length is the number of octets of the whole content, or -1 while that is not known.
	Length int64
	// Sliced says that Body is empty and the content, as far as it is stored, in the
	// objects of [SliceKey].
	Sliced bool
	// Memo is the same for all who get the object from a store, and nil before it is stored.
	Memo *Memo
	// Doubtful says that the origin contradicted itself about where the content ends: Length is
	// where its octets ended, good for parts before that and not for the whole.
	Doubtful bool
}

// SliceSize is how much of a content one slice holds at most, in octets. Slice n begins
// at n times SliceSize.
const SliceSize = 1 << 20

// SliceKey is where slice n of a content is found. It is no URL's key: those begin
// with a site's name.
func SliceKey(id ID, n int64) cdn.CacheKey {
	return cdn.CacheKey("\x00slice " + strconv.FormatUint(uint64(id), 36) + " " + strconv.FormatInt(n, 36))
}

// CodedKey is where a content is found after a content coding has been applied to it.
func CodedKey(id ID, coding string) cdn.CacheKey {
	return cdn.CacheKey(AppendCodedKey(nil, id, coding))
}

// AppendCodedKey appends the [CodedKey].
func AppendCodedKey(dst []byte, id ID, coding string) []byte {
	dst = strconv.AppendUint(append(dst, "\x00coded "...), uint64(id), 36)
	return append(append(dst, ' '), coding...)
}

// Same reports whether o and p are one and the same: the content, its head, and the octets in the same place.
func (o *Object) Same(p *Object) bool {
	return o.ID == p.ID && o.Response == p.Response && o.Start == p.Start && o.Body.same(p.Body)
}

// Refreshed returns the object with a new head, that of a validation which began at an epoch, and without a memo.
func (o *Object) Refreshed(head *httpcache.Response, born Epoch) *Object {
	fresh := *o
	fresh.Response, fresh.Born, fresh.Memo = head, born, nil
	if !o.Fresh.IsZero() {
		fresh.Fresh = head.ResponseTime.Add(o.Fresh.Sub(o.Response.ResponseTime))
	}
	return &fresh
}

// Lookup says which object is looked for.
type Lookup struct {
	Key     cdn.CacheKey
	Variant string      // as in [Object]
	Fields  http.Header // the request's: they select by what the response's Vary names
	// Late, if it is not nil, is called for the fields, in place of Fields, and only if it takes them to choose.
	Late func() http.Header
	// File says that a body may come as an [Extent] alone.
	File bool
	// Head says that the body is not wanted, only its length: it may come as an extent that nobody has checked.
	Head bool
	// Quick says that what is not in memory is not worth waiting for: somebody holds a lock.
	Quick bool
}

// Request returns the request's fields.
func (l Lookup) Request() http.Header {
	if l.Late != nil {
		return l.Late()
	}
	return l.Fields
}

// Selects reports whether an object that is stored under the key is the one.
func (l Lookup) Selects(o *Object) bool { return o.Variant == l.Variant && l.Takes(o.Response) }

// Takes reports whether the object with a head, stored under the key and variant, is the one.
func (l Lookup) Takes(r *httpcache.Response) bool { return !r.Varies() || r.Matches(l.Request()) }

// Select returns the index of the head that the lookup prefers of several, all of its variant, or -1.
func (l Lookup) Select(heads []*httpcache.Response) int { return httpcache.Select(heads, l.Request()) }

// Store is a set of objects. All methods may be called at any time from any goroutine.
type Store interface { //nolint:interfacebloat // a cache of variants needs each of the eight
	// Get returns the object that is looked for and counts the use, or returns nil. If several suit it is the
	// one that [httpcache.Select] prefers. known says whether anything is stored of the key and variant.
	Get(l Lookup) (o *Object, known bool)
	// Peek is Get without counting and known.
	Peek(l Lookup) *Object
	// Put stores o in place of the object of its key and variant that fields, those of the request
	// that brought it, select. It may refuse, and reports whether it did not. When
	// Put has returned true, Get finds the object.
	Put(o *Object, fields http.Header) bool
	// Refresh gives the object old a new head with the same body, makes it born at an epoch, that in which the validation
	// began, and reports whether old was still stored.
	Refresh(old *Object, head *httpcache.Response, born Epoch) bool
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
	Hits      uint64 // objects that Get found since the start
	Evictions uint64 // objects given up for room since the start
	Refused   uint64 // objects that Put did not take since the start
}
