package disk_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"nearcast/cdn"
	"nearcast/edge/httpcache"
	"nearcast/edge/store"
)

// flushInterval is how long what is stored or removed may be in memory only: what the death of a process may cost.
const flushInterval = 500 * time.Millisecond

// spot is where one object at a time can be: a key, a variant and what selects it.
type spot struct {
	number  int
	key     cdn.CacheKey
	variant string
	coding  string // selects it, if not empty
	events  []*happening
}

func (s *spot) String() string { return fmt.Sprintf("%s|%s|%s", s.key, s.variant, s.coding) }

func (s *spot) lookup() store.Lookup {
	return store.Lookup{Key: s.key, Variant: s.variant, Fields: accepting(s.coding)}
}

// spots returns those of plain keys, of keys that vary by a field, and of keys with variants.
func spots() (list []*spot) {
	add := func(key, variant, coding string) {
		list = append(list, &spot{number: len(list), key: cdn.CacheKey("shop http://a.example/" + key), variant: variant, coding: coding})
	}
	for i := range 12 {
		add(fmt.Sprint("plain", i), "", "")
	}
	for i := range 3 {
		add(fmt.Sprint("varies", i), "", "gzip")
		add(fmt.Sprint("varies", i), "", "br")
		add(fmt.Sprint("variant", i), "", "")
		add(fmt.Sprint("variant", i), "v", "")
	}
	return list
}

// edition is one version of what a spot has had. Everything about the object follows from it.
type edition struct {
	spot    *spot
	version int
	content int // the edition that had this body first
	size    int
	life    lifetime
	at      time.Time
	born    store.Epoch
}

// lifetime is how long an edition is of use.
type lifetime int

const (
	forever lifetime = iota
	brief            // fresh for a short time, and kept on since it can be validated
	mayfly           // of no use after mayflyLife
	lifetimes
)

const mayflyLife = 5 * time.Second

// object makes the edition's object.
func (e *edition) object() *store.Object {
	h := http.Header{"X-Version": {strconv.Itoa(e.version)}}
	switch e.life {
	case forever:
		h.Set("Etag", `"x"`)
	case brief:
		h.Set("Etag", `"x"`)
		h.Set("Cache-Control", "max-age=1800")
	default:
		h.Set("Cache-Control", fmt.Sprint("max-age=", int(mayflyLife.Seconds())))
	}
	if e.version%7 == 3 { // a head that takes more than one read
		h.Set("X-Long", strings.Repeat(fmt.Sprint(e.version, " "), 900))
	}
	if e.spot.coding != "" {
		h.Set("Vary", "Accept-Encoding")
	}
	req := httpcache.Request{Method: http.MethodGet, Header: accepting(e.spot.coding)}
	return &store.Object{
		ID: store.ID(e.content), Key: e.spot.key, Variant: e.spot.variant, Born: e.born, //nolint:gosec // never negative
		URL: strings.TrimPrefix(string(e.spot.key), "shop http://"), Tags: []uint64{uint64(e.spot.number), 1 << 60}, //nolint:gosec // likewise
		Response: httpcache.NewResponse(req, http.StatusOK, h, e.at, e.at),
		Body:     store.NewBody(e.body()), Length: int64(e.size),
	}
}

// body makes octets that are no other edition's, nor anywhere else the same.
func (e *edition) body() []byte {
	b := make([]byte, 0, e.size+8)
	for i := uint64(0); len(b) < e.size; i++ {
		x := uint64(e.spot.number)<<48 | uint64(e.content)<<24 | i //nolint:gosec // never negative
		x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
		x = (x ^ x>>27) * 0x94d049bb133111eb
		b = binary.LittleEndian.AppendUint64(b, x^x>>31)
	}
	return b[:e.size]
}

// happening is something that was done to a spot.
type happening struct {
	op      int
	edition *edition // what was stored; nil: what there was has been removed
	vague   bool     // what there was may be gone: something was refused
	final   bool     // a removal that holds whatever happens as soon as it has returned
	sudden  bool     // likewise, but not after a power cut
	over    time.Time
}

// chronicle is what has been done to a store, and so what may be found in it.
type chronicle struct {
	mu       sync.Mutex
	spots    []*spot
	editions []*edition
	begun    int  // operations
	ended    int  // all before it have returned
	closed   int  // all before it are durable, since the store was closed
	lossy    bool // what is stored may go for room
	current  []*happening
}

// begin notes that something is going to be done.
func (c *chronicle) begin(list ...*happening) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.begun++
	c.current = list
}

// happen is begin for a spot.
func (c *chronicle) happen(s *spot, h *happening) {
	c.mu.Lock()
	defer c.mu.Unlock()
	h.op = c.begun - 1
	s.events = append(s.events, h)
	c.current = append(c.current, h)
}

// end notes that it has been done.
func (c *chronicle) end(done bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = c.begun
	for _, h := range c.current {
		h.over = time.Now()
		if !done {
			h.vague = true
		}
	}
	c.current = nil
}

// shut notes that the store has been closed.
func (c *chronicle) shut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = c.ended
}

// publish numbers the next edition of a spot. It has the body of another one, or one of its own.
func (c *chronicle) publish(e edition, same *edition) *edition {
	c.mu.Lock()
	defer c.mu.Unlock()
	e.version, e.content = len(c.editions), len(c.editions)
	if same != nil {
		e.content, e.size = same.content, same.size
	}
	c.editions = append(c.editions, &e)
	return &e
}

// edition returns one of a spot, or nil.
func (c *chronicle) edition(s *spot, version int) *edition {
	c.mu.Lock()
	defer c.mu.Unlock()
	if version < 0 || version >= len(c.editions) || c.editions[version].spot != s {
		return nil
	}
	return c.editions[version]
}

// instant is when the store was cut off, or is asked.
type instant struct {
	at     time.Time
	begun  int
	ended  int
	closed int
	power  bool // the power was cut; else the process was killed
	live   bool // nothing has happened to it
	rotten bool // what the disks have has been changed since, behind the store's back
}

// look returns the instant before something, as far as it is known; done completes it.
func (c *chronicle) look() instant {
	c.mu.Lock()
	defer c.mu.Unlock()
	return instant{at: time.Now(), ended: c.ended, closed: c.closed}
}

func (c *chronicle) done(i *instant) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i.begun = c.begun
}

// settled reports whether what happened must still be so after an instant.
func (i *instant) settled(h *happening) bool {
	switch {
	case h.op >= i.ended:
		return false
	case h.final, !i.rotten && (i.live || h.op < i.closed):
		return true
	}
	return !i.rotten && !i.power && (h.sudden || i.at.Sub(h.over) > flushInterval)
}

// permitted returns what may be found in a spot: which editions, and whether nothing.
func (c *chronicle) permitted(s *spot, i *instant) (editions map[int]bool, nothing bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	editions, nothing = make(map[int]bool), true
	for _, h := range s.events {
		switch vague := h.op < i.ended && h.vague; {
		case h.op >= i.begun:
		case vague:
			nothing = true
		case h.edition == nil && i.settled(h):
			clear(editions)
			nothing = true
		case h.edition == nil:
			nothing = true
		case i.settled(h):
			clear(editions)
			editions[h.edition.version] = true
			nothing = h.edition.life == mayfly && i.at.Sub(h.edition.at) >= mayflyLife
		default:
			editions[h.edition.version] = true
			nothing = true // it may have been half done: what is replaced gone, and what replaces it not there yet
		}
	}
	return editions, nothing || i.rotten || c.lossy
}

// judge says what is wrong with what was found in a spot, and which edition it is, -1 for nothing.
func (c *chronicle) judge(s *spot, o *store.Object, i *instant) (version int, err error) {
	editions, nothing := c.permitted(s, i)
	if o == nil {
		if !nothing {
			err = fmt.Errorf("%v: nothing, want one of %v", s, slices.Sorted(maps.Keys(editions)))
		}
		return -1, err
	}
	e, err := c.recognise(s, o)
	if err != nil {
		return -1, err
	}
	if !editions[e.version] {
		err = fmt.Errorf("%v: edition %d, want one of %v (nothing: %v)", s, e.version, slices.Sorted(maps.Keys(editions)), nothing)
	}
	return e.version, err
}

// recognise returns which edition an object is: it must be whole and right.
func (c *chronicle) recognise(s *spot, o *store.Object) (*edition, error) {
	if o == nil {
		return nil, fmt.Errorf("%v: nothing", s)
	}
	version, err := strconv.Atoi(o.Response.Header.Get("X-Version"))
	e := c.edition(s, version)
	if err != nil || e == nil {
		return nil, fmt.Errorf("%v: an object of another spot: %v of %s|%s", s, version, o.Key, o.Variant)
	}
	want := e.object()
	if o.ID != want.ID || o.Key != want.Key || o.Variant != want.Variant || o.Born != want.Born || o.URL != want.URL || o.Length != want.Length ||
		!slices.Equal(o.Tags, want.Tags) || o.Start != 0 || o.Sliced || o.Doubtful {
		return nil, fmt.Errorf("%v: edition %d has another identity: %+v", s, version, o)
	}
	if !maps.EqualFunc(o.Response.Header, want.Response.Header, slices.Equal) || !o.Response.ResponseTime.Equal(e.at) || o.Response.Status != http.StatusOK {
		return nil, fmt.Errorf("%v: edition %d has another head: %+v", s, version, o.Response)
	}
	if got := []byte(text(o)); !bytes.Equal(got, e.body()) {
		return nil, fmt.Errorf("%v: edition %d has another body, of %d octets and not %d", s, version, len(got), e.size)
	}
	return e, nil
}
