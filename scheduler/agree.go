package scheduler

import (
	"slices"
	"time"

	"nearcast/cdn"
)

// maxRecent is how many maps, and route tables, a scheduler remembers: schedulers that differ by less have something to compare, and something to go on with.
const maxRecent = 64

// recent is what schedulers need to agree. It is guarded by steering.
type recent struct {
	maps   []cdn.MapVersion  // the newest last
	tables []*cdn.RouteTable // as they came, the newest last
	state  cdn.MapVersion    // that was adopted last
}

// noteMap remembers a map that is answered from.
func (r *recent) noteMap(v cdn.MapVersion) {
	if v.Digest == "" {
		return
	}
	if n := len(r.maps); n > 0 && r.maps[n-1].Epoch == v.Epoch && r.maps[n-1].Version == v.Version {
		r.maps[n-1] = v
		return
	}
	r.maps = last(append(r.maps, v))
}

// noteTable remembers a table, and reports whether it is to be obeyed: the state that was adopted may have come of it or of a later one.
func (r *recent) noteTable(t *cdn.RouteTable) bool {
	if n := len(r.tables); n == 0 || r.tables[n-1].Epoch != t.Epoch || r.tables[n-1].Version != t.Version {
		r.tables = last(append(r.tables, t))
	}
	return t.Epoch != r.state.Epoch || t.Version >= r.state.Version
}

// after returns the tables that followed the one of a map.
func (r *recent) after(v cdn.MapVersion) []*cdn.RouteTable {
	i := slices.IndexFunc(r.tables, func(t *cdn.RouteTable) bool { return t.Epoch == v.Epoch && t.Version == v.Version })
	if i < 0 {
		return nil
	}
	return r.tables[i+1:]
}

func last[T any](all []T) []T { return all[max(0, len(all)-maxRecent):] }

// Versions are the newest maps, the newest last; those before the state that was adopted last are forgotten. It is safe for concurrent use, and waits
// for nothing: who asks does not wait for long. The result must not be changed.
func (s *Server) Versions() []cdn.MapVersion {
	if maps := s.maps.Load(); maps != nil {
		return *maps
	}
	return nil
}

// State is all that this scheduler's map depends on, for another's [Server.Adopt].
func (s *Server) State() ([]byte, error) {
	s.steering.Lock()
	defer s.steering.Unlock()
	state, _, err := s.mapper.State()
	return state, err
}

// Adopt makes the map go on where that of another scheduler was when it gave its state, with the route tables that have come since. A state that
// cannot be one is refused, and nothing changes.
func (s *Server) Adopt(state []byte) error {
	s.steering.Lock()
	defer s.steering.Unlock()
	now := time.Now()
	if err := s.mapper.Adopt(now, state); err != nil {
		return err
	}
	s.recent.maps = nil
	s.publish(now)
	s.recent.state = s.Version()
	for _, t := range s.recent.after(s.recent.state) {
		s.mapper.Table(now, t)
		s.publish(now)
	}
	return nil
}
