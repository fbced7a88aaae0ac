package decide

import (
	"time"

	"nearcast/cdn"
)

// Defaults of [cdn.TTLs].
const (
	ordinaryTTL = 20 * time.Second // how long a visitor may stay with a node that has died
	stableTTL   = 60 * time.Second
	leavingTTL  = 10 * time.Second
)

// TTL is for how many seconds a decision of an outlook may be used, on every front.
func TTL(t *cdn.TTLs, o Outlook) uint32 {
	ttl, otherwise := t.Steered, ordinaryTTL
	switch o {
	case Stable:
		ttl, otherwise = t.Stable, stableTTL
	case Leaving:
		ttl, otherwise = t.Draining, leavingTTL
	case Ordinary:
	}
	if ttl == 0 {
		return uint32(otherwise / time.Second)
	}
	return uint32(ttl.Std() / time.Second) //nolint:gosec // at most a week
}
