package policy

// NewFIFO returns a shadow of budget octets from which whoever came first goes first.
func NewFIFO(budget int64) *Shadow { return newShadow(budget, &lru{queue: queue{id: 1}, still: true}) }

// NewLRU returns a shadow of budget octets from which whoever was asked for least recently goes first.
func NewLRU(budget int64) *Shadow { return newShadow(budget, &lru{queue: queue{id: 1}}) }

// lru is a single queue.
type lru struct {
	queue queue
	still bool // a hit moves nothing: FIFO
}

func (o *lru) add(s *Shadow, n uint32) { s.slab.push(&o.queue, n) }

func (o *lru) hit(s *Shadow, n uint32) {
	if !o.still {
		s.slab.renew(&o.queue, n)
	}
}

func (o *lru) resize(s *Shadow, n uint32, size int64) { s.slab.resize(&o.queue, n, size) }

func (o *lru) remove(s *Shadow, n uint32) { s.slab.remove(&o.queue, n) }

func (o *lru) victim(s *Shadow) uint32 {
	n := o.queue.front
	s.slab.remove(&o.queue, n)
	return n
}

// NewSIEVE returns a shadow of budget octets under SIEVE (Zhang et al., NSDI 2024): a hand goes from the oldest entry to the youngest and
// round again, takes the first that was not asked for since it last came by, and moves nobody.
func NewSIEVE(budget int64) *Shadow { return newShadow(budget, &sieve{queue: queue{id: 1}}) }

type sieve struct {
	queue queue
	hand  uint32 // none: at the oldest
}

func (o *sieve) add(s *Shadow, n uint32) { s.slab.push(&o.queue, n) }

func (o *sieve) hit(s *Shadow, n uint32) { s.slab.at(n).uses = 1 }

func (o *sieve) resize(s *Shadow, n uint32, size int64) { s.slab.resize(&o.queue, n, size) }

func (o *sieve) remove(s *Shadow, n uint32) {
	if o.hand == n {
		o.hand = s.slab.at(n).next
	}
	s.slab.remove(&o.queue, n)
}

func (o *sieve) victim(s *Shadow) uint32 {
	n := o.hand
	if n == none {
		n = o.queue.front
	}
	for s.slab.at(n).uses > 0 {
		s.slab.at(n).uses = 0
		if n = s.slab.at(n).next; n == none {
			n = o.queue.front
		}
	}
	o.hand = n
	o.remove(s, n)
	return n
}

// NewThreshold returns a shadow of budget octets by LRU that keeps no entry larger than limit octets.
func NewThreshold(budget, limit int64) *Shadow {
	s := NewLRU(budget)
	s.limit = limit
	return s
}

// NewCLOCK returns a shadow of budget octets that is a FIFO in which whoever was asked for since it last came up goes round once more: as
// the log on a disk is, with reinsertion.
func NewCLOCK(budget int64) *Shadow { return newShadow(budget, newS3FIFO(setting{rounds: 1, uses: 1})) }
