package cdn

import "time"

// MapVersion names a map of a scheduler. Schedulers whose maps have equal Epoch, Version and Digest answer alike.
type MapVersion struct {
	Epoch   string `json:"epoch"`   // of the route table that it was made of
	Version uint64 `json:"version"` // likewise
	Slot    uint64 `json:"slot"`
	Digest  string `json:"digest"` // SHA-256 of its content in hex
	Steps   uint64 `json:"steps"`  // how many steps its maker has seen, the makers before it included; one that somebody has accepted counts twice
	// Generation is of the configuration that it was made for. Maps for different ones need not be the same.
	Generation Generation `json:"generation,omitempty"`
	At         time.Time  `json:"at"` // when it was made, by the scheduler's clock
}

// MapStatus is what a scheduler answers from.
type MapStatus struct {
	Scheduler NodeName   `json:"scheduler"`
	Map       MapVersion `json:"map"`
	// TableAge is the time in seconds since the route table was received or confirmed; -1 if there is none.
	TableAge float64 `json:"table_age"`
	// Ageing says how much is left of what was measured: "fresh", "ageing", or "static" (geography only).
	Ageing string `json:"ageing"`
	Groups int    `json:"groups"`
	// Demand and Capacity are in octets a second; Moved is the part of the demand that the last step has moved.
	Demand   float64 `json:"demand"`
	Capacity float64 `json:"capacity"`
	Moved    float64 `json:"moved"`
	// Frozen says why the map is not what was measured; empty if it is.
	Frozen string   `json:"frozen,omitempty"`
	Alarms []string `json:"alarms,omitempty"`
	POPs   []MapPOP `json:"pops"`
}

// MapAcceptance is a scheduler's answer to somebody who has looked and says that what it does not believe is true.
type MapAcceptance struct {
	Scheduler NodeName `json:"scheduler,omitempty"`
	// Accepted is what it did not believe; it makes the map from the next step on, within [SlotTime] as long as there are route tables.
	Accepted string `json:"accepted,omitempty"`
}

// MapPOP is a POP in a [MapStatus].
type MapPOP struct {
	POP      POPName  `json:"pop"`
	State    POPState `json:"state"`
	Draining bool     `json:"draining,omitempty"`
	Nodes    int      `json:"nodes"`
	Usable   int      `json:"usable"`
	// Share is the part of all visitors' demand that is sent there.
	Share float64 `json:"share"`
	// Planned is the utilisation that the map plans, Load what was measured (-1 if unknown).
	Planned float64 `json:"planned"`
	Load    float64 `json:"load"`
	// Factor is the part of its capacity that it really takes, as learnt.
	Factor   float64 `json:"factor"`
	Capacity float64 `json:"capacity"` // octets a second
	Octets   float64 `json:"octets"`   // sent in a second, as measured
	HitRatio float64 `json:"hit_ratio"`
}

// RouteExplanation is why a visitor is sent where it is.
type RouteExplanation struct {
	Scheduler NodeName `json:"scheduler"`
	Name      Domain   `json:"name"`
	Site      SiteName `json:"site,omitempty"`
	Client    string   `json:"client"`
	// Group is of the map; empty if the visitor is in none. Place is where the visitor is, in words; empty if unknown.
	Group GroupName `json:"group,omitempty"`
	Place string    `json:"place,omitempty"`
	// Scope is the length of the prefix around Client for which the answer holds.
	Scope int `json:"scope"`
	// POP and Nodes are the answer, and Reason is why; POP is empty if there is none.
	POP    POPName    `json:"pop,omitempty"`
	Nodes  []NodeName `json:"nodes"`
	Reason string     `json:"reason"`
	// Policies are the names of those that match.
	Policies   []string         `json:"policies,omitempty"`
	Candidates []RouteCandidate `json:"candidates"`
	Map        MapVersion       `json:"map"`
	TableAge   float64          `json:"table_age"` // seconds, -1 if there is none
	Alarms     []string         `json:"alarms,omitempty"`
}

// RouteCandidate is a POP as a visitor's group sees it.
type RouteCandidate struct {
	POP POPName `json:"pop"`
	// Cost in milliseconds as it is used, and the terms as they were measured last, which differ from it by less than the dead-band.
	Cost  float64    `json:"cost"`
	Terms []CostTerm `json:"terms,omitempty"`
	// Share is the part of the group's visitors that it gets, 0 to 1.
	Share float64 `json:"share"`
	State string  `json:"state"`
	// Planned and Load are as in [MapPOP].
	Planned float64 `json:"planned"`
	Load    float64 `json:"load"`
	// N is the weight in samples behind the cost, and Age the time in seconds since the newest; -1 if there is none.
	N   float64 `json:"n"`
	Age float64 `json:"age"`
	// Why says why it has its share.
	Why string `json:"why"`
}

// CostTerm is a part of a cost.
type CostTerm struct {
	Term string  `json:"term"` // rtt, jitter, loss, failures, miss, price or policy
	MS   float64 `json:"ms"`
}

// Relief says where the visitors of a POP would be sent if it were not there.
type Relief struct {
	// Map names the map that says so.
	Map MapVersion `json:"map"`
	// Default is for visitors that are in no group of Groups; empty if there is no other POP.
	Default POPName `json:"default,omitempty"`
	// Groups are those that are sent to the POP, with where else they would be.
	Groups map[GroupName]POPName `json:"groups,omitempty"`
	// Stay are groups that are sent to the POP and may go nowhere else.
	Stay []GroupName `json:"stay,omitempty"`
}
