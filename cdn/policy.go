package cdn

import (
	"net/netip"
	"time"
)

// Policy is an operator's will about where visitors go, which goes before what is measured. Of all that match a visitor, in
// their order: only POPs that every Allow names and no Deny names may be chosen; the first Pin or Weights decides alone; the
// milliseconds of every Prefer are added.
type Policy struct {
	// Name is for people; unique in the fleet.
	Name string `json:"name"`
	// Match says whom it is for; without a condition, for everybody.
	Match PolicyMatch `json:"match,omitzero"`
	// Allow are the only POPs that may be chosen, whatever fails; empty means all.
	Allow []POPName `json:"allow,omitempty"`
	// Deny are POPs that must not be chosen, whatever fails.
	Deny []POPName `json:"deny,omitempty"`
	// Pin is the POP that is chosen while it is up, and neither denied nor drained.
	Pin POPName `json:"pin,omitempty"`
	// Weights divide visitors among POPs that are up, and neither denied nor drained, whatever they cost.
	Weights []POPWeight `json:"weights,omitempty"`
	// Prefer makes POPs cheaper or dearer.
	Prefer []POPPreference `json:"prefer,omitempty"`
}

// PolicyMatch says whom a policy is for. All conditions that are there must hold; of a list, one item.
type PolicyMatch struct {
	// Countries are ISO 3166-1 codes, such as DE.
	Countries []string `json:"countries,omitempty"`
	// ISPs are carriers by name, without regard to letter case, or as AS64500.
	ISPs []string `json:"isps,omitempty"`
	// Prefixes are of visitors' addresses.
	Prefixes []netip.Prefix `json:"prefixes,omitempty"`
	// Sites are those that visitors want.
	Sites []SiteName `json:"sites,omitempty"`
	// Window is when; zero is always.
	Window Window `json:"window,omitzero"`
}

// Window is a span of time, once or on days of the week.
type Window struct {
	// From and Until bound it; zero is unbounded.
	From  time.Time `json:"from,omitzero"`
	Until time.Time `json:"until,omitzero"`
	// Days are those of the week, "mon" to "sun"; empty means all.
	Days []string `json:"days,omitempty"`
	// Begin and End bound it within a day, "15:04"; both empty means the whole day. An End that is not after Begin is on the next day,
	// which then counts for the day of Begin.
	Begin string `json:"begin,omitempty"`
	End   string `json:"end,omitempty"`
	// Zone is the time zone of Days, Begin and End by its IANA name; empty means UTC.
	Zone string `json:"zone,omitempty"`
}

// POPWeight is a POP's part of a division.
type POPWeight struct {
	POP    POPName `json:"pop"`
	Weight int     `json:"weight"` // 1 to 1000
}

// POPPreference makes a POP cheaper (below zero) or dearer.
type POPPreference struct {
	POP POPName `json:"pop"`
	MS  float64 `json:"ms"` // added to its cost in milliseconds; -1000 to 1000
}
