package policy

// node is an entry in a slab: 32 octets, no pointer.
type node struct {
	hash       uint64
	size       int64
	next, prev uint32 // in its queue; next also links the free ones
	queue      uint8  // which of its user's queues it is in; none: it is free
	uses       uint8
	note       uint16 // its user's
}

const none = 0 // no queue; and the node that ends every list

// slab holds nodes under small numbers, which are used again. Number 0 is never given out. It grows by chunks: nothing is ever copied.
type slab struct {
	chunks [][]node
	top    uint32 // the highest number given out so far
	free   uint32
	count  int
}

const (
	chunkBits = 9
	chunkSize = 1 << chunkBits
)

func (s *slab) at(n uint32) *node { return &s.chunks[n>>chunkBits][n%chunkSize] }

// take returns an unused node's number.
func (s *slab) take(hash uint64, size int64) uint32 {
	n := s.free
	if n == none {
		s.top++
		n = s.top
		if int(n>>chunkBits) >= len(s.chunks) {
			s.chunks = append(s.chunks, make([]node, chunkSize))
		}
	} else {
		s.free = s.at(n).next
	}
	*s.at(n) = node{hash: hash, size: size}
	s.count++
	return n
}

// give takes a node back that is in no queue any more.
func (s *slab) give(n uint32) {
	*s.at(n) = node{next: s.free}
	s.free = n
	s.count--
}

// queue is a list of nodes of one slab; the front is the oldest.
type queue struct {
	id          uint8 // not none
	front, back uint32
	count       int
	bytes       int64
}

func (s *slab) push(q *queue, n uint32) {
	e := s.at(n)
	e.queue, e.prev, e.next = q.id, q.back, none
	if q.back == none {
		q.front = n
	} else {
		s.at(q.back).next = n
	}
	q.back = n
	q.count++
	q.bytes += e.size
}

func (s *slab) remove(q *queue, n uint32) {
	e := s.at(n)
	if e.prev == none {
		q.front = e.next
	} else {
		s.at(e.prev).next = e.next
	}
	if e.next == none {
		q.back = e.prev
	} else {
		s.at(e.next).prev = e.prev
	}
	e.queue, e.prev, e.next = none, none, none
	q.count--
	q.bytes -= e.size
}

// renew makes a node the youngest of its queue.
func (s *slab) renew(q *queue, n uint32) {
	if q.back != n {
		s.remove(q, n)
		s.push(q, n)
	}
}

func (s *slab) resize(q *queue, n uint32, size int64) {
	q.bytes += size - s.at(n).size
	s.at(n).size = size
}

// index finds a slab's nodes by their hashes: open addressing, at most three quarters full, 4 octets a place.
type index struct {
	places []uint32
	count  int
}

func newIndex() index { return index{places: make([]uint32, 64)} }

// place is where a hash would best be. Hashes are mixed, since callers' may be plain numbers.
func (x *index) place(hash uint64) int { return int(mix(hash) & uint64(len(x.places)-1)) }

// mix is the finaliser of splitmix64.
func mix(h uint64) uint64 {
	h ^= h >> 30
	h *= 0xbf58476d1ce4e5b9
	h ^= h >> 27
	h *= 0x94d049bb133111eb
	return h ^ h>>31
}

func (x *index) find(s *slab, hash uint64) uint32 {
	for i := x.place(hash); ; i = (i + 1) & (len(x.places) - 1) {
		n := x.places[i]
		if n == none || s.at(n).hash == hash {
			return n
		}
	}
}

// insert adds a node whose hash is not there yet.
func (x *index) insert(s *slab, n uint32) {
	if (x.count+1)*4 > len(x.places)*3 {
		old := x.places
		x.places = make([]uint32, 2*len(old))
		for _, n := range old {
			if n != none {
				x.put(s, n)
			}
		}
	}
	x.put(s, n)
	x.count++
}

func (x *index) put(s *slab, n uint32) {
	i := x.place(s.at(n).hash)
	for x.places[i] != none {
		i = (i + 1) & (len(x.places) - 1)
	}
	x.places[i] = n
}

// remove takes out a node, which must be there, and moves those after it that would not be found any more.
func (x *index) remove(s *slab, n uint32) {
	mask := len(x.places) - 1
	i := x.place(s.at(n).hash)
	for x.places[i] != n {
		i = (i + 1) & mask
	}
	for j := (i + 1) & mask; x.places[j] != none; j = (j + 1) & mask {
		home := x.place(s.at(x.places[j]).hash)
		if (j-home)&mask >= (j-i)&mask {
			x.places[i] = x.places[j]
			i = j
		}
	}
	x.places[i] = none
	x.count--
}

// ghosts remember the hashes of what has gone, the latest first.
type ghosts struct {
	slab  slab
	index index
	queue queue
}

func newGhosts() ghosts { return ghosts{index: newIndex(), queue: queue{id: 1}} }

// minGhosts is what is remembered in the smallest cache, since a few entries tell nothing.
const minGhosts = 64

// add remembers a hash. What is more than the limits lets the oldest go.
func (g *ghosts) add(hash uint64, size int64, maxCount int, maxBytes int64) {
	maxCount = max(maxCount, minGhosts)
	if n := g.index.find(&g.slab, hash); n != none {
		g.drop(n)
	}
	n := g.slab.take(hash, size)
	g.slab.push(&g.queue, n)
	g.index.insert(&g.slab, n)
	for g.queue.count > maxCount || g.queue.bytes > maxBytes {
		g.drop(g.queue.front)
	}
}

// take forgets a hash and reports whether it was known.
func (g *ghosts) take(hash uint64) bool {
	n := g.index.find(&g.slab, hash)
	if n == none {
		return false
	}
	g.drop(n)
	return true
}

func (g *ghosts) drop(n uint32) {
	g.index.remove(&g.slab, n)
	g.slab.remove(&g.queue, n)
	g.slab.give(n)
}
