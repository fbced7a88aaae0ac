package api

import (
	"net/http"

	"nearcast/control/wire"
)

// acceptFleet is the explicit yes to the fleet file that was refused at the start.
func (s *server) acceptFleet(r *http.Request) (result wire.ApplyResult, err error) {
	result.Changes = []wire.Change{}
	result.Generation, err = s.Fleet.Accept(r.Context(), actor(r)+", who accepts the fleet file")
	return result, err
}
