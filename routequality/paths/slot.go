package paths

import (
	"cmp"
	"slices"
	"time"

	"nearcast/cdn"
)

// Change is what is different from the slot before.
type Change struct {
	Groups     []*cdn.VisitorGroup // sorted by name; they must not be changed
	GoneGroups []cdn.GroupName
	Links      []*cdn.Link // sorted by From and To; likewise
	GoneLinks  [][2]string
	Sites      []cdn.SiteShare // all of them, sorted by name
}

// Slot ends a slot, every [cdn.SlotTime], and says what is different since the last. Down says whether a POP is known not to have any visitors. What
// the others ask for that do not report now is taken to be what it was.
func (b *Book) Slot(now time.Time, down func(cdn.POPName) bool) Change {
	b.turn++
	b.flush(now)
	b.fold(now, down)
	wanted := b.wanted(now)
	b.makeLists(now, wanted)
	var c Change
	b.stats.Groups, b.stats.Own, b.stats.Waiting = 0, 0, 0
	for _, g := range wanted {
		if len(g.list) == 0 {
			b.stats.Waiting++
			continue
		}
		g.turn = b.turn
		b.stats.Groups++
		if g.network != nil {
			b.stats.Own++
		}
		if b.publish(now, g) {
			c.Groups = append(c.Groups, g.row)
			b.published[g.name] = g
		}
		g.dirty = false
	}
	for name, g := range b.published {
		if g.turn != b.turn {
			c.GoneGroups = append(c.GoneGroups, name)
			delete(b.published, name)
			g.row = nil
		}
	}
	slices.Sort(c.GoneGroups)
	slices.SortFunc(c.Groups, func(x, y *cdn.VisitorGroup) int { return cmp.Compare(x.Name, y.Name) })
	c.Links, c.GoneLinks = b.publishLinks(now)
	c.Sites = b.siteShares()
	return c
}

// fold takes the end of the slot into all demands.
func (b *Book) fold(now time.Time, down func(cdn.POPName) bool) {
	seconds := cdn.SlotTime.Seconds()
	if !b.began.IsZero() {
		seconds = min(max(now.Sub(b.began).Seconds(), 1), 60)
	}
	gain := gainOf(seconds)
	silent := make([]bool, len(b.pops))
	anybody := false
	for i := range b.pops {
		p := &b.pops[i]
		heard := !p.heard.IsZero() && !p.heard.Before(b.began)
		anybody = anybody || heard
		silent[i] = !heard && p.known && !down(p.name)
	}
	b.began = now
	for _, g := range b.places {
		g.demand, g.apart = Demand{}, Demand{}
		slots := g.ways.slots()
		for i := range g.ways {
			if w := &g.ways[i]; !silent[w.pop] {
				w.flow.fold(seconds, gain, slots)
			}
			g.demand.add(g.ways[i].flow.rate)
		}
	}
	b.total = Demand{}
	for n := b.networks.oldest(); n != nil; n = b.networks.newer(n) {
		n.demand = Demand{}
		slots := n.ways.slots()
		for i := range n.ways {
			if w := &n.ways[i]; !silent[w.pop] {
				w.flow.fold(seconds, gain, slots)
			}
			n.demand.add(n.ways[i].flow.rate)
		}
		b.total.add(n.demand)
	}
	if anybody {
		for _, f := range b.sites {
			f.fold(seconds, gain, 0)
		}
	}
}

// wanted returns the groups that are to be published, those of places in any order, then those of networks.
func (b *Book) wanted(now time.Time) []*group {
	var all []*group
	for n := b.networks.oldest(); n != nil; n = b.networks.newer(n) {
		if !n.looked && (n.demand.Octets > 0 || n.demand.Requests > 0) {
			b.settle(now, n)
		}
		if n.place != nil && (hash(n.prefixName())+b.turn)%looks == 0 {
			b.part(now, n)
		}
		if n.own == nil {
			continue
		}
		n.own.demand = n.demand
		if n.place != nil {
			n.place.apart.add(n.demand)
		}
		if n.own.wanted(now) {
			all = append(all, n.own)
		} else {
			b.forgetPlaced(n.own) // others need the room; networks themselves stay for as long as there is some
		}
	}
	gone := make(map[*group]bool)
	for name, g := range b.places {
		switch {
		case g.wanted(now):
			g.demand = g.demand.less(g.apart)
			all = append(all, g)
		case now.Sub(g.heard) > forgotten:
			b.forgetPlaced(g)
			delete(b.places, name)
			gone[g] = true
		}
	}
	b.forgetPlaces(gone)
	b.stats.Withheld = max(0, len(all)-b.cfg.MaxGroups)
	if b.stats.Withheld > 0 {
		slices.SortFunc(all, b.byDemand)
		all = all[:b.cfg.MaxGroups]
	}
	return all
}

// byDemand orders groups, those with the most demand first; those that are published have an advantage, so that they do not take turns.
func (b *Book) byDemand(x, y *group) int {
	weigh := func(g *group) float32 {
		if g.row != nil {
			return 1.25 * g.demand.Octets
		}
		return g.demand.Octets
	}
	return cmp.Or(cmp.Compare(weigh(y), weigh(x)), cmp.Compare(x.name, y.name))
}

// makeLists makes the lists of candidates of those groups that have none, and then of those whose are old, as far as there is time.
func (b *Book) makeLists(now time.Time, groups []*group) {
	l := lister{b: b, now: now}
	left := b.cfg.MaxLists
	for _, first := range [...]bool{true, false} {
		for _, g := range groups {
			if left == 0 {
				return
			}
			if first == (len(g.list) == 0) && now.Sub(g.listed) >= relist {
				l.list(g)
				left--
			}
		}
	}
}

// sortByName sorts POPs.
func (b *Book) sortByName(pops []uint16) {
	slices.SortFunc(pops, func(x, y uint16) int { return cmp.Compare(b.pops[x].name, b.pops[y].name) })
}

// siteShares returns what part of all octets is sent for each site.
func (b *Book) siteShares() []cdn.SiteShare {
	var all float64
	var shares []cdn.SiteShare
	for name, f := range b.sites {
		if f.rate.Octets > 0 {
			all += float64(f.rate.Octets)
			shares = append(shares, cdn.SiteShare{Site: name, Share: float64(f.rate.Octets)})
		}
	}
	for i := range shares {
		shares[i].Share = float64(rounded(shares[i].Share/all, 1e6))
	}
	slices.SortFunc(shares, func(x, y cdn.SiteShare) int { return cmp.Compare(x.Site, y.Site) })
	return shares
}
