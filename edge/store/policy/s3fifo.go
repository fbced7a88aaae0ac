package policy

// NewS3FIFO returns a shadow of budget octets under plain S3-FIFO (Yang et al., SOSP 2023): a tenth of the budget for newcomers, which go to
// the main queue if they were asked for at least uses more times (1 or 2) before they reach the end of theirs.
func NewS3FIFO(budget int64, uses int) *Shadow {
	return newTrial(budget, setting{share: 100, rounds: maxUses, uses: uint8(uses), plain: true})
}

// newTrial returns a shadow under S3-FIFO with a setting.
func newTrial(budget int64, set setting) *Shadow {
	set.spare = !set.plain
	return newShadow(budget, &s3fifo{small: queue{id: 1}, main: queue{id: 2}, ghosts: newGhosts(), setting: set})
}

// setting is what [Live] adapts of S3-FIFO.
type setting struct {
	share  int64 // of the budget that is the small queue's, per mille; 0: there is no small queue, newcomers go to the main one (CLOCK)
	rounds uint8 // an entry goes round in the main queue at most so often without being asked for again
	spare  bool
	plain  bool
	uses   uint8 // that bring an entry from the small into the main queue
}

type s3fifo struct {
	small, main queue
	ghosts      ghosts
	setting     setting
	large       uint32 // a newcomer larger than the whole small queue may be
}

func (o *s3fifo) add(s *Shadow, n uint32) {
	o.large = none
	if o.ghosts.take(s.slab.nodes[n].hash) || o.setting.share == 0 {
		s.slab.push(&o.main, n)
	} else {
		s.slab.push(&o.small, n)
		if s.slab.nodes[n].size > s.budget*o.setting.share/1000*Knobs.Large/100 && o.setting.spare {
			o.large = n
		}
	}
}

func (o *s3fifo) hit(s *Shadow, n uint32) {
	o.large = none
	if e := &s.slab.nodes[n]; e.uses < maxUses {
		e.uses++
	}
}

func (o *s3fifo) queue(s *Shadow, n uint32) *queue {
	if s.slab.nodes[n].queue == o.small.id {
		return &o.small
	}
	return &o.main
}

func (o *s3fifo) resize(s *Shadow, n uint32, size int64) { s.slab.resize(o.queue(s, n), n, size) }

func (o *s3fifo) remove(s *Shadow, n uint32) { s.slab.remove(o.queue(s, n), n) }

func (o *s3fifo) victim(s *Shadow) uint32 {
	if n := o.large; n != none {
		o.large = none
		s.slab.remove(&o.small, n)
		e := s.slab.nodes[n]
		o.ghosts.add(e.hash, e.size, max(64, s.slab.count), s.budget)
		return n
	}
	for {
		if o.main.count == 0 || o.small.count > 0 && o.small.bytes > s.budget*o.setting.share/1000 {
			n := o.small.front
			s.slab.remove(&o.small, n)
			if e := &s.slab.nodes[n]; e.uses < o.setting.uses {
				o.ghosts.add(e.hash, e.size, max(64, s.slab.count), s.budget)
				return n
			}
			s.slab.nodes[n].uses = 0
			s.slab.push(&o.main, n)
			continue
		}
		n := o.main.front
		s.slab.remove(&o.main, n)
		if s.slab.nodes[n].uses == 0 {
			return n
		}
		s.slab.nodes[n].uses = min(s.slab.nodes[n].uses, o.setting.rounds) - 1
		s.slab.push(&o.main, n)
	}
}
