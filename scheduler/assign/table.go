package assign

import (
	"cmp"
	"slices"
	"strings"

	"nearcast/cdn"
)

// table is a problem that was found valid, in the order that does not depend on the caller's: POPs by name, groups by ID, choices by cost.
type table struct {
	names *names
	pops  []popRow
	// By group: demand, how many choices there are and of which kind, and the choices themselves, MaxCandidates apart.
	demand  []demand
	count   []uint8
	strict  []bool
	choices []choice
}

// demand of a group: as used, on average, and as measured last. Without a controller all three are the same.
type demand struct {
	used, average, last float64
}

type popRow struct {
	capacity float64
	state    State
	near     []choice
}

// row is the choices of a group, the cheapest first.
func (t *table) row(g int) []choice {
	return t.choices[g*MaxCandidates : g*MaxCandidates+int(t.count[g])]
}

// compile checks a problem and makes its table, choices not yet in order. The place of each of the caller's POPs is its number in the table.
func compile(p *Problem) (t *table, place []uint16, err error) {
	if err := checkPOPs(p.POPs); err != nil {
		return nil, nil, err
	}
	if len(p.Groups) == 0 {
		return nil, nil, refuse("no groups: the map would be empty")
	}
	t, place = compilePOPs(p.POPs)
	order, err := orderGroups(p.Groups)
	if err != nil {
		return nil, nil, err
	}
	n := len(p.Groups)
	t.names.groups = make([]string, n)
	t.demand, t.count, t.strict = make([]demand, n), make([]uint8, n), make([]bool, n)
	t.choices = make([]choice, n*MaxCandidates)
	for i := range n {
		g := &p.Groups[i]
		if order != nil {
			g = &p.Groups[order[i]]
		}
		if err := checkGroup(g, len(p.POPs)); err != nil {
			return nil, nil, err
		}
		t.names.groups[i] = g.ID
		t.set(i, g, place)
	}
	return t, place, nil
}

// set fills the row of a group, choices in the caller's order; place translates the POPs.
func (t *table) set(i int, g *Group, place []uint16) {
	t.demand[i], t.strict[i], t.count[i] = demand{g.Demand, g.Demand, g.Demand}, g.Strict, uint8(len(g.Candidates))
	for j, c := range g.Candidates {
		t.choices[i*MaxCandidates+j] = makeChoice(microseconds(c.Cost), place[c.POP])
	}
}

// sort brings every group's choices into order.
func (t *table) sort() {
	for g := range t.count {
		sortChoices(t.row(g))
	}
}

// sortChoices is insertion: rows are short, and mostly in order already.
func sortChoices(row []choice) {
	for i := 1; i < len(row); i++ {
		c := row[i]
		j := i
		for ; j > 0 && row[j-1] > c; j-- {
			row[j] = row[j-1]
		}
		row[j] = c
	}
}

// compilePOPs makes a table without groups, and says where each POP of the caller is in it.
func compilePOPs(pops []POP) (t *table, place []uint16) {
	order := make([]int, len(pops))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(pops[a].Name, pops[b].Name) })
	place = make([]uint16, len(pops))
	sorted := make([]cdn.POPName, len(pops))
	for to, from := range order {
		place[from] = uint16(to)
		sorted[to] = pops[from].Name
	}
	t = &table{names: &names{pops: sorted}, pops: make([]popRow, len(pops))}
	for to, from := range order {
		p := &pops[from]
		row := popRow{p.Capacity, p.State, make([]choice, 0, len(p.Near))}
		for _, c := range p.Near {
			row.near = append(row.near, makeChoice(microseconds(c.Cost), place[c.POP]))
		}
		slices.Sort(row.near)
		t.pops[to] = row
	}
	return t, place
}

// orderGroups returns the order of the groups by ID: nil if they are in it.
func orderGroups(groups []Group) ([]int32, error) {
	sorted := true
	for i := 1; i < len(groups) && sorted; i++ {
		sorted = groups[i-1].ID < groups[i].ID
	}
	if sorted {
		return nil, nil
	}
	order := make([]int32, len(groups))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int { return strings.Compare(groups[a].ID, groups[b].ID) })
	for i := 1; i < len(order); i++ {
		if id := groups[order[i]].ID; id == groups[order[i-1]].ID {
			return nil, refuse("group %q: it is there twice", id)
		}
	}
	return order, nil
}
