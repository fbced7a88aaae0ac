package cdn

import "time"

// Revision numbers the entries of the purge log: 1, 2, 3, ... Zero means none.
type Revision uint64

// Purge is an entry of the purge log: what was stored of these URLs before the
// entry must not be served after it.
type Purge struct {
	// Revision is the entry's place in the log.
	Revision Revision `json:"revision"`
	// ID is the name under which the caller can follow the purge.
	ID string `json:"id"`
	// Targets are the URLs, at least one, in normal form.
	Targets []Target `json:"targets"`
	// At is when it was accepted, and By who asked.
	At time.Time `json:"at"`
	By string    `json:"by,omitempty"`
}
