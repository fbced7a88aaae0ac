// Package shadow shows what else could be made of a node's RAM: it runs caches without bodies beside the real one, under other
// policies and with more or less memory, on a sample of what the real one is asked for; and it finds out how large a body may be to be kept in
// RAM if it is on disk as well.
//
// Sampled are keys, by their hash: the caches are smaller by as much as there are fewer keys (Waldspurger et al., "Efficient MRC construction
// with SHARDS", FAST 2015; "Cache modeling and optimization using miniature simulations", ATC 2017). Every slice and every coded variant has
// a key of its own.
//
// It knows of no purge and no lifetime: the question is who finds room. It is not for deciding what the RAM lets go of: that is package
// policy, whose [policy.Live] has shadows of its own that must not lag behind.
package shadow

import (
	"hash/maphash"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"nearcast/cdn"
	"nearcast/edge/store"
	"nearcast/edge/store/policy"
)

// Config is what Caches are made from.
type Config struct {
	// RAM is the memory of the real cache, in octets; more than zero.
	RAM int64
	// Disk says that there is a disk, to which large bodies can be left.
	Disk bool
	// Live tells how the real cache's policy is set. Nil means as it is at first.
	Live func() policy.Report
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
}

// Caches are all shadows of one cache. Their methods may be called from any goroutine.
type Caches struct {
	cfg  Config
	seed maphash.Seed

	// A key is in the sample if these bits of its hash are zero. As many requests are counted, whatever their keys: what is hottest is in the sample
	// or it is not, which makes all the difference to hit ratios, and how many requests the sample should have had tells which it was.
	mask    atomic.Uint64
	largest atomic.Int64
	buffer  buffer
	wake    chan struct{}
	stop    chan struct{}
	stopped sync.Once
	done    sync.WaitGroup

	mu      sync.Mutex // guards the following; the buffer's may be taken under it
	models  []*model
	spare   []request
	room    int64 // entries of all models together
	shift   uint  // the sample is 1 in 1 << shift
	taken   int64 // requests of the sample so far
	counted amount
	load    load
	tuned   time.Time // when largest was changed last
	since   int64     // taken then
}

// request is one that has been asked for.
type request struct {
	hash    uint64
	size    int64 // that it takes in RAM, whole
	body    int64 // octets
	counted bool  // it is one of those that stand for all requests, sampled or not
}

// New returns shadows, of which a goroutine takes care until Close.
func New(cfg Config) *Caches {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	c := &Caches{cfg: cfg, seed: maphash.MakeSeed(), wake: make(chan struct{}, 1), stop: make(chan struct{})}
	c.models = lineup(cfg.RAM, cfg.Disk)
	c.room = roomFor(cfg.RAM)
	c.buffer.requests = make([]request, 0, buffered)
	c.spare = make([]request, 0, buffered)
	c.tuned = cfg.Now()
	c.load.since = c.tuned
	c.largest.Store(c.inUse().maxBody)
	c.done.Go(func() {
		for {
			select {
			case <-c.wake:
				c.drain()
			case <-c.stop:
				return
			}
		}
	})
	return c
}

// Close ends the goroutine. What is asked for afterwards is seen by Report only.
func (c *Caches) Close() {
	c.stopped.Do(func() { close(c.stop) })
	c.done.Wait()
}

// Samples reports whether Asked is to be called if a key is asked for now. It is meant to be called for every request.
func (c *Caches) Samples(key cdn.CacheKey) bool {
	return c.wants(maphash.String(c.seed, string(key)))
}

func (c *Caches) wants(hash uint64) bool {
	mask := c.mask.Load()
	return hash&mask == 0 || rand.Uint64()&mask == 0
}

// Asked shows a request: one for an object that was there, or one that brought it.
func (c *Caches) Asked(o *store.Object) {
	size := o.Size()
	if !o.Body.InMemory() {
		size += o.Body.Len()
	}
	c.ask(c.hash(o), size, o.Body.Len())
}

func (c *Caches) ask(hash uint64, size, body int64) {
	mask := c.mask.Load()
	counted := hash&mask != 0 || rand.Uint64()&mask == 0
	if c.buffer.add(request{hash, size, body, counted}) {
		select {
		case c.wake <- struct{}{}:
		default:
		}
	}
}

// keyBits are the bits of an object's hash that depend on its key only. They say whether the object is in the sample.
const keyBits = 16

// hash is of what tells an object from all others that may be stored at the same time.
func (c *Caches) hash(o *store.Object) uint64 {
	h := maphash.String(c.seed, string(o.Key))
	if o.Variant == "" && !o.Response.Varies() {
		return h
	}
	rest := maphash.String(c.seed, o.Variant)
	for name, values := range o.Response.Selecting() {
		for _, value := range values {
			rest += maphash.Comparable(c.seed, [2]string{name, value}) // the order is none
		}
	}
	return h ^ rest<<keyBits
}

// drain shows the models what has been asked for.
func (c *Caches) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drainLocked()
}

func (c *Caches) drainLocked() {
	requests := c.buffer.swap(c.spare)
	c.follow()
	for i := range requests {
		c.take(&requests[i])
	}
	c.spare = requests[:0]
	now := c.cfg.Now()
	c.bear(now)
	c.tune(now)
}

// follow sets the models of the real policy as that is set.
func (c *Caches) follow() {
	if c.cfg.Live == nil {
		return
	}
	report := c.cfg.Live()
	for _, m := range c.models {
		m.follow(report)
	}
}

// How often something is looked at, in requests of the sample.
const (
	checkEvery = 64
	ageEvery   = 1024
)

// halfLife is after how many requests of the sample one counts half.
const halfLife = 1 << 16

func (c *Caches) take(r *request) {
	if r.counted {
		c.counted.add(r.body)
		for _, m := range c.models {
			m.count(r)
		}
	}
	if r.hash&c.mask.Load() != 0 {
		return
	}
	for _, m := range c.models {
		m.access(r, c.shift)
	}
	c.taken++
	c.load.taken++
	if c.taken%checkEvery == 0 {
		c.fit()
	}
	if c.taken%ageEvery == 0 {
		c.age(math.Exp2(-ageEvery / float64(halfLife)))
	}
}

func (c *Caches) age(keep float64) {
	c.counted.scale(keep)
	for _, m := range c.models {
		m.age(keep)
	}
}

// Report is what the shadows show.
type Report struct {
	// Caches are all shadows, the live policy's first.
	Caches []Cache
	// Sample is 1 in how many keys they see.
	Sample int64
	// Dropped is how many requests they should have seen and did not, because they could not keep up.
	Dropped uint64
	// Memory is what all of it takes, in octets, roughly.
	Memory int64
}

// Cache is one shadow.
type Cache struct {
	// Policy is its name.
	Policy string
	// RAM is its memory, as a multiple of the real cache's.
	RAM float64
	// Objects and Octets are the shares of requests, and of the octets of their bodies, that it had, 0 to 1: lately, old requests counting for less.
	Objects, Octets float64
	// Entries is how many objects of the sample it has.
	Entries int64
}

// Report returns what is so now.
func (c *Caches) Report() Report {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drainLocked()
	_, entries := c.entries()
	r := Report{Sample: 1 << c.shift, Dropped: c.buffer.dropped(), Memory: entries*entryMemory + bufferMemory}
	for _, m := range c.models {
		one := Cache{Policy: m.policy, RAM: m.scale, Entries: m.shadow.Stats().Entries}
		one.Objects, one.Octets = m.ratios(c.counted)
		r.Caches = append(r.Caches, one)
	}
	return r
}
