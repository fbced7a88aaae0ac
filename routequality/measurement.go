package routequality

import (
	"slices"
	"sync"
	"time"

	"nearcast/cdn"
	"nearcast/internal/geo"
	"nearcast/internal/locate"
	"nearcast/routequality/paths"
	"nearcast/routequality/report"
)

// measurement is what is heard of visitors and links. Its methods may be called from any goroutine.
type measurement struct {
	mu   sync.Mutex // guards the following
	book *paths.Book

	applying sync.Mutex // guards the following
	clients  []cdn.ClientPrefix
	database *geo.Database
	index    *locate.Index // of both; nil before the first
}

func newMeasurement(cfg paths.Config) *measurement { return &measurement{book: paths.New(cfg)} }

// apply makes it one of a configuration and a database. After an error the ones before stay.
func (m *measurement) apply(snapshot *cdn.Snapshot, database *geo.Database) error {
	m.applying.Lock()
	defer m.applying.Unlock()
	var fresh *locate.Index
	if m.index == nil || database != m.database || !slices.Equal(snapshot.Fleet.Clients, m.clients) {
		index, err := locate.New(snapshot.Fleet.Clients, database) // seconds, for a large database
		if err != nil {
			return &cdn.Error{Op: "routequality.Apply", Kind: cdn.Invalid, Err: err}
		}
		m.index, m.database, m.clients, fresh = index, database, snapshot.Fleet.Clients, index
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.book.SetFleet(snapshot)
	if fresh != nil {
		m.book.SetPlaces(fresh)
	}
	return nil
}

// take takes a report, whose times are by our clock.
func (m *measurement) take(now time.Time, r *report.POP) {
	probes := make([]paths.Probe, len(r.Probes))
	for i, p := range r.Probes {
		probes[i] = paths.Probe{To: p.To, RTT: p.RTT, At: p.At}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.book.Heard(now, r.POP)
	m.book.Probed(now, r.POP, probes)
	for i := range r.Nodes {
		if v := r.Nodes[i].Visitors; v != nil {
			m.book.Visitors(now, r.POP, v.At, v)
		}
	}
}

// slot ends a slot.
func (m *measurement) slot(now time.Time, down func(cdn.POPName) bool) (paths.Change, map[cdn.POPName]float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.book.Slot(now, down), m.book.Behind(now)
}

func (m *measurement) stats() paths.Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.book.Stats()
}
