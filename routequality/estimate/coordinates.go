package estimate

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/hashicorp/serf/coordinate"
)

// Coordinates places names in a space in which the distance of two is about the round trip between them (Vivaldi, as in serf: eight
// dimensions, a height, an adjustment). After some hundred samples of a name half of the distances are within 8 % of the truth: good enough to
// say what is worth measuring and to fill gaps, not to choose a POP by.
type Coordinates struct {
	config *coordinate.Config
	points map[string]*coordinate.Client
}

// NewCoordinates returns a space without names.
func NewCoordinates() *Coordinates {
	config := coordinate.DefaultConfig()
	config.LatencyFilterSize = 1 // Path has a filter; this one would keep every pair
	return &Coordinates{config: config, points: make(map[string]*coordinate.Client)}
}

// Observe moves name by the round trip measured to peer, which stays where it is: a group of visitors is placed by the POPs that have
// seen it and never displaces them. Two POPs each observe the other.
func (c *Coordinates) Observe(name, peer string, rtt time.Duration) error {
	if name == peer {
		return fmt.Errorf("coordinates: %q has no round trip to itself", name)
	}
	at, p := c.point(peer), c.point(name)
	if _, err := p.Update(peer, at.GetCoordinate(), rtt); err != nil {
		return fmt.Errorf("coordinates of %q, from %q: %w", name, peer, err)
	}
	p.ForgetNode(peer)
	return nil
}

// point returns the point of a name. A new one is put beside the middle by its name's hash, never upon another, for serf's library throws
// dice if two are in the same place, and then no run would be like another.
func (c *Coordinates) point(name string) *coordinate.Client {
	if p := c.points[name]; p != nil {
		return p
	}
	p, err := coordinate.NewClient(c.config)
	if err != nil { // of no dimension
		panic(err)
	}
	start := p.GetCoordinate()
	for i := range start.Vec {
		var salt [8]byte
		binary.LittleEndian.PutUint64(salt[:], uint64(i)) //nolint:gosec // an index
		h := xxhash.Sum64(append(salt[:], name...))
		start.Vec[i] = 0.001 * (float64(h>>11)/(1<<53) - 0.5) // seconds
	}
	if err := p.SetCoordinate(start); err != nil { // of another dimension
		panic(err)
	}
	c.points[name] = p
	return p
}

// RTT returns the round trip in ms that the space predicts between two names, and false if one has never observed anything.
func (c *Coordinates) RTT(a, b string) (ms float64, known bool) {
	p, q := c.points[a], c.points[b]
	if p == nil || q == nil {
		return 0, false
	}
	return float64(p.DistanceTo(q.GetCoordinate())) / millisecond, true
}

// At returns a copy of the point of a name, to be told to others, or nil.
func (c *Coordinates) At(name string) *coordinate.Coordinate {
	if p := c.points[name]; p != nil {
		return p.GetCoordinate()
	}
	return nil
}

// Put places a name where another process says that it is. A point of other dimensions, or with numbers that are none, is refused.
func (c *Coordinates) Put(name string, at *coordinate.Coordinate) error {
	if at == nil || !c.sane(at) {
		return fmt.Errorf("coordinates of %q: the point is absurd", name)
	}
	if err := c.point(name).SetCoordinate(at); err != nil {
		return fmt.Errorf("coordinates of %q: %w", name, err)
	}
	return nil
}

// sane reports whether a point is at most [MaxRTT] from the middle in every respect; NaN is not.
func (c *Coordinates) sane(at *coordinate.Coordinate) bool {
	bound := MaxRTT.Seconds()
	ok := at.Height >= 0 && at.Height <= bound && at.Adjustment >= -bound && at.Adjustment <= bound && at.Error >= 0 && at.Error <= c.config.VivaldiErrorMax
	for _, x := range at.Vec {
		ok = ok && x >= -bound && x <= bound
	}
	return ok
}

// Forget removes a name.
func (c *Coordinates) Forget(name string) { delete(c.points, name) }

// Len returns how many names have a place.
func (c *Coordinates) Len() int { return len(c.points) }
