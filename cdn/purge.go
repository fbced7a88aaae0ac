package cdn

import "time"

// Revision numbers the entries of the purge log: 1, 2, 3, ... Zero means none.
type Revision uint64

// Bounds of one purge; more is several purges.
const (
	MaxPurgeURLs   = 1000 // URLs
	MaxPurgeScopes = 256  // scopes of every other kind together
)

// Purge is an entry of the purge log: what was stored of its targets and scopes before the
// entry must not be served after it, or only as a stale response if the purge is soft.
//
// Whatever reads an entry must fail on a [ScopeKind] that it does not know, as decoding does: it could cover anything.
type Purge struct {
	// Revision is the entry's place in the log.
	Revision Revision `json:"revision"`
	// ID is the name under which the caller can follow the purge.
	ID string `json:"id"`
	// Targets are URLs, in normal form. Entries from before there were scopes have nothing else.
	Targets []Target `json:"targets,omitempty"`
	// Scopes are what it covers besides.
	Scopes []Scope `json:"scopes,omitempty"`
	// Soft says that what is covered becomes stale instead of going away: it may be served where the site allows stale responses, and
	// is validated otherwise.
	Soft bool `json:"soft,omitempty"`
	// At is when it was accepted, and By who asked.
	At time.Time `json:"at"`
	By string    `json:"by,omitempty"`
}
