package seat

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// line is a connection that knows whether it was closed.
type line struct {
	mu     sync.Mutex // guards the following
	closed bool
	hard   bool
}

func (l *line) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	return nil
}

func (l *line) SetLinger(int) error { l.hard = true; return nil }

// hall is a room whose time is told.
type hall struct {
	*Room

	t       *testing.T
	now     time.Time
	lost    []string // reasons
	refused []string // limits
}

func newHall(t *testing.T, l Limits) *hall {
	t.Helper()
	h := &hall{t: t, now: time.Unix(1e9, 0)}
	l.Lost = func(reason string) { h.lost = append(h.lost, reason) }
	l.Refused = func(limit string) { h.refused = append(h.refused, limit) }
	h.Room = New(l, h.now)
	return h
}

func (h *hall) pass(d time.Duration) { h.now = h.now.Add(d) }

func (h *hall) enter(client string) *Seat {
	return h.Enter(netip.MustParseAddr(client), &line{}, h.now)
}

// many enter, from addresses that begin so, a few from each.
func (h *hall) many(network string, n, each int) (seats []*Seat) {
	h.t.Helper()
	for i := range n {
		s := h.enter(fmt.Sprintf("%s.%d", network, 1+i/each))
		if s == nil {
			h.t.Fatalf("number %d of %s gets no seat", i, network)
		}
		seats = append(seats, s)
	}
	return seats
}

func (h *hall) ask(seats ...*Seat) {
	for _, s := range seats {
		s.Begin(h.now)
		s.End(h.now)
	}
}

// gone reports whether a seat was lost, and ends its connection as whoever serves it would.
func gone(s *Seat) bool {
	l := s.conn.(*line)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		s.Leave()
	}
	return l.closed
}

func lostOf(seats []*Seat) (n int) {
	for _, s := range seats {
		if gone(s) {
			n++
		}
	}
	return n
}

// How many there may be, of all and of a client, which is an IPv6 /64.
func TestLimits(t *testing.T) {
	for _, row := range []struct {
		name    string
		clients []string
		total   int
		refused string
	}{
		{"within", []string{"192.0.2.1", "192.0.2.1", "192.0.2.2"}, 64, ""},
		{"client", []string{"192.0.2.1", "192.0.2.1", "192.0.2.1"}, 64, OfClient},
		{"network", []string{"2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", "2001:db8::3"}, 64, OfClient},
		{"mapped", []string{"192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1"}, 64, OfClient},
		{"total", []string{"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5"}, 4, OfAll},
		{"none", []string{"192.0.2.1"}, 0, OfAll},
	} {
		h := newHall(t, Limits{Total: row.total, PerClient: 2})
		var seats []*Seat
		for i, client := range row.clients {
			s := h.enter(client)
			if s != nil {
				seats = append(seats, s)
			}
			if last := i == len(row.clients)-1; (s == nil) != (last && row.refused != "") {
				t.Errorf("%s: client %d: seat %v", row.name, i, s != nil)
			}
		}
		if row.refused != "" && !slices.Equal(h.refused, []string{row.refused}) || h.Open() != len(seats) || len(h.lost) > 0 {
			t.Errorf("%s: refused %v, lost %v, %d open, want %d", row.name, h.refused, h.lost, h.Open(), len(seats))
		}
		for _, s := range seats {
			s.Leave()
			s.Leave()
		}
		if h.Open() != 0 || len(h.clients)+len(h.networks)+len(h.all.below[quiet])+len(h.all.below[asking])+h.quiet != 0 {
			t.Errorf("%s: something is left when all are gone", row.name)
		}
		if row.total > 0 && h.enter(row.clients[0]) == nil {
			t.Errorf("%s: nobody gets in after all have left", row.name)
		}
	}
}

// Who makes room.
func TestWhoGoes(t *testing.T) {
	const total = 64
	for _, row := range []struct {
		name  string
		setup func(h *hall) (goes, stay []*Seat)
		from  string
		lost  string // reason; "" if the newcomer is refused
	}{
		{"who has never asked before who has not for long", func(h *hall) (goes, stay []*Seat) {
			stay = h.many("10.0.0", total/2, 1)
			h.ask(stay...)
			h.pass(time.Minute)
			goes = h.many("10.0.1", total/2, 1)
			h.pass(3 * time.Second)
			return goes, stay
		}, "192.0.2.1", Silent},
		{"who has asked nothing for the longest", func(h *hall) (goes, stay []*Seat) {
			all := h.many("10.0.0", total, 1)
			for i, s := range all {
				if i != 7 {
					h.ask(s)
				}
			}
			all[7].Begin(h.now.Add(-time.Millisecond))
			all[7].End(h.now.Add(-time.Millisecond))
			h.pass(5 * time.Second)
			return all[7:8], slices.Concat(all[:7], all[8:])
		}, "192.0.2.1", Idle},
		{"as of now, not as it was filed", func(h *hall) (goes, stay []*Seat) {
			all := h.many("10.0.0", total, 1)
			h.ask(all...)
			h.pass(5 * time.Second)
			h.ask(all[:20]...)
			h.ask(all[21:]...)
			h.pass(time.Second)
			return all[20:21], slices.Concat(all[:20], all[21:])
		}, "192.0.2.1", Idle},
		{"of whose network has many", func(h *hall) (goes, stay []*Seat) {
			stay = h.many("10.0.1", 4, 1)
			h.ask(stay...)
			h.pass(time.Second)
			goes = h.many("10.0.0", total-4, 1)
			h.ask(goes...)
			h.pass(time.Second)
			return goes, stay
		}, "192.0.2.1", Idle},
		{"of who has many in its network", func(h *hall) (goes, stay []*Seat) {
			stay = h.many("10.0.0", total/2, 1)
			h.ask(stay...)
			for range total / 2 {
				goes = append(goes, h.enter("10.0.0.250"))
			}
			h.ask(goes...)
			h.pass(time.Second)
			return goes, stay
		}, "192.0.2.1", Idle},
		{"of who has many, though it asks all the time", func(h *hall) (goes, stay []*Seat) {
			goes = h.many("10.0.0", total, 4)
			h.ask(goes...)
			return goes, nil
		}, "192.0.2.1", Idle},
		{"of who has many, though others are silent that have come just now", func(h *hall) (goes, stay []*Seat) {
			goes = h.many("10.0.0", total-4, 4)
			h.ask(goes...)
			h.pass(3 * time.Second)
			return goes, h.many("10.0.1", 4, 1)
		}, "192.0.2.1", Idle},
		{"its own, if the newcomer has many itself", func(h *hall) (goes, stay []*Seat) {
			goes = h.many("10.0.0", total-1, 4)
			h.ask(goes...)
			h.pass(2 * time.Second)
			return goes, []*Seat{h.enter("192.0.2.1")}
		}, "10.0.0.250", Idle},
		{"nobody, for one who has many himself", func(h *hall) (goes, stay []*Seat) {
			stay = h.many("10.0.0", total-1, 4)
			h.ask(stay...)
			stay = append(stay, h.enter("192.0.2.1"))
			h.pass(time.Second / 2)
			return nil, stay
		}, "10.0.0.1", ""},
		{"nobody, if all have asked just now and none has many", func(h *hall) (goes, stay []*Seat) {
			for i := range total {
				stay = append(stay, h.enter(fmt.Sprintf("10.0.%d.1", i)))
			}
			h.ask(stay...)
			h.pass(time.Second / 2)
			return nil, stay
		}, "192.0.2.1", ""},
		{"nobody who is being answered", func(h *hall) (goes, stay []*Seat) {
			stay = h.many("10.0.0", total, 4)
			for _, s := range stay {
				s.Begin(h.now)
			}
			for range 600 {
				h.pass(time.Second / 10)
				for _, s := range stay {
					s.Move(h.now, Worth)
				}
			}
			return nil, stay
		}, "192.0.2.1", ""},
		{"nobody whose connection is somebody else's", func(h *hall) (goes, stay []*Seat) {
			stay = h.many("10.0.0", total, 4)
			for _, s := range stay {
				s.Begin(h.now)
				s.Hold()
			}
			h.pass(time.Hour)
			return nil, stay
		}, "192.0.2.1", ""},
		{"nobody who waits for an answer that has not begun", func(h *hall) (goes, stay []*Seat) {
			all := h.many("10.0.0", total, 4)
			for _, s := range all {
				s.Begin(h.now)
			}
			h.pass(time.Second)
			for _, s := range all[1:] {
				s.Move(h.now, Worth)
			}
			return nil, all
		}, "192.0.2.1", ""},
		{"who waits for an answer that does not begin for long", func(h *hall) (goes, stay []*Seat) {
			all := h.many("10.0.0", total, 4)
			for _, s := range all {
				s.Begin(h.now)
			}
			h.pass(ownTurn * time.Second)
			for i, s := range all {
				if i != 9 {
					s.Move(h.now, Worth)
				}
			}
			return all[9:10], slices.Concat(all[:9], all[10:])
		}, "192.0.2.1", Stuck},
		{"who takes nothing of an answer that has begun", func(h *hall) (goes, stay []*Seat) {
			all := h.many("10.0.0", total, 4)
			for _, s := range all {
				s.Begin(h.now)
				s.Move(h.now, 0)
			}
			h.pass(time.Second)
			for i, s := range all {
				if i != 9 {
					s.Move(h.now, Worth)
				}
			}
			return all[9:10], slices.Concat(all[:9], all[10:])
		}, "192.0.2.1", Stuck},
	} {
		t.Run(row.name, func(t *testing.T) {
			h := newHall(t, Limits{Total: total, PerClient: total, Stuck: 5 * time.Second})
			goes, stay := row.setup(h)
			var s *Seat
			for range 3 { // as many as are on their way may be looked at for one
				if s = h.enter(row.from); s != nil {
					break
				}
			}
			if n := lostOf(goes); (s != nil) != (row.lost != "") || s != nil && n != 1 || lostOf(stay) != 0 {
				t.Errorf("a seat: %v; %d of those that may go have gone, %d of the others", s != nil, n, lostOf(stay))
			}
			if row.lost != "" && !slices.Equal(h.lost, []string{row.lost}) || h.Open() != total {
				t.Errorf("lost for %v, want %s; %d open", h.lost, row.lost, h.Open())
			}
			for _, s := range goes {
				if l := s.conn.(*line); l.closed && l.hard != (row.lost == Stuck) {
					t.Errorf("closed without mercy: %v", l.hard)
				}
			}
		})
	}
}

// What was filed as in use is found when that is over.
func TestFoundAgain(t *testing.T) {
	h := newHall(t, Limits{Total: 8, PerClient: 8})
	all := h.many("10.0.0", 8, 1)
	for _, s := range all {
		s.Begin(h.now)
	}
	if h.enter("192.0.2.1") != nil {
		t.Fatal("somebody who is being answered goes")
	}
	all[3].End(h.now)
	h.pass(2 * time.Second)
	if h.enter("192.0.2.1") == nil || !gone(all[3]) {
		t.Error("the one that has been answered does not go")
	}
}

// An attacker who comes again and again, from few networks, gets no seat of others', be they silent so far, idle or in use.
func TestSiege(t *testing.T) {
	h := newHall(t, Limits{Total: 512, PerClient: 64})
	rng := rand.New(rand.NewPCG(1, 2))
	var attackers []*Seat
	var good []*Seat
	for round := range 400 {
		if round == 100 { // all seats are the attacker's
			for i := range 40 {
				s := h.enter(fmt.Sprintf("192.0.%d.1", i))
				if s == nil {
					t.Fatalf("good client %d gets no seat", i)
				}
				if good = append(good, s); i%2 == 0 {
					h.ask(s)
				}
			}
		}
		for range 50 {
			if s := h.enter(fmt.Sprintf("10.0.%d.%d", rng.IntN(3), rng.IntN(70))); s != nil {
				attackers = append(attackers, s)
			}
		}
		attackers = slices.DeleteFunc(attackers, gone)
		for _, s := range attackers {
			if rng.IntN(3) == 0 {
				h.ask(s)
			}
		}
		h.pass(20 * time.Millisecond)
	}
	if n := lostOf(good); n > 0 {
		t.Errorf("%d of %d good clients have lost their seats", n, len(good))
	}
	if h.Open() != 512 {
		t.Errorf("%d open", h.Open())
	}
}

// Who has lost a seat holds memory until the connection is over. That is bounded.
func TestOnTheirWay(t *testing.T) {
	h := newHall(t, Limits{Total: 64, PerClient: 64})
	all := h.many("10.0.0", 64, 1)
	h.pass(time.Minute)
	entered := 0
	for i := range 128 {
		if s := h.enter(fmt.Sprintf("192.0.%d.1", i)); s != nil {
			all = append(all, s)
			entered++
		}
		h.pass(10 * time.Second)
	}
	if entered != 64 {
		t.Errorf("%d have entered while nobody's connection was over", entered)
	}
	if lostOf(all) != entered || h.enter("192.0.200.1") == nil { // lostOf has them end
		t.Error("nobody enters when they are over")
	}
}

// Those that are idle are waited for as long as there is room.
func TestPatience(t *testing.T) {
	h := newHall(t, Limits{Total: 64, PerClient: 64})
	for open, want := range map[int]time.Duration{1: 10 * time.Second, 48: 10 * time.Second, 49: 4 * time.Second, 60: 4 * time.Second, 61: 2 * time.Second, 64: 2 * time.Second} {
		var s *Seat
		seats := []*Seat{}
		for range open {
			s = h.enter("192.0.2.1")
			seats = append(seats, s)
		}
		if got := s.Patience(10 * time.Second); got != want {
			t.Errorf("%d of 64: %v, want %v", open, got, want)
		}
		for _, s := range seats {
			s.Leave()
		}
	}
	if got := (*Seat)(nil).Patience(time.Second); got != time.Second {
		t.Errorf("without a seat: %v", got)
	}
}

// The order of the queues is what it would be if everything was sorted, whatever happens.
func TestOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	h := newHall(t, Limits{Total: 300, PerClient: 20})
	var seats []*Seat
	for range 20_000 {
		h.pass(time.Duration(rng.IntN(100)) * time.Millisecond)
		switch n := rng.IntN(10); {
		case n < 4:
			if s := h.enter(fmt.Sprintf("10.%d.%d.%d", rng.IntN(2), rng.IntN(6), rng.IntN(12))); s != nil {
				seats = append(seats, s)
			}
		case len(seats) == 0:
		case n < 6:
			i := rng.IntN(len(seats))
			seats[i].Leave()
			seats = slices.Delete(seats, i, i+1)
		default:
			h.ask(seats[rng.IntN(len(seats))])
		}
		seats = slices.DeleteFunc(seats, gone)
		h.check(seats)
	}
}

func (h *hall) check(seats []*Seat) {
	t := h.t
	t.Helper()
	var least [kinds]int64
	var n [kinds]int
	for _, s := range seats {
		key := s.leaf.rank[s.kind] - s.burden()
		if n[s.kind]++; n[s.kind] == 1 || key < least[s.kind] {
			least[s.kind] = key
		}
	}
	if h.Open() != len(seats) || h.all.seats != len(seats) || h.quiet != n[quiet] {
		t.Fatalf("%d seats, %d open, %d of %d quiet", len(seats), h.Open(), h.quiet, n[quiet])
	}
	for k := range kinds {
		first := h.all.first(k)
		if (first == nil) != (n[k] == 0) {
			t.Fatalf("of kind %d there are %d, the first is %v", k, n[k], first)
		}
		if first != nil && first.rank[k]-first.seat.burden() != least[k] {
			t.Fatalf("kind %d: the first has %d, the least is %d", k, first.rank[k]-first.seat.burden(), least[k])
		}
	}
}

// All at once.
func TestTogether(t *testing.T) {
	r := New(Limits{Total: 64, PerClient: 32, Stuck: time.Microsecond}, time.Now())
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			var kept []*Seat
			for j := range 2000 {
				s := r.Enter(netip.AddrFrom4([4]byte{10, 0, byte(i), byte(j)}), &line{}, time.Now().Add(time.Duration(j)*time.Second))
				if s == nil {
					continue
				}
				s.Begin(time.Now())
				s.Move(time.Now(), Worth)
				s.End(time.Now())
				if kept = append(kept, s); len(kept) > 20 {
					kept[0].Leave()
					kept = kept[1:]
				}
			}
			for _, s := range kept {
				s.Leave()
			}
		})
	}
	wg.Wait()
	if r.Open() != 0 || r.leaving != 0 || r.quiet != 0 || len(r.clients)+len(r.networks) != 0 {
		t.Errorf("%d open, %d leaving, %d quiet, %d clients", r.Open(), r.leaving, r.quiet, len(r.clients))
	}
}
