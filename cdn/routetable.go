package cdn

import (
	"cmp"
	"slices"
	"time"
)

// SlotTime is the time between two steps of the map.
const SlotTime = 5 * time.Second

// RouteTable is the route-quality system's published view of the fleet: immutable
// and versioned. A table with a higher Version of the same Epoch replaces an older one;
// another Epoch means that the publisher was restarted, and always replaces.
type RouteTable struct {
	Epoch   string    `json:"epoch"`
	Version uint64    `json:"version"`
	At      time.Time `json:"at"` // when it was published, by the publisher's clock
	// Slot rises by one each [SlotTime]. A table of another slot than the one before it has everything that was
	// measured, and schedulers make a step of the map; one of the same slot has only news of nodes and POPs.
	Slot uint64 `json:"slot"`
	// Base is the version to which Groups, Links, GoneGroups and GoneLinks are the difference; zero if they are all. See [RouteTable.Over].
	Base uint64 `json:"base,omitempty"`
	// Nodes and POPs are whole in every table, sorted by name.
	Nodes []NodeHealth `json:"nodes"`
	POPs  []POPHealth  `json:"pops,omitempty"`
	// Groups are of visitors, sorted by name.
	Groups     []*VisitorGroup `json:"groups,omitempty"`
	GoneGroups []GroupName     `json:"gone_groups,omitempty"`
	// Links are between POPs and to origins, sorted by From and To.
	Links     []*Link     `json:"links,omitempty"`
	GoneLinks [][2]string `json:"gone_links,omitempty"` // From and To
	// Sites are what part of all octets is sent for each site, sorted by name.
	Sites []SiteShare `json:"sites,omitempty"`
	// Alarms are what somebody should look at.
	Alarms []string `json:"alarms,omitempty"`
}

// NodeHealth is one node's row in a [RouteTable].
type NodeHealth struct {
	Node  NodeName  `json:"node"`
	State NodeState `json:"state"`
	Since time.Time `json:"since"` // when the node entered the state
	// Load is what the node reported last; nil if that is too long ago.
	Load *NodeLoad `json:"load,omitempty"`
}

// POPState is what is known about a POP as a whole.
type POPState string

// The states. The zero value, unknown, counts as up: a missing measurement must never take a POP out.
const (
	POPUnknown    POPState = ""
	POPUp         POPState = "up"
	POPDown       POPState = "down"       // none of its nodes can be reached
	POPSuppressed POPState = "suppressed" // it can, but has come and gone too often
)

// Usable reports whether visitors may be sent there.
func (s POPState) Usable() bool { return s == POPUp || s == POPUnknown }

// POPHealth is one POP's row in a [RouteTable].
type POPHealth struct {
	POP   POPName   `json:"pop"`
	State POPState  `json:"state"`
	Since time.Time `json:"since"` // when the POP entered the state
	// Share is the part of its capacity that visitors may get, 0 to 1: below 1 while it comes back with cold caches.
	Share float64 `json:"share"`
	// Capacity is what its usable nodes can send, in octets a second; zero if no node's is known.
	Capacity float64 `json:"capacity,omitempty"`
	// Load is the utilisation of the scarcest resource of all its usable nodes together: 1 is all of it; -1 if nothing is known.
	Load float64 `json:"load"`
	// Octets and Requests are what it sends and answers in a second.
	Octets   float64 `json:"octets,omitempty"`
	Requests float64 `json:"requests,omitempty"`
	// HitRatio is the part of requests that is answered from what is stored there, and Behind the round trip in
	// milliseconds to whom it asks otherwise (its parent, or the origins); both zero if unknown.
	HitRatio float64 `json:"hit_ratio,omitempty"`
	Behind   float64 `json:"behind,omitempty"`
	// Votes are of those who probe the POP from elsewhere.
	Votes []Vote `json:"votes,omitempty"`
}

// Vote says whether somebody can reach a POP.
type Vote struct {
	By string `json:"by"` // a POP, or a route-quality node
	Up bool   `json:"up"`
}

// GroupName names visitors that are measured together: "net 203.0.113.0/24", or "place AS64500/DE/BY/Munich".
type GroupName string

// VisitorGroup is what is known of a group of visitors.
type VisitorGroup struct {
	Name GroupName `json:"group"`
	// Octets and Requests are how much they ask for in a second.
	Octets   float64 `json:"octets"`
	Requests float64 `json:"requests"`
	// Paths are to the POPs that are worth considering, sorted by POP; at most 16.
	Paths []Path `json:"paths"`
}

// Path is what is believed of the way between a group of visitors and a POP.
type Path struct {
	POP POPName `json:"pop"`
	Quality
}

// Link is what is believed of the way from a POP to another POP, or to an origin.
type Link struct {
	From POPName `json:"from"`
	To   string  `json:"to"` // a POP, or an origin as URL
	Quality
}

// Quality is what is believed of a path.
type Quality struct {
	R50      float32 `json:"r50"`                // round trip, ms: the middle one,
	R90      float32 `json:"r90"`                // and the one that one in ten exceeds
	Loss     float32 `json:"loss,omitempty"`     // share of packets, 0 to 1
	Failures float32 `json:"failures,omitempty"` // share of requests, or of probes, 0 to 1
	N        float32 `json:"n"`                  // weight in samples behind it; 0: nothing was measured, it is what is usual
	Measured int64   `json:"measured,omitempty"` // when the newest sample was taken, Unix time in seconds
}

// SiteShare is the part of all octets that is sent for a site.
type SiteShare struct {
	Site  SiteName `json:"site"`
	Share float64  `json:"share"`
}

// State returns the node's state, or [StateUnknown] if the table does not have it.
// A nil table knows nothing.
func (t *RouteTable) State(node NodeName) NodeState {
	if t == nil {
		return StateUnknown
	}
	for i := range t.Nodes {
		if t.Nodes[i].Node == node {
			return t.Nodes[i].State
		}
	}
	return StateUnknown
}

// Over returns the whole table that a difference makes of its base. It refuses another base than that of the difference. A table that is
// whole is returned as it is.
func (t *RouteTable) Over(base *RouteTable) (*RouteTable, error) {
	if t.Base == 0 {
		return t, nil
	}
	if base == nil || base.Base != 0 || base.Epoch != t.Epoch || base.Version != t.Base {
		return nil, Errorf(Conflict, "", "route table %s/%d is a difference to version %d, which is not the one that is here", t.Epoch, t.Version, t.Base)
	}
	whole := *t
	whole.Base, whole.GoneGroups, whole.GoneLinks = 0, nil, nil
	whole.Groups = merge(base.Groups, t.Groups, t.GoneGroups, compareGroups, func(g *VisitorGroup) GroupName { return g.Name })
	whole.Links = merge(base.Links, t.Links, t.GoneLinks, compareLinks, func(l *Link) [2]string { return [2]string{string(l.From), l.To} })
	return &whole, nil
}

func compareGroups(a, b *VisitorGroup) int { return cmp.Compare(a.Name, b.Name) }

func compareLinks(a, b *Link) int {
	return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
}

// merge puts sorted rows over others and takes those away that are gone.
func merge[R any, K comparable](base, over []R, gone []K, compare func(a, b R) int, key func(R) K) []R {
	if len(over) == 0 && len(gone) == 0 {
		return base
	}
	left := make(map[K]bool, len(gone))
	for _, k := range gone {
		left[k] = true
	}
	out := make([]R, 0, len(base)+len(over))
	for _, row := range base {
		for len(over) > 0 && compare(over[0], row) < 0 {
			out, over = append(out, over[0]), over[1:]
		}
		switch {
		case len(over) > 0 && compare(over[0], row) == 0:
			out, over = append(out, over[0]), over[1:]
		case !left[key(row)]:
			out = append(out, row)
		}
	}
	return slices.Clip(append(out, over...))
}
