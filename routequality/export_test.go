package routequality

import "net/http"

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
