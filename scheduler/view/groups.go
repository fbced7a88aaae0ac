package view

import (
	"net/netip"
	"slices"

	"nearcast/cdn"
	"nearcast/internal/locate"
	"nearcast/internal/prefixtable"
)

// placeGroups are the groups that places are in, numbered.
type placeGroups struct {
	of    []int32 // by place
	ids   map[cdn.GroupName]int32
	first []int32 // by number: a place of it
}

// placeGroups returns those of the plan. The first call takes a while: there can be a million places.
func (p *Plan) placeGroups() *placeGroups {
	p.once.Do(func() {
		places := p.Clients.Places()
		g := &placeGroups{of: make([]int32, len(places)), ids: make(map[cdn.GroupName]int32)}
		for i := range places {
			name := places[i].Group()
			id, known := g.ids[name]
			if !known {
				id = int32(len(g.first)) //nolint:gosec // fewer than places
				g.ids[name] = id
				g.first = append(g.first, int32(i)) //nolint:gosec // likewise
			}
			g.of[i] = id
		}
		p.groups = g
	})
	return p.groups
}

// Index finds the group of a visitor among those of a route table. It is immutable and safe for concurrent use.
type Index struct {
	// Names are the groups', and IDs are what maps call them: those of group g and class c of policies at g*Classes+c.
	Names   []cdn.GroupName
	IDs     []string
	Classes int
	// Places are where the groups are, by group: the number of a place of the plan's, or [locate.None].
	Places []int
	// Networks are the networks that groups are, by group; invalid for others.
	Networks []netip.Prefix

	plan     *Plan
	networks *prefixtable.Table // of groups that are a network
	byPlace  []int32            // group by number of placeGroups, or -1
	of       []int32            // number of placeGroups by place
}

// NewIndex makes the index of groups, which are in the order of their names. If nothing has changed since before it returns that.
func NewIndex(p *Plan, groups []*cdn.VisitorGroup, before *Index) *Index {
	if before.same(p, groups) {
		return before
	}
	known := p.placeGroups()
	x := &Index{plan: p, Classes: p.Policies.Classes(), byPlace: make([]int32, len(known.first)), of: known.of}
	for i := range x.byPlace {
		x.byPlace[i] = -1
	}
	var nets []prefixtable.Entry
	for i, g := range groups {
		n := int32(i) //nolint:gosec // there are not so many
		at := locate.None
		network, ok := locate.NetworkOf(g.Name)
		if ok {
			nets = append(nets, prefixtable.Entry{Prefix: network, Number: n})
			at, _ = p.Clients.Lookup(network.Addr())
		} else if id, ok := known.ids[g.Name]; ok {
			x.byPlace[id] = n
			at = int(known.first[id])
		}
		x.Names, x.Places, x.Networks = append(x.Names, g.Name), append(x.Places, at), append(x.Networks, network)
		for class := range x.Classes {
			x.IDs = append(x.IDs, groupID(g.Name, p.Policies.ClassName(class)))
		}
	}
	var err error
	if x.networks, err = prefixtable.New(nets); err != nil { // a group that is called like a network but is none
		x.networks = new(prefixtable.Table)
	}
	return x
}

func groupID(name cdn.GroupName, class string) string {
	if class == "" {
		return string(name)
	}
	return string(name) + "|" + class
}

func (x *Index) same(p *Plan, groups []*cdn.VisitorGroup) bool {
	if x == nil || x.plan != p {
		return false
	}
	return slices.EqualFunc(groups, x.Names, func(g *cdn.VisitorGroup, name cdn.GroupName) bool { return g.Name == name })
}

// Find returns the group of an address that is at a place: that of its network, else that of the place, else -1; and the length of the
// shortest prefix around it in which networks make no difference.
func (x *Index) Find(addr netip.Addr, place int) (group, scope int) {
	n, scope := x.networks.Lookup(addr)
	if n >= 0 {
		return n, scope
	}
	if place == locate.None || place >= len(x.of) {
		return -1, scope
	}
	return int(x.byPlace[x.of[place]]), scope
}

// Part is the ID of the part of a group that policy sends to one POP.
func Part(id string, pop cdn.POPName) string { return id + "=" + string(pop) }
