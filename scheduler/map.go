package scheduler

import (
	"net/netip"
	"slices"
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
func (s *Server) Explain(name cdn.Domain, client netip.Addr) (*cdn.RouteExplanation, error) {
	const op = "scheduler.Explain"
	v := s.current.Load()
	if v == nil {
		return nil, errNoConfiguration(op)
	}
	host := v.Zones.Host(name)
	if host.Domain == "" || host.Node != nil {
		return nil, cdn.Errorf(cdn.NotFound, op, "no site has the domain %s", name)
	}
	name = host.Domain
	x := decide.Explain(v, decide.Query{Domain: name, Client: client.Unmap(), Now: time.Now()})
	x.Scheduler = s.node
	return &x, nil
}

// Status tells what is answered from. It is safe for concurrent use and waits for nothing.
func (s *Server) Status() (*cdn.MapStatus, error) {
	v := s.current.Load()
	if v == nil {
		return nil, errNoConfiguration("scheduler.Status")
	}
	status := decide.Status(v, time.Now())
	status.Scheduler = s.node
	return &status, nil
}

// Relief is where the map would send the visitors of a POP that has too much, by group. It is safe for concurrent use and waits for nothing.
func (s *Server) Relief(pop cdn.POPName) (*cdn.Relief, error) {
	const op = "scheduler.Relief"
	v := s.current.Load()
	if v == nil {
		return nil, errNoConfiguration(op)
	}
	if v.POP(pop) < 0 {
		return nil, cdn.Errorf(cdn.NotFound, op, "the fleet has no edge POP %q with nodes", pop)
	}
	relief := decide.ReliefOf(v, pop)
	told := &cdn.Relief{Map: s.Version(), Default: relief.Default, Groups: relief.Groups}
	for group, other := range relief.Groups {
		if other == "" {
			told.Stay = append(told.Stay, group)
			delete(told.Groups, group)
		}
	}
	slices.Sort(told.Stay)
	return told, nil
}

// Version names the map that is answered from; the zero value if there is none. It is safe for concurrent use and waits for nothing.
func (s *Server) Version() cdn.MapVersion {
	if v := s.current.Load(); v != nil && v.Chart != nil {
		return v.Chart.Version
	}
	return cdn.MapVersion{}
}

// Accept says that somebody has looked and that what is measured is true: the next step of the map is not frozen, however much it loses. It
// returns what that is. If nothing is frozen or refused it fails, with an error of kind Conflict. It may wait for a step of the map.
func (s *Server) Accept() (*cdn.MapAcceptance, error) {
	const op = "scheduler.Accept"
	if s.current.Load() == nil {
		return nil, errNoConfiguration(op)
	}
	s.steering.Lock()
	defer s.steering.Unlock()
	held, err := s.mapper.Accept()
	if err != nil {
		return nil, err
	}
	s.log.Warn("somebody says that what the map did not believe is true", "accepted", held)
	return &cdn.MapAcceptance{Scheduler: s.node, Accepted: held}, nil
}
