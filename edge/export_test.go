package edge

import (
	"nearcast/edge/hit"
	"nearcast/edge/tlscert"
)

// Lane is how the node answers in the loops of its connections.
func (s *Server) Lane() hit.Lane { return lane{s} }

// Certificates are those in use.
func (s *Server) Certificates() *tlscert.Keeper { return s.certificates }
