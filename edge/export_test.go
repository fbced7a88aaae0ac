package edge

import "nearcast/edge/hit"

// Lane is how the node answers in the loops of its connections.
func (s *Server) Lane() hit.Lane { return lane{s} }
