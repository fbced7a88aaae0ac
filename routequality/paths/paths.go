package paths

import (
	"net/netip"
	"time"

	"nearcast/cdn"
	"nearcast/internal/locate"
	"nearcast/routequality/estimate"
)

// Limits, where [Config] says nothing else.
const (
	MaxPaths  = 1_000_000 // of networks
	MaxGroups = 200_000
	MaxLists  = 20_000 // made in one slot

	maxPlaces   = 2 * MaxGroups // that are remembered, published or not
	maxCarriers = 100_000
	maxLinks    = 200_000
	maxPlaced   = 50_000 // groups with coordinates
	maxNumbers  = 1 << 16
)

// Config bounds a book. Zero fields mean the limits above.
type Config struct {
	// MaxPaths bounds the paths between networks and POPs; the network that was silent longest is forgotten first.
	MaxPaths int
	// MaxGroups bounds the groups that are published; those with the most demand are.
	MaxGroups int
	// MaxLists bounds how many groups get their candidates in one slot; the others wait for the next.
	MaxLists int
}

// Book has everything that was measured. See the package's comment.
type Book struct {
	cfg Config

	pops    []popEntry // by number, never reused
	numbers map[cdn.POPName]uint16
	active  []uint16 // those to which visitors may be sent, in fleet order
	sites   map[cdn.SiteName]*flow

	index    *locate.Index
	byNumber []*group // places by their number in index; nil: not looked up yet
	places   map[cdn.GroupName]*group
	carriers map[string]*carrier
	networks networks
	links    map[linkKey]*link
	coords   *estimate.Coordinates
	placed   int // groups among them

	began     time.Time // the slot
	turn      uint64    // of slots
	total     Demand
	published map[cdn.GroupName]*group
	lostLinks [][2]string // that were published
	pending   []pending
	seed      uint64
	refused   estimate.Refused
	stats     Stats
}

// popEntry is what is known of a POP.
type popEntry struct {
	name     cdn.POPName
	known    bool // it is in the fleet
	place    spot
	parents  []cdn.POPName
	tail     estimate.Path // what is lost and fails on all of its ways
	observed int           // round trips to other POPs, for its coordinates
	heard    time.Time     // its last report
}

// Stats counts what is not in the groups, since the beginning, and what there is.
type Stats struct {
	Refused  uint64 // samples that cannot be true
	Evicted  uint64 // networks that were forgotten for want of room
	Strange  uint64 // samples of networks, POPs or origins that are none
	Crowded  uint64 // samples of places or links for which there was no room
	Late     uint64 // samples that came too late to be demand; what they say of the path counts
	Networks int
	Paths    int // of networks
	Places   int
	Links    int
	Placed   int // groups with coordinates
	Groups   int // published
	Own      int // networks that are groups
	Withheld int // groups that are not published, since there are too many
	Waiting  int // groups without candidates yet
}

// New returns an empty book.
func New(cfg Config) *Book {
	if cfg.MaxPaths <= 0 {
		cfg.MaxPaths = MaxPaths
	}
	if cfg.MaxGroups <= 0 {
		cfg.MaxGroups = MaxGroups
	}
	if cfg.MaxLists <= 0 {
		cfg.MaxLists = MaxLists
	}
	b := &Book{
		cfg: cfg, numbers: make(map[cdn.POPName]uint16), sites: make(map[cdn.SiteName]*flow), index: new(locate.Index),
		places: make(map[cdn.GroupName]*group), carriers: make(map[string]*carrier), links: make(map[linkKey]*link), coords: estimate.NewCoordinates(),
		published: make(map[cdn.GroupName]*group),
	}
	b.networks.init()
	return b
}

// Stats returns the counters.
func (b *Book) Stats() Stats {
	s := b.stats
	s.Refused = b.refused.Total()
	s.Networks, s.Paths, s.Places, s.Links, s.Placed = len(b.networks.byPrefix), b.networks.paths, len(b.places), len(b.links), b.placed
	return s
}

// SetFleet makes the book one of the POPs of a configuration: those that are gone are forgotten, with all ways to them.
func (b *Book) SetFleet(s *cdn.Snapshot) {
	for i := range b.pops {
		b.pops[i].known = false
	}
	b.active = b.active[:0]
	for i := range s.Fleet.POPs {
		p := &s.Fleet.POPs[i]
		number, ok := b.numbers[p.Name]
		if !ok {
			if len(b.pops) >= maxNumbers {
				continue
			}
			number = uint16(len(b.pops)) //nolint:gosec // bounded above
			b.numbers[p.Name] = number
			b.pops = append(b.pops, popEntry{name: p.Name})
		}
		e := &b.pops[number]
		e.known, e.place, e.parents = true, spotOf(p.Location), s.Fleet.Parents(p)
		if p.Tier != cdn.TierRegional && len(s.Fleet.CacheNodes(p.Name)) > 0 {
			b.active = append(b.active, number)
		}
	}
	b.forgetPOPs()
	known := make(map[cdn.SiteName]bool, len(s.Sites))
	for i := range s.Sites {
		known[s.Sites[i].Name] = true
		if b.sites[s.Sites[i].Name] == nil {
			b.sites[s.Sites[i].Name] = new(flow)
		}
	}
	for name := range b.sites {
		if !known[name] {
			delete(b.sites, name)
		}
	}
}

// forgetPOPs drops what is known of POPs that have left, and lets all lists be made again.
func (b *Book) forgetPOPs() {
	gone := func(pop uint16) bool { return !b.pops[pop].known }
	left := false
	for i := range b.pops {
		if e := &b.pops[i]; !e.known && (e.observed > 0 || !e.heard.IsZero()) {
			left = true
			b.coords.Forget(string(e.name))
			*e = popEntry{name: e.name}
		}
	}
	for n := b.networks.oldest(); n != nil; n = b.networks.newer(n) {
		if left {
			before := len(n.ways)
			n.ways.drop(gone)
			b.networks.paths -= before - len(n.ways)
		}
		if n.own != nil {
			n.own.listed = time.Time{}
		}
	}
	for _, g := range b.places {
		if left {
			g.ways.drop(gone)
		}
		g.listed = time.Time{}
	}
	if !left {
		return
	}
	for _, c := range b.carriers {
		c.ways.drop(gone)
	}
	for key := range b.links {
		if gone(key.from) || !b.isTarget(key.to) {
			b.dropLink(key)
		}
	}
}

// SetPlaces makes an index the one that says where visitors are. What is known of a place of the same name stays.
func (b *Book) SetPlaces(index *locate.Index) {
	if index == nil {
		index = new(locate.Index)
	}
	b.index, b.byNumber = index, make([]*group, len(index.Places()))
	for n := b.networks.oldest(); n != nil; n = b.networks.newer(n) {
		n.place, n.looked = nil, false
	}
}

// Heard notes that a POP reports: what it does not say of its visitors is that there are none.
func (b *Book) Heard(now time.Time, pop cdn.POPName) {
	if number, ok := b.known(pop); ok {
		b.pops[number].heard = now
	}
}

func (b *Book) known(pop cdn.POPName) (number uint16, ok bool) {
	number, ok = b.numbers[pop]
	return number, ok && b.pops[number].known
}

// Visitors takes what a node of a POP saw of its visitors until a time, which is by our clock.
func (b *Book) Visitors(now time.Time, pop cdn.POPName, at time.Time, batch *cdn.VisitorBatch) {
	number, ok := b.known(pop)
	if !ok {
		b.stats.Strange += uint64(len(batch.Samples))
		return
	}
	b.pops[number].heard = now
	interval := batch.Interval
	if now.Sub(at) > late {
		interval = over
		b.stats.Late += uint64(len(batch.Samples))
	}
	for i := range batch.Samples {
		s := &batch.Samples[i]
		if network, ok := locate.Network(s.Network.Addr()); !ok || network != s.Network {
			b.stats.Strange++
			continue
		}
		b.sample(now, number, at, s, interval)
	}
	for _, s := range batch.Sites {
		if f := b.sites[s.Site]; f != nil {
			f.add(float32(s.Octets), float32(s.Requests), interval)
		}
	}
}

// sample takes what was seen of one network.
func (b *Book) sample(now time.Time, pop uint16, at time.Time, s *cdn.VisitorSample, interval time.Duration) {
	n := b.network(now, s.Network)
	own, made := n.ways.at(now, pop)
	if made {
		b.networks.paths++
	}
	if !measure(now, own, at, s, &b.refused) {
		return // not all of it is true, so nothing of it is believed by others
	}
	own.flow.add(float32(s.Octets), float32(s.Requests), interval)
	b.pops[pop].fail(now, s)
	g := n.own
	if n.place != nil {
		b.share(now, pop, s, &n.place.ways, n.place, interval)
		n.place.heard, n.place.dirty = now, true
		if n.place.carrier != nil {
			b.share(now, pop, s, &n.place.carrier.ways, nil, interval)
		}
		b.observe(n.place, pop, s)
	}
	if g != nil {
		g.heard, g.dirty = now, true
		if made {
			g.listed = time.Time{} // it may be worth a place on the list
		}
		if n.place == nil {
			b.observe(g, pop, s)
		}
	}
	b.trim()
}

// share takes a sample, which was checked before, for the place or carrier of its network.
func (b *Book) share(now time.Time, pop uint16, s *cdn.VisitorSample, of *ways, in *group, interval time.Duration) {
	w, _ := of.at(now, pop)
	b.wait(of, in, w, s.RTTs)
	w.path.AddPackets(now, int(s.Packets), int(s.Lost), nil)     //nolint:errcheck // it was checked before
	w.path.AddRequests(now, int(s.Requests), int(s.Failed), nil) //nolint:errcheck // likewise
	w.flow.add(float32(s.Octets), float32(s.Requests), interval)
}

// fail notes what was lost and failed.
func (p *popEntry) fail(now time.Time, s *cdn.VisitorSample) {
	p.tail.AddPackets(now, int(s.Packets), int(s.Lost), nil)     //nolint:errcheck // it was checked before
	p.tail.AddRequests(now, int(s.Requests), int(s.Failed), nil) //nolint:errcheck // likewise
}

// measure takes a sample for a way, and reports whether all of it was believed.
func measure(now time.Time, w *way, at time.Time, s *cdn.VisitorSample, refused *estimate.Refused) bool {
	ok := true
	for _, ms := range s.RTTs {
		ok = w.path.Add(now, estimate.Sample{RTT: duration(float64(ms)), At: at, Source: estimate.Passive}, refused) == nil && ok
	}
	ok = w.path.AddPackets(now, int(s.Packets), int(s.Lost), refused) == nil && ok
	ok = w.path.AddRequests(now, int(s.Requests), int(s.Failed), refused) == nil && ok
	return ok
}

// duration returns milliseconds as a duration; what is no number is negative, so that it is refused.
func duration(ms float64) time.Duration {
	if !(ms >= 0) {
		return -1
	}
	return time.Duration(min(ms, 1e9) * float64(time.Millisecond))
}

// lookup returns the place of a network, or nil if nothing is known.
func (b *Book) lookup(now time.Time, prefix netip.Prefix) *group {
	number, _ := b.index.Lookup(prefix.Addr())
	if number == locate.None {
		return nil
	}
	if g := b.byNumber[number]; g != nil {
		return g
	}
	place := &b.index.Places()[number]
	if place.Coordinates == locate.Unknown && place.Location.Country == "" && place.Carrier() == "-" {
		return nil
	}
	name := place.Group()
	g := b.places[name]
	if g == nil {
		if len(b.places) >= maxPlaces {
			b.stats.Crowded++
			return nil
		}
		g = &group{name: name, heard: now, carrier: b.carrier(place)}
		b.places[name] = g
	}
	if place.Coordinates != locate.Unknown {
		g.at = spotOf(place.Location)
	}
	b.byNumber[number] = g
	return g
}

// carrier returns the carrier of a place in its country, or nil if it is not known or there are too many.
func (b *Book) carrier(place *locate.Place) *carrier {
	if place.Carrier() == "-" {
		return nil
	}
	key := place.Carrier() + "/" + place.Location.Country
	c := b.carriers[key]
	if c == nil && len(b.carriers) < maxCarriers {
		c = new(carrier)
		b.carriers[key] = c
	}
	return c
}

// carrier is a carrier in a country.
type carrier struct{ ways ways }
