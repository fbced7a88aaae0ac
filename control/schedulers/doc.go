// Package schedulers asks the fleet's schedulers, over their own APIs, where they send a visitor and from which map. Operators ask the
// control plane, which hands it on.
//
// It is not for telling schedulers anything: they follow the feed.
package schedulers
