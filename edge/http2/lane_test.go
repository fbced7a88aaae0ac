package http2_test

import (
	"testing"

	"nearcast/edge/hit"
)

// noLane must not be asked.
type noLane struct{ t *testing.T }

func (l noLane) Hit(_ *hit.Peer, r *hit.Request, _ *hit.Answer) bool {
	l.t.Errorf("%s %q has reached the lane", r.Method, r.Target)
	return false
}

func (noLane) Sent(*hit.Peer, *hit.Request, *hit.Answer, hit.End) {}
