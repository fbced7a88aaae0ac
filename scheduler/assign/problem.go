package assign

import (
	"fmt"
	"math"

	"nearcast/cdn"
)

// Limits of a problem and of a map.
const (
	// MaxPOPs is how many POPs there may be.
	MaxPOPs = 4096
	// MaxCandidates is how many candidates a group may have.
	MaxCandidates = 16
	// MaxShares is among how many POPs a group is divided at most.
	MaxShares = 4
	// MaxCost is the highest cost in milliseconds, and the farthest distance of a neighbour.
	MaxCost = 1e6
	// maxAmount is the highest demand and capacity, minCapacity the lowest capacity: what is beyond is a mistake of units.
	maxAmount   = 1e18
	minCapacity = 1e-9
	// maxSum is more than all groups' demand can be.
	maxSum = 1e30
)

// Problem is what is to be solved. The order of POPs and of groups does not matter for the result.
type Problem struct {
	POPs   []POP
	Groups []Group
}

// POP is a point of presence.
type POP struct {
	// Name is unique among the POPs.
	Name cdn.POPName
	// Capacity is how much demand the POP takes, in the unit of the groups' demand: 1e-9 to 1e18.
	Capacity float64
	// State says what the POP may be given. The zero value is [Up].
	State State
	// Near are other POPs and how far they are (as Cost), in any order. A group whose candidates are all full or down is sent on to the
	// neighbours of the first of them; without neighbours it overfills its candidates.
	Near []Candidate
}

// State says what a POP may be given.
type State uint8

// States.
const (
	// Up takes all that fits.
	Up State = iota
	// Draining is about to leave: it takes candidates' traffic as far as it fits but nobody is sent on to it. A [Controller] lowers its
	// capacity to nothing within [Settings.Drain].
	Draining
	// Down takes nothing.
	Down
)

// String returns "up", "draining" or "down".
func (s State) String() string {
	switch s {
	case Up:
		return "up"
	case Draining:
		return "draining"
	case Down:
		return "down"
	}
	return fmt.Sprintf("State(%d)", uint8(s))
}

// Group is clients that are sent to the same POPs in the same shares.
type Group struct {
	// ID is unique among the groups, not empty and at most 255 octets.
	ID string
	// Demand is how much its clients ask for, in any unit that is that of the capacities: 0 to 1e18. Zero is a group nobody is known of, which has its place
	// in the map nevertheless.
	Demand float64
	// Candidates are the POPs that the group may be sent to: 1 to MaxCandidates, in any order.
	Candidates []Candidate
	// Strict groups are never sent to a POP that is not a candidate. If none of their candidates is up they have no POP.
	Strict bool
}

// Candidate is a POP and what it costs to be sent there.
type Candidate struct {
	// POP is its index in Problem.POPs.
	POP uint16
	// Cost in milliseconds: 0 to MaxCost. It may have anything in it that counts, such as a price; only differences matter.
	Cost float32
}

// refuse is the error for an input that cannot be right.
func refuse(format string, args ...any) error {
	return cdn.Errorf(cdn.Invalid, "scheduler/assign", format, args...)
}

// checkPOPs refuses POPs that cannot be right.
func checkPOPs(pops []POP) error {
	if len(pops) == 0 {
		return refuse("no POPs: there must be at least one")
	}
	if len(pops) > MaxPOPs {
		return refuse("%d POPs: at most %d are possible", len(pops), MaxPOPs)
	}
	seen := make(map[cdn.POPName]bool, len(pops))
	for i := range pops {
		p := &pops[i]
		switch {
		case p.Name == "" || len(p.Name) > 255:
			return refuse("POP %d: its name has %d octets, want 1 to 255", i, len(p.Name))
		case seen[p.Name]:
			return refuse("POP %s: it is there twice", p.Name)
		case !(p.Capacity >= minCapacity) || p.Capacity > maxAmount:
			return refuse("POP %s: capacity %v, want a number above 0 (a POP that is to take nothing is down)", p.Name, p.Capacity)
		case p.State > Down:
			return refuse("POP %s: unknown state %d", p.Name, p.State)
		}
		seen[p.Name] = true
		if err := checkCandidates(p.Near, len(pops)); err != nil {
			return refuse("POP %s: neighbours: %w", p.Name, err)
		}
	}
	return nil
}

// checkGroup refuses a group that cannot be right, among so many POPs.
func checkGroup(g *Group, pops int) error {
	switch {
	case g.ID == "" || len(g.ID) > 255:
		return refuse("group %q: its ID has %d octets, want 1 to 255", g.ID, len(g.ID))
	case !(g.Demand >= 0) || g.Demand > maxAmount:
		return refuse("group %s: demand %v, want a number from 0", g.ID, g.Demand)
	case len(g.Candidates) == 0 || len(g.Candidates) > MaxCandidates:
		return refuse("group %s: %d candidates, want 1 to %d", g.ID, len(g.Candidates), MaxCandidates)
	}
	if err := checkCandidates(g.Candidates, pops); err != nil {
		return refuse("group %s: candidates: %w", g.ID, err)
	}
	return nil
}

func checkCandidates(list []Candidate, pops int) error {
	for i, c := range list {
		switch {
		case int(c.POP) >= pops:
			return fmt.Errorf("there is no POP %d, only %d", c.POP, pops)
		case !(c.Cost >= 0) || c.Cost > MaxCost:
			return fmt.Errorf("POP %d: cost %v ms, want 0 to %.0f", c.POP, c.Cost, float64(MaxCost))
		}
		for _, d := range list[:min(i, MaxCandidates)] {
			if d.POP == c.POP {
				return fmt.Errorf("POP %d is there twice", c.POP)
			}
		}
	}
	return nil
}

// choice is a candidate as one number that sorts by cost, then by POP: microseconds in the upper 48 bits, the POP in the lower 16.
type choice uint64

const popBits = 16

func (c choice) pop() int    { return int(c & (1<<popBits - 1)) }
func (c choice) cost() int64 { return int64(c >> popBits) }

// microseconds of a valid cost.
func microseconds(cost float32) uint64 { return uint64(math.Round(float64(cost) * 1000)) }

func makeChoice(micros uint64, pop uint16) choice { return choice(micros<<popBits | uint64(pop)) }
