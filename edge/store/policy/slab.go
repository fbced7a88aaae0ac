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

// index finds a slab's nodes by their hashes: open addressing, at most three quarters full. A place has the node's number and, above it, 32
// bits of its mixed hash, so that most others are passed by without a look at their nodes.
type index struct {
	places []uint64
	count  int
}

func newIndex() index { return index{places: make([]uint64, 64)} }

// mix is the finaliser of splitmix64. Callers' hashes may be plain numbers.
func mix(h uint64) uint64 {
	h ^= h >> 30
	h *= 0xbf58476d1ce4e5b9
	h ^= h >> 27
	h *= 0x94d049bb133111eb
	return h ^ h>>31
}

const placeNode = 1<<32 - 1 // the part of a place that is the node

// home is where an entry would best be, by its place's upper half.
func (x *index) home(place uint64) int { return int(place>>32) & (len(x.places) - 1) }

func (x *index) find(s *slab, hash uint64) uint32 {
	tag := mix(hash) &^ placeNode
	for i := x.home(tag); ; i = (i + 1) & (len(x.places) - 1) {
		p := x.places[i]
		if p == none {
			return none
		}
		if n := uint32(p & placeNode); p&^placeNode == tag && s.at(n).hash == hash {
			return n
		}
	}
}

// insert adds a node whose hash is not there yet.
func (x *index) insert(s *slab, n uint32) {
	if (x.count+1)*4 > len(x.places)*3 {
		old := x.places
		x.places = make([]uint64, 2*len(old))
		for _, p := range old {
			if p != none {
				x.put(p)
			}
		}
	}
	x.put(mix(s.at(n).hash)&^placeNode | uint64(n))
	x.count++
}

func (x *index) put(place uint64) {
	i := x.home(place)
	for x.places[i] != none {
		i = (i + 1) & (len(x.places) - 1)
	}
	x.places[i] = place
}

// remove takes out a node, which must be there, and moves those after it that would not be found any more.
func (x *index) remove(s *slab, n uint32) {
	mask := len(x.places) - 1
	place := mix(s.at(n).hash)&^placeNode | uint64(n)
	i := x.home(place)
	for x.places[i] != place {
		i = (i + 1) & mask
	}
	for j := (i + 1) & mask; x.places[j] != none; j = (j + 1) & mask {
		if (j-x.home(x.places[j]))&mask >= (j-i)&mask {
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
