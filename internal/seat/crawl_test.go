package seat

import (
	"fmt"
	"testing"
	"time"
)

// Who has an octet go now and then, or asks another question meanwhile, is being answered for as long as it likes. If it has many seats that keeps nobody out.
func TestCrawl(t *testing.T) {
	const total = 64
	for name, crawl := range map[string]func(s *Seat, now time.Time){
		"octets":    func(s *Seat, now time.Time) { s.Move(now, 1) },
		"questions": func(s *Seat, now time.Time) { s.Begin(now); s.End(now) },
	} {
		for _, row := range []struct {
			network func(i int) string
			goes    bool
		}{
			{func(i int) string { return fmt.Sprintf("10.0.0.%d", i) }, true},
			{func(i int) string { return fmt.Sprintf("2001:db8:0:%x::1", i) }, true}, // a /48
			{func(i int) string { return fmt.Sprintf("10.0.%d.1", i) }, false},
			{func(i int) string { return fmt.Sprintf("2001:db8:%x::1", i) }, false},
		} {
			h := newHall(t, Limits{Total: total, PerClient: total, Stuck: 10 * time.Second})
			var all []*Seat
			for i := range total {
				s := h.enter(row.network(i))
				s.Begin(h.now)
				all = append(all, s)
			}
			for range 300 {
				h.pass(time.Second / 5)
				for _, s := range all {
					crawl(s, h.now)
				}
			}
			got := false
			for range 3 { // as many as are on their way may be looked at for one
				got = got || h.enter("192.0.2.1") != nil
			}
			if got != row.goes || lostOf(all) != len(h.lost) {
				t.Errorf("%s, from %s: a newcomer gets a seat: %v, want %v", name, row.network(1), got, row.goes)
			}
		}
	}
}

// What moves as it should is kept, whoever has it.
func TestCrawlNot(t *testing.T) {
	h := newHall(t, Limits{Total: 64, PerClient: 64, Stuck: 10 * time.Second})
	all := h.many("10.0.0", 64, 1)
	for _, s := range all {
		s.Begin(h.now)
	}
	for range 300 {
		h.pass(time.Second / 5)
		for _, s := range all {
			s.Move(h.now, Worth/2) // 40 KiB a second
		}
	}
	for range 3 {
		if h.enter("192.0.2.1") != nil {
			t.Error("somebody goes whose answer moves")
		}
	}
}
