package gossip

import (
	"cmp"
	"net/netip"
	"slices"
	"sync"
	"time"

	"nearcast/cdn"
)

// maxMembers bounds the names that a pool remembers. The dead are remembered too:
// a node that was forgotten would be unknown, and that counts as healthy.
const maxMembers = 10_000

// Member is what is known about one member of the pool.
type Member struct {
	// Name is the member's name.
	Name cdn.NodeName
	// Role is the member's main job; empty if it speaks a newer format.
	Role cdn.Role
	// POP is where the member is; empty if it is in none, or speaks another format.
	POP cdn.POPName
	// State is what the member says about itself, or [cdn.StateDown] once the pool
	// has found it dead or it has left.
	State cdn.NodeState
	// Version is the member's program version; empty if unknown.
	Version string
	// Addr is where the member gossips.
	Addr netip.AddrPort
	// Started is when the member's process started, by its own clock, to the microsecond; zero if it speaks a newer format. It tells the lives of
	// a member apart.
	Started time.Time
}

// view is everything heard, for readers that must not wait. Writers come from the
// protocol, which holds a lock of its own meanwhile, so they must be quick.
type view struct {
	byName  sync.Map // cdn.NodeName -> *Member, which is immutable
	metrics *metrics

	mu    sync.Mutex    // guards the following, and orders writers of byName
	count int           // members in byName
	next  chan struct{} // closed at the next change
}

func (v *view) init(m *metrics) {
	v.metrics, v.next = m, make(chan struct{})
}

// put stores a member and wakes who waits.
func (v *view) put(m *Member) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.putLocked(m)
}

func (v *view) putLocked(m *Member) {
	old, known := v.byName.Swap(m.Name, m)
	if known {
		v.metrics.members.WithLabelValues(stateLabel(old.(*Member).State)).Dec() //nolint:errcheck // only *Member is stored
	} else {
		v.count++
	}
	v.metrics.members.WithLabelValues(stateLabel(m.State)).Inc()
	close(v.next)
	v.next = make(chan struct{})
}

// setState changes the state of a member that is known; others are left alone.
func (v *view) setState(name cdn.NodeName, s cdn.NodeState) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if m := v.get(name); m != nil && m.State != s {
		changed := *m
		changed.State = s
		v.putLocked(&changed)
	}
}

// full reports whether a name would be one too many.
func (v *view) full(name cdn.NodeName) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.count >= maxMembers && v.get(name) == nil
}

func (v *view) get(name cdn.NodeName) *Member {
	m, ok := v.byName.Load(name)
	if !ok {
		return nil
	}
	return m.(*Member) //nolint:errcheck // only *Member is stored
}

func (v *view) state(name cdn.NodeName) cdn.NodeState {
	if m := v.get(name); m != nil {
		return m.State
	}
	return cdn.StateUnknown
}

func (v *view) members() []Member {
	var all []Member
	v.byName.Range(func(_, m any) bool {
		all = append(all, *m.(*Member)) //nolint:errcheck // only *Member is stored
		return true
	})
	slices.SortFunc(all, func(a, b Member) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

func (v *view) changed() <-chan struct{} {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.next
}

func stateLabel(s cdn.NodeState) string {
	if s == cdn.StateUnknown {
		return "unknown"
	}
	return string(s)
}
