package wire

import "nearcast/cdn"

// SchedulerMap is what one scheduler answers from.
type SchedulerMap struct {
	// URL is of the scheduler's API.
	URL string `json:"url"`
	// Error says why Map is not there; empty if it is.
	Error string         `json:"error,omitempty"`
	Map   *cdn.MapStatus `json:"map,omitempty"`
}

// SchedulerAcceptance is what one scheduler answers to somebody who says that what it does not believe is true.
type SchedulerAcceptance struct {
	// URL is of the scheduler's API.
	URL string `json:"url"`
	// Error says why it does not answer; empty if it does.
	Error string `json:"error,omitempty"`
	// Believes says that it has refused nothing and its map is not frozen: there was nothing to accept.
	Believes bool `json:"believes,omitempty"`
	cdn.MapAcceptance
}

// Table is the route table as the control plane follows it, or a part of it.
type Table struct {
	// Groups and Links are how many there are that were asked for; the table may have fewer of them.
	Groups int `json:"groups"`
	Links  int `json:"links"`
	// Table has what was asked for. Groups are in the order of their demand if their number was limited, the biggest first.
	Table *cdn.RouteTable `json:"table"`
}

// TableQuery says which part of the table is wanted; zero is all of it.
type TableQuery struct {
	// Only is "groups", "links" or "health": the rest is left out. Empty means all.
	Only string
	// Group is a part of the names of the groups that are wanted, without regard to letter case. Empty means all.
	Group string
	// Limit is the most groups and the most links. Zero means all.
	Limit int
}
