package gossip

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/coordinate"

	"nearcast/cdn"
)

// Bounds of what a coordinate may say, in seconds: half of the earth's circumference in glass is a tenth of one.
const (
	maxComponent = 10
	maxRTT       = 10 * time.Second
)

const coordinateVersion = 1

// coordinates place this member, and remember where the others say that they are.
type coordinates struct {
	config *coordinate.Config
	self   *coordinate.Client

	mu     sync.Mutex // guards the following
	others map[cdn.NodeName]*coordinate.Coordinate
}

func (c *coordinates) init() (err error) {
	c.config = coordinate.DefaultConfig()
	c.others = make(map[cdn.NodeName]*coordinate.Coordinate)
	c.self, err = coordinate.NewClient(c.config)
	return err
}

// observe takes a round trip to another member, and what came with it.
func (c *coordinates) observe(node cdn.NodeName, rtt time.Duration, payload []byte) error {
	if rtt <= 0 || rtt > maxRTT {
		return fmt.Errorf("a round trip of %v", rtt)
	}
	there, err := c.parse(payload)
	if err != nil {
		return err
	}
	if _, err := c.self.Update(string(node), there, rtt); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.others[node] = there
	return nil
}

// forget drops a member that is gone.
func (c *coordinates) forget(node cdn.NodeName) {
	c.self.ForgetNode(string(node))
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.others, node)
}

// of returns a member's coordinate, or nil while it has none.
func (c *coordinates) of(node, self cdn.NodeName) *coordinate.Coordinate {
	if node == self {
		return c.placed(c.self.GetCoordinate())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.placed(c.others[node])
}

// placed returns at, or nil if it is where everybody begins.
func (c *coordinates) placed(at *coordinate.Coordinate) *coordinate.Coordinate {
	if at == nil || at.Error >= c.config.VivaldiErrorMax {
		return nil
	}
	return at
}

// encode writes this member's coordinate: a version, and then as floats of 32 bits the error, adjustment, height and the eight components.
func (c *coordinates) encode() []byte {
	at := c.self.GetCoordinate()
	b := []byte{coordinateVersion}
	for _, x := range append([]float64{at.Error, at.Adjustment, at.Height}, at.Vec...) {
		b = binary.BigEndian.AppendUint32(b, math.Float32bits(float32(x)))
	}
	return b
}

// parse reads a coordinate and refuses absurd ones.
func (c *coordinates) parse(b []byte) (*coordinate.Coordinate, error) {
	at := coordinate.NewCoordinate(c.config)
	if len(b) != 1+4*(3+len(at.Vec)) || b[0] != coordinateVersion {
		return nil, errors.New("no coordinate of a known format")
	}
	next := func(i int) float64 { return float64(math.Float32frombits(binary.BigEndian.Uint32(b[1+4*i:]))) }
	at.Error, at.Adjustment, at.Height = next(0), next(1), next(2)
	for i := range at.Vec {
		at.Vec[i] = next(3 + i)
		if !(math.Abs(at.Vec[i]) <= maxComponent) {
			return nil, fmt.Errorf("a coordinate's component is %v s", at.Vec[i])
		}
	}
	switch {
	case !(at.Error >= 0 && at.Error <= c.config.VivaldiErrorMax):
		return nil, fmt.Errorf("a coordinate's error is %v", at.Error)
	case !(math.Abs(at.Adjustment) <= maxComponent):
		return nil, fmt.Errorf("a coordinate's adjustment is %v s", at.Adjustment)
	case !(at.Height >= 0 && at.Height <= maxComponent):
		return nil, fmt.Errorf("a coordinate's height is %v s", at.Height)
	}
	return at, nil
}

// RTT returns about how many milliseconds a packet takes from one member to another and back, by their network coordinates: after some minutes
// half of these are within a tenth of the truth. Known is false while either has no coordinate or is dead.
func (p *Pool) RTT(a, b cdn.NodeName) (ms float64, known bool) {
	from, to := p.coordinates.of(a, p.self), p.coordinates.of(b, p.self)
	if a == b || from == nil || to == nil || p.State(a) == cdn.StateDown || p.State(b) == cdn.StateDown {
		return 0, false
	}
	return float64(from.DistanceTo(to)) / float64(time.Millisecond), true
}

// pings rides on the protocol's probes.
type pings struct{ p *Pool }

// AckPayload returns this member's coordinate.
func (d pings) AckPayload() []byte { return d.p.coordinates.encode() }

// NotifyPingComplete takes a round trip and the other's coordinate.
func (d pings) NotifyPingComplete(other *memberlist.Node, rtt time.Duration, payload []byte) {
	name := cdn.NodeName(other.Name)
	if m := d.p.view.get(name); m == nil || m.State == cdn.StateDown {
		return
	}
	if err := d.p.coordinates.observe(name, rtt, payload); err != nil {
		d.p.metrics.coordinatesRefused.Inc()
		d.p.log.Debug("a coordinate is refused", "node", name, "error", err)
	}
}
