package gossip

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/hashicorp/memberlist"

	"nearcast/cdn"
)

// The protocol's callbacks. It calls them with a lock held: none may block.
type (
	delegate  struct{ p *Pool }
	events    struct{ p *Pool }
	conflicts struct{ p *Pool }
	alive     struct{ p *Pool }
)

// NodeMeta returns what this member says about itself.
func (d delegate) NodeMeta(int) []byte { return d.p.local.Load().encode() }

// NotifyMsg takes a directed message.
func (d delegate) NotifyMsg(b []byte) { d.p.receive(b) }

// GetBroadcasts has nothing to send to everybody.
func (delegate) GetBroadcasts(int, int) [][]byte { return nil }

// LocalState adds nothing to a state exchange.
func (delegate) LocalState(bool) []byte { return nil }

// MergeRemoteState expects nothing from a state exchange.
func (delegate) MergeRemoteState([]byte, bool) {}

// NotifyJoin notes a member that came or came back.
func (e events) NotifyJoin(n *memberlist.Node) { e.p.heard(n) }

// NotifyUpdate notes what a member newly says about itself.
func (e events) NotifyUpdate(n *memberlist.Node) { e.p.heard(n) }

// NotifyLeave notes that a member died or left; for those who would send visitors
// to it there is no difference.
func (e events) NotifyLeave(n *memberlist.Node) {
	e.p.view.setState(cdn.NodeName(n.Name), cdn.StateDown)
	e.p.coordinates.forget(cdn.NodeName(n.Name))
}

// NotifyConflict counts and logs that somebody else claims a living member's name.
// The living one keeps it.
func (c conflicts) NotifyConflict(existing, other *memberlist.Node) {
	c.p.metrics.conflicts.Inc()
	c.p.log.Warn("two nodes claim one name; the first is kept",
		"node", existing.Name, "kept", existing.Address(), "ignored", other.Address())
}

// NotifyAlive refuses members that could not be in a fleet.
func (a alive) NotifyAlive(n *memberlist.Node) error {
	name, err := cdn.ParseNodeName(n.Name)
	if err != nil {
		return err
	}
	if _, err := parseMeta(n.Meta); err != nil {
		return err
	}
	if a.p.view.full(name) {
		a.p.metrics.refused.Inc()
		return fmt.Errorf("the pool already has %d names", maxMembers)
	}
	if len(n.Addr) != 4 && len(n.Addr) != 16 {
		return errors.New("its address is neither IPv4 nor IPv6")
	}
	return nil
}

// heard stores what a living member says about itself.
func (p *Pool) heard(n *memberlist.Node) {
	said, err := parseMeta(n.Meta) // cannot fail: NotifyAlive refuses such a member
	if err != nil {
		said = meta{}
	}
	ip, _ := netip.AddrFromSlice(n.Addr)
	p.view.put(&Member{
		Name:    cdn.NodeName(n.Name),
		Role:    said.role,
		POP:     said.pop,
		State:   said.state,
		Version: said.version,
		Addr:    netip.AddrPortFrom(ip.Unmap(), n.Port),
		Started: said.started,
	})
}
