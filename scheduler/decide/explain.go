package decide

import (
	"fmt"
	"math"
	"slices"
	"time"

	"nearcast/cdn"
	"nearcast/internal/locate"
	"nearcast/scheduler/assign"
	"nearcast/scheduler/view"
)

// Explain tells why a visitor is sent where [Answer] sends it. The scheduler's name is the caller's to fill in.
func Explain(v *view.View, q Query) cdn.RouteExplanation {
	a := ask(v, &q)
	d := Answer(v, q)
	site, _ := v.Site(q.Domain)
	x := cdn.RouteExplanation{
		Name: q.Domain, Site: site, Client: q.Client.String(), Place: describe(v, a.place), Scope: d.Scope, POP: d.POP, Nodes: []cdn.NodeName{}, Reason: d.Reason,
		Candidates: []cdn.RouteCandidate{}, TableAge: tableAge(v, q.Now), Alarms: Alarms(v),
	}
	if !q.Client.IsValid() {
		x.Client = ""
	}
	for _, n := range d.Nodes {
		x.Nodes = append(x.Nodes, n.Name)
	}
	if a.verdict != nil {
		x.Policies = a.verdict.Policies
	}
	if v.Chart != nil {
		x.Map = v.Chart.Version
		if a.group >= 0 {
			x.Group = v.Chart.Names[a.group]
		}
	}
	x.Candidates = append(x.Candidates, candidates(v, &q, &a, &d)...)
	return x
}

// describe is a place in words.
func describe(v *view.View, place int) string {
	if place == locate.None {
		return ""
	}
	p := &v.Clients.Places()[place]
	words := ""
	add := func(s string) {
		if s != "" && words != "" {
			words += ", "
		}
		words += s
	}
	add(p.City)
	add(p.Region)
	add(p.Location.Country)
	if p.Coordinates == locate.Given {
		add(fmt.Sprintf("%.2f %.2f", p.Location.Latitude, p.Location.Longitude))
	}
	if p.ASN != 0 {
		add(fmt.Sprintf("AS%d", p.ASN))
	}
	add(p.ISP)
	return words
}

// tableAge is the age in seconds of the route table; -1 if there is none.
func tableAge(v *view.View, now time.Time) float64 {
	if v.Received.IsZero() {
		return -1
	}
	return max(now.Sub(v.Received).Seconds(), 0)
}

// Alarms are what somebody should look at.
func Alarms(v *view.View) []string {
	list := slices.Clone(v.Alarms)
	if v.Chart != nil {
		list = append(list, v.Chart.Alarms...)
		list = append(list, v.Chart.Table.Alarms...)
	}
	if v.HealthIgnored {
		list = append(list, "more than half of the edge nodes look unusable: all are used")
	}
	return list
}

// candidates are the POPs as the visitor sees them: those of its group in the map, or else the nearest.
func candidates(v *view.View, q *Query, a *asker, d *Decision) []cdn.RouteCandidate {
	if v.Chart != nil {
		if g := v.Chart.Group(a.group, a.class); g >= 0 {
			choices, _ := v.Chart.Explainer.Explain(v.Chart.Map.ID(g))
			list := make([]cdn.RouteCandidate, len(choices))
			for i := range choices {
				list[i] = fromChoice(v, q, a, &choices[i])
			}
			return list
		}
	}
	return byGeography(v, q, a, d)
}

func fromChoice(v *view.View, q *Query, a *asker, c *assign.Choice) cdn.RouteCandidate {
	out := cdn.RouteCandidate{
		POP: c.POP, Cost: c.Cost, Share: float64(c.Weight) / assign.Whole, State: c.State.String(), Planned: c.Utilisation, Load: known(c.Load), Age: -1, Why: c.Reason,
	}
	if c.Neighbour {
		out.Why += ", as a neighbour of the first"
	}
	if pop := v.POP(c.POP); pop >= 0 {
		measure(v, q, a, pop, &out)
	}
	return out
}

// shown is how many POPs are shown to whom the map does not know.
const shown = 16

// byGeography are the POPs that are nearest to a visitor, or those that it may get.
func byGeography(v *view.View, q *Query, a *asker, d *Decision) []cdn.RouteCandidate {
	var order []int
	if a.place != locate.None {
		order = v.Nearest(a.place)
	}
	if order == nil {
		for pop := range v.POPs {
			order = append(order, pop)
		}
	}
	chosen := v.POP(d.POP)
	if chosen >= 0 && !slices.Contains(order, chosen) {
		order = append([]int{chosen}, order...)
	}
	var list []cdn.RouteCandidate
	for _, pop := range order {
		if len(list) == shown {
			break
		}
		c := cdn.RouteCandidate{POP: v.POPs[pop].Name, State: state(v, pop), Load: known(v.Load[pop]), Planned: v.Chart.Planned(pop), Age: -1}
		c.Why = why(v, a, pop, chosen)
		if pop == chosen {
			c.Share = 1
		}
		c.Cost = measure(v, q, a, pop, &c)
		list = append(list, c)
	}
	return list
}

// why says in a word why a POP that the map does not give out is chosen or not.
func why(v *view.View, a *asker, pop, chosen int) string {
	switch {
	case pop == chosen:
		return "chosen"
	case !a.verdict.Allows(pop):
		return "forbidden by policy"
	case len(v.Usable[pop].Nodes) == 0:
		return assign.ReasonDown
	case v.Usable[pop].Draining:
		return "draining"
	case !hasRoom(v, pop):
		return assign.ReasonFull
	}
	return "farther"
}

func state(v *view.View, pop int) string {
	switch {
	case len(v.Usable[pop].Nodes) == 0:
		return assign.Down.String()
	case v.Usable[pop].Draining:
		return assign.Draining.String()
	}
	return assign.Up.String()
}

// measure fills in what is believed of the way to a POP, and returns the cost.
func measure(v *view.View, q *Query, a *asker, pop int, c *cdn.RouteCandidate) float64 {
	path := quality(v, a, pop)
	t := terms(v, a, pop, &path)
	c.Terms, c.N = t.List(), float64(path.N)
	if path.Measured > 0 && !q.Now.IsZero() {
		c.Age = max(q.Now.Sub(time.Unix(path.Measured, 0)).Seconds(), 0)
	}
	return t.Sum()
}

// known has -1 for what is not known.
func known(u float64) float64 {
	if math.IsNaN(u) {
		return -1
	}
	return u
}

// Status tells what is answered from. The scheduler's name is the caller's to fill in.
func Status(v *view.View, now time.Time) cdn.MapStatus {
	s := cdn.MapStatus{TableAge: tableAge(v, now), Ageing: "static", Alarms: Alarms(v), POPs: make([]cdn.MapPOP, len(v.POPs))}
	total := 0.0
	if c := v.Chart; c != nil {
		s.Map, s.Frozen, s.Moved = c.Version, c.Frozen, c.Moved
		s.Groups = c.Map.Len() - 1 // without that of the rest
		switch {
		case c.Weight >= 1:
			s.Ageing = "fresh"
		case c.Weight > 0:
			s.Ageing = "ageing"
		}
		if s.Ageing == "fresh" && s.TableAge > view.MaxTableAge.Seconds() {
			s.Ageing = "ageing"
		}
		for pop := range v.POPs {
			seen, _ := c.Seen(pop)
			total += seen.Planned
			s.Capacity += seen.Capacity
		}
	}
	if v.Chart == nil {
		for pop := range v.POPs {
			s.Capacity += v.POPs[pop].Capacity
		}
	}
	s.Demand = total
	for pop := range v.POPs {
		s.POPs[pop] = statusOf(v, pop, total)
	}
	return s
}

func statusOf(v *view.View, pop int, total float64) cdn.MapPOP {
	p := cdn.MapPOP{
		POP: v.POPs[pop].Name, Draining: v.POPs[pop].Draining, Nodes: len(v.POPs[pop].Nodes), Usable: len(v.Usable[pop].Nodes), Load: known(v.Load[pop]),
		Capacity: v.POPs[pop].Capacity, Factor: 1,
	}
	if h := v.Health[pop]; h != nil {
		p.State, p.Octets, p.HitRatio = h.State, h.Octets, h.HitRatio
	}
	if seen, ok := v.Chart.Seen(pop); ok {
		p.Planned, p.Factor, p.Capacity = seen.Planned/seen.Capacity, seen.Factor, seen.Capacity
		if total > 0 {
			p.Share = seen.Planned / total
		}
	}
	return p
}
