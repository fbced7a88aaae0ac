package seat

import "net/netip"

// candidate is a seat that may go.
type candidate struct {
	seat   *Seat
	reason string
	weight int64 // what counts against it: for how long it is idle, and burdens
}

// least is the seat that matters less than a newcomer and all others, or nil if there is none.
func (r *Room) least(client netip.Addr, now int64) (*Seat, string) {
	if r.leaving >= r.limits.Total { // who has lost a seat holds memory until it is gone
		return nil, ""
	}
	enough := r.burdenOf(client) + int64(margin)
	best, most := candidate{}, int64(0)
	if c, ok := r.leastQuiet(now); ok && c.weight >= enough {
		best, most = c, c.weight
		if idle := now - c.seat.leaf.rank[quiet]; idle >= int64(grace) || r.quiet > r.limits.Total/quietPart {
			most += int64(silence)
		}
	}
	if c, ok := r.leastMoving(now); ok && c.weight >= enough && c.weight > most {
		best, most = c, c.weight
	}
	if c, ok := r.leastIdle(now); ok && c.weight >= enough && c.weight > most {
		best = c
	}
	return best.seat, best.reason
}

// burdenOf is what would count against a client that had one more seat.
func (r *Room) burdenOf(client netip.Addr) int64 {
	own, all := 1, 1
	if n := r.clients[client]; n != nil {
		own += n.seats
	}
	if n := r.networks[networkOf(client)]; n != nil {
		all += n.seats
	}
	return burden(own) + burden(all)
}

// burden is what counts against a seat beside its idle time.
func (s *Seat) burden() int64 {
	return burden(s.leaf.parent.seats) + burden(s.leaf.parent.parent.seats)
}

// leastPatience is which part of Stuck whoever has most seats is given.
const leastPatience = 10

// ownTurn is how many times as long an answer may take while the client has nothing to do: it is us, or who we ask, that
// are slow.
const ownTurn = 5

// stuck is for how long nothing of an answer moves until it counts for nothing: less for who has many seats.
func (s *Seat) stuck() int64 {
	patience := int64(s.room.limits.Stuck)
	if !s.waits.Load() {
		patience *= ownTurn
	}
	return patience / min(1+s.burden()/int64(perDoubling), leastPatience)
}

// leastQuiet is the candidate of those that have never asked.
func (r *Room) leastQuiet(now int64) (candidate, bool) {
	leaf := r.all.first(quiet)
	if leaf == nil {
		return candidate{}, false
	}
	return candidate{leaf.seat, Silent, now - leaf.rank[quiet] + leaf.seat.burden()}, true
}

// leastIdle is the candidate of those that have asked. Those that come first by what was known of them are looked at until one is as it was known, and who is being
// answered is filed among those. It may be the best of many only, if all have been in use since they were looked at last.
func (r *Room) leastIdle(now int64) (best candidate, ok bool) {
	for range looks {
		leaf := r.all.first(asking)
		if leaf == nil {
			break
		}
		s, known := leaf.seat, leaf.rank[asking]
		if s.under.Load() > 0 && r.park(s) {
			continue
		}
		moved := s.moved.Load()
		if c := (candidate{s, Idle, now - moved + s.burden()}); !ok || c.weight > best.weight {
			best, ok = c, true
		}
		if moved <= known {
			break
		}
		r.file(s, asking)
	}
	return best, ok
}

// leastMoving is the candidate of those that are being answered: one of whose answer nothing, or little, has moved for long. Of those that are looked at because what was
// known of them is old, it may be the best only.
func (r *Room) leastMoving(now int64) (best candidate, ok bool) {
	for range looks {
		leaf := r.all.first(answered)
		if leaf == nil {
			break
		}
		s, known := leaf.seat, leaf.rank[answered]
		if s.under.Load() == 0 || !r.park(s) {
			r.file(s, asking)
			continue
		}
		idle, stuck := now-leaf.rank[answered], s.stuck()
		if c := (candidate{s, Stuck, idle - stuck + s.burden()}); idle >= stuck && (!ok || c.weight > best.weight) {
			best, ok = c, true
		}
		if leaf.rank[answered] <= known {
			break
		}
	}
	return best, ok
}

// park files a seat among those that are being answered, until it is not. It reports false for one that is not any more.
func (r *Room) park(s *Seat) bool {
	s.parked.Store(true)
	if s.under.Load() == 0 && s.parked.CompareAndSwap(true, false) { // it has ended, and not seen that
		return false
	}
	r.file(s, answered)
	return true
}
