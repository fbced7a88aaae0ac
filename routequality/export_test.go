package routequality

import (
	"net/http"

	"nearcast/cdn"
)

// Handler returns what answers requests.
func (s *Server) Handler() http.Handler { return s.http.Handler }

// Waiting returns how many polls wait.
func (s *Server) Waiting() int { return len(s.waiters) }

// FillWaiters takes every place for a waiting poll.
func (s *Server) FillWaiters() {
	for range maxWaiters {
		s.waiters <- struct{}{}
	}
}

// DrainWaiters gives the places back.
func (s *Server) DrainWaiters() {
	for range maxWaiters {
		<-s.waiters
	}
}

// Helpless is whom a POP of a fleet is told not to ask, if some nodes are not to be asked.
func Helpless(fleet *cdn.Fleet, unusable map[cdn.POPName][]cdn.NodeName, pop cdn.POPName) []cdn.NodeName {
	return (&world{fleet: fleet, unusable: unusable}).helpless(pop)
}
