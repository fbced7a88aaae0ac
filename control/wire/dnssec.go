package wire

import (
	"time"

	"nearcast/cdn"
)

// DNSSEC is how zones are signed.
type DNSSEC struct {
	// Generation is the version that this is of.
	Generation cdn.Generation `json:"generation"`
	// Signed says that zones are signed: what the fleet file has as dns.signed.
	Signed bool `json:"signed"`
	// Keys are in the order in which they were made.
	Keys []ZoneKey `json:"keys"`
	// DS are the records that the parents of the zones are to have, one for each zone, as in a zone file; the old ones are to be replaced.
	DS []string `json:"ds"`
	// DSFrom is when they may be given to the parents, if that is later than now.
	DSFrom time.Time `json:"ds_from,omitzero"`
}

// ZoneKey is a key without its private half.
type ZoneKey struct {
	ID    string       `json:"id"`
	Tag   uint16       `json:"tag"`
	State cdn.KeyState `json:"state"`
	Since time.Time    `json:"since"`
	Made  time.Time    `json:"made"`
	// Next is the state that comes: "gone" at the end, empty if none does.
	Next string `json:"next,omitempty"`
	// NextAt is when; zero if it comes by a confirmation, or by another key's.
	NextAt time.Time `json:"next_at,omitzero"`
}

// ConfirmRequest says that the DS of a key is at the parents.
type ConfirmRequest struct {
	// Key is the key's ID; empty is the one that waits for it.
	Key string `json:"key,omitempty"`
	// Force is the explicit yes although a scheduler is silent, or has not the newest version.
	Force bool `json:"force,omitempty"`
}
