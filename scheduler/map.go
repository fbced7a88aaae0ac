package scheduler

import (
	"net/netip"
	"time"

	"nearcast/cdn"
	"nearcast/scheduler/decide"
)

// errNoConfiguration is what is said before the first [Server.Apply].
func errNoConfiguration(op string) error {
	return cdn.Errorf(cdn.Unavailable, op, "this scheduler has no configuration yet")
}

// Explain tells why a client that asks for a name is sent where it is. The name is a site's domain; it may also be the name under the CDN's zone
// that it leads to. No client is one of whom nothing is known. It is safe for concurrent use and waits for nothing.
func (s *Server) Explain(name cdn.Domain, client netip.Addr) (cdn.RouteExplanation, error) {
	const op = "scheduler.Explain"
	v := s.current.Load()
	if v == nil {
		return cdn.RouteExplanation{}, errNoConfiguration(op)
	}
	if !v.Serves(name) {
		part, ok := name.Within(v.Zone)
		if !ok || !v.Serves(part) {
			return cdn.RouteExplanation{}, cdn.Errorf(cdn.NotFound, op, "no site has the domain %s", name)
		}
		name = part
	}
	x := decide.Explain(v, decide.Query{Domain: name, Client: client.Unmap(), Now: time.Now(), Shared: true})
	x.Scheduler = s.node
	return x, nil
}

// Status tells what is answered from. It is safe for concurrent use and waits for nothing.
func (s *Server) Status() (cdn.MapStatus, error) {
	v := s.current.Load()
	if v == nil {
		return cdn.MapStatus{}, errNoConfiguration("scheduler.Status")
	}
	status := decide.Status(v, time.Now())
	status.Scheduler = s.node
	return status, nil
}

// Relief is where the map would send the visitors of a POP that has too much, by group. It is safe for concurrent use and waits for nothing.
func (s *Server) Relief(pop cdn.POPName) (decide.Relief, error) {
	const op = "scheduler.Relief"
	v := s.current.Load()
	if v == nil {
		return decide.Relief{}, errNoConfiguration(op)
	}
	if v.POP(pop) < 0 {
		return decide.Relief{}, cdn.Errorf(cdn.NotFound, op, "the fleet has no edge POP %q with nodes", pop)
	}
	return decide.ReliefOf(v, pop), nil
}

// State is all that this scheduler's map depends on, for another's [Server.Adopt], and the version of the map.
func (s *Server) State() ([]byte, cdn.MapVersion, error) {
	s.steering.Lock()
	defer s.steering.Unlock()
	return s.mapper.State()
}

// Version names the map that is answered from; the zero value if there is none. It is safe for concurrent use and waits for nothing.
func (s *Server) Version() cdn.MapVersion {
	if v := s.current.Load(); v != nil && v.Chart != nil {
		return v.Chart.Version
	}
	return cdn.MapVersion{}
}

// Adopt makes the map go on where that of another scheduler was when it gave its state. A state that cannot be one is refused, and nothing changes.
func (s *Server) Adopt(state []byte) error {
	s.steering.Lock()
	defer s.steering.Unlock()
	now := time.Now()
	if err := s.mapper.Adopt(now, state); err != nil {
		return err
	}
	s.publish(now)
	return nil
}

// Accept says that somebody has looked and that what is measured is true: the next step of the map is not frozen, however much it loses.
func (s *Server) Accept() {
	s.steering.Lock()
	defer s.steering.Unlock()
	s.mapper.Accept()
}
