package paths

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"

	"nearcast/cdn"
	"nearcast/routequality/estimate"
)

// linkKey is from a POP to another, or to an origin.
type linkKey struct {
	from uint16
	to   string
}

// link is what is known between them, and as what it was published.
type link struct {
	path   estimate.Path
	heard  time.Time
	row    *cdn.Link
	rowAt  time.Time
	target uint16 // the POP
	isPOP  bool
}

// linkIdle is how long a link that is not probed is told of.
const linkIdle = time.Hour

// Probe is a connection that a POP opened to another POP, or an origin.
type Probe struct {
	To  string    // a POP by name, or an origin by URL
	RTT float64   // ms; below zero if there was no answer
	At  time.Time // by our clock
}

// Probed takes what a POP has probed.
func (b *Book) Probed(now time.Time, from cdn.POPName, probes []Probe) {
	number, ok := b.known(from)
	if !ok {
		b.stats.Strange += uint64(len(probes))
		return
	}
	b.pops[number].heard = now
	for i := range probes {
		b.probed(now, number, &probes[i])
	}
}

func (b *Book) probed(now time.Time, from uint16, p *Probe) {
	if !b.isTarget(p.To) || p.To == string(b.pops[from].name) {
		b.stats.Strange++
		return
	}
	key := linkKey{from, p.To}
	l := b.links[key]
	if l == nil {
		if len(b.links) >= maxLinks {
			b.stats.Crowded++
			return
		}
		l = new(link)
		l.target, l.isPOP = b.known(cdn.POPName(p.To))
		b.links[key] = l
	}
	if p.RTT < 0 {
		l.path.AddRequests(now, 1, 1, &b.refused) //nolint:errcheck // whole numbers of our own
		l.heard = now
		return
	}
	rtt := duration(p.RTT)
	if l.path.Add(now, estimate.Sample{RTT: rtt, At: p.At, Source: estimate.Active}, &b.refused) != nil {
		return
	}
	l.heard = now
	l.path.AddRequests(now, 1, 0, &b.refused) //nolint:errcheck // likewise
	if l.isPOP && b.coords.Observe(string(b.pops[from].name), p.To, rtt) == nil {
		b.pops[from].observed++
	}
}

// isTarget reports whether something is a POP of the fleet, or can be an origin.
func (b *Book) isTarget(to string) bool {
	if strings.Contains(to, "://") {
		clean, err := cdn.ParseOriginURL(to)
		return err == nil && clean == to
	}
	_, ok := b.known(cdn.POPName(to))
	return ok
}

// publishLinks returns the links that have changed, and those that are gone.
func (b *Book) publishLinks(now time.Time) (changed []*cdn.Link, gone [][2]string) {
	for key, l := range b.links {
		if now.Sub(l.heard) > linkIdle {
			b.dropLink(key)
			continue
		}
		q := b.linkQuality(now, key.from, l)
		if q.R50 <= 0 { // it has never answered
			continue
		}
		from := b.pops[key.from].name
		due := l.row == nil || now.Sub(l.rowAt) >= lifetime(hash(cdn.GroupName(string(from)+key.to)))
		if !due && !moved(&l.row.Quality, &q) {
			continue
		}
		l.row, l.rowAt = &cdn.Link{From: from, To: key.to, Quality: q}, now
		changed = append(changed, l.row)
	}
	gone, b.lostLinks = b.lostLinks, nil
	slices.SortFunc(changed, func(x, y *cdn.Link) int { return cmp.Or(cmp.Compare(x.From, y.From), cmp.Compare(x.To, y.To)) })
	slices.SortFunc(gone, func(x, y [2]string) int { return cmp.Or(cmp.Compare(x[0], y[0]), cmp.Compare(x[1], y[1])) })
	return changed, gone
}

// dropLink forgets a link; the next slot says so.
func (b *Book) dropLink(key linkKey) {
	if row := b.links[key].row; row != nil {
		b.lostLinks = append(b.lostLinks, [2]string{string(row.From), row.To})
	}
	delete(b.links, key)
}

func (b *Book) linkQuality(now time.Time, from uint16, l *link) cdn.Quality {
	e := l.path.Estimate(now)
	out := belief{Estimate: e, n: e.N, age: e.Age, failures: e.Requests.Rate(0)}
	if !l.isPOP { // nobody knows where an origin is
		return out.quality(now)
	}
	if km := b.pops[from].place.km(b.pops[l.target].place); !math.IsNaN(km) {
		out.Estimate = e.Over(estimate.Geographic(km))
	}
	return out.quality(now)
}

// Behind returns the round trips in ms from POPs to whom they ask for what they do not have: the nearest of a POP's parents, or without
// any the origins, on average. POPs of which it is not known are not in it.
func (b *Book) Behind(now time.Time) map[cdn.POPName]float64 {
	behind := make(map[cdn.POPName]float64)
	origins := make(map[cdn.POPName]int)
	for key, l := range b.links {
		e := l.path.Estimate(now)
		p := &b.pops[key.from]
		if e.N == 0 {
			continue
		}
		ms, known := behind[p.name]
		switch {
		case len(p.parents) == 0 && !l.isPOP:
			behind[p.name] = ms + e.R50
			origins[p.name]++
		case l.isPOP && slices.Contains(p.parents, cdn.POPName(key.to)) && (!known || e.R50 < ms):
			behind[p.name] = e.R50
		}
	}
	for name, n := range origins {
		behind[name] /= float64(n)
	}
	return behind
}
