package zonekey

import (
	"slices"
	"time"

	"nearcast/cdn"
)

const (
	// Propagation is the time from a step until every scheduler is taken to have it. One that is cut off from the control plane for longer is seen
	// in the list of nodes.
	Propagation = time.Hour
	// ParentTTL is the longest TTL that a parent's DS records are taken to have.
	ParentTTL = 48 * time.Hour
	// leastLongest is what the longest TTL of a fleet is taken to be at least.
	leastLongest = 24 * time.Hour
)

// Times are how long states last.
type Times struct {
	// Publish is from published to ready.
	Publish time.Duration
	// Retire is from retired until the key is gone.
	Retire time.Duration
	// Unsigned is from the first key's beginning until its DS may be at the parent.
	Unsigned time.Duration
}

// TimesOf returns those of a fleet.
func TimesOf(f *cdn.Fleet) Times {
	longest := leastLongest
	for i := range f.Zones {
		for _, r := range f.Zones[i].Records {
			longest = max(longest, r.TTL.Std())
		}
	}
	for _, ttl := range []cdn.Duration{f.DNS.TTL.Steered, f.DNS.TTL.Stable, f.DNS.TTL.Draining, f.DNS.TTL.Negative} {
		longest = max(longest, ttl.Std())
	}
	return Times{
		Publish:  cdn.DNSKEYTTL + Propagation,
		Retire:   max(cdn.SignatureLife, ParentTTL) + Propagation,
		Unsigned: longest + Propagation,
	}
}

// Add returns the keys with one more, which is published now, or active if there is no other. It refuses, with an error of kind Conflict,
// while a roll-over is under way. keys stays as it is.
func Add(keys []cdn.ZoneKey, k cdn.ZoneKey, t Times, now time.Time) ([]cdn.ZoneKey, error) {
	now = now.UTC().Truncate(time.Second)
	if k.State, k.Since = cdn.KeyPublished, now; len(keys) == 0 {
		k.State = cdn.KeyActive
	}
	for i := range keys {
		o := &keys[i]
		switch o.State {
		case cdn.KeyActive:
		case cdn.KeyPublished:
			return nil, cdn.Errorf(cdn.Conflict, "", "a roll-over is under way: key %s is being published; it is ready at %s, then give its DS to the parent and confirm it", o.ID, stamp(NextOf(o, t).At))
		case cdn.KeyReady:
			return nil, cdn.Errorf(cdn.Conflict, "", "a roll-over is under way: key %s waits for its DS at the parent; give it to the parent, then: nearcast dnssec confirm", o.ID)
		default:
			return nil, cdn.Errorf(cdn.Conflict, "", "a roll-over is under way: key %s is still needed by what resolvers have cached; it is gone at %s, then try again", o.ID, stamp(NextOf(o, t).At))
		}
	}
	return append(slices.Clone(keys), k), nil
}

// Confirm returns the keys after somebody has seen the DS of the key that is ready at the parent: it is active, and the one before is retired. id
// names the key; empty is whichever is ready. It refuses, with an error of kind Conflict, what is not ready. keys stays as it is.
func Confirm(keys []cdn.ZoneKey, id string, t Times, now time.Time) ([]cdn.ZoneKey, error) {
	i := slices.IndexFunc(keys, func(k cdn.ZoneKey) bool { return k.State == cdn.KeyReady })
	if id != "" {
		if i = slices.IndexFunc(keys, func(k cdn.ZoneKey) bool { return k.ID == id }); i < 0 {
			return nil, cdn.Errorf(cdn.NotFound, "", "there is no key %s; nearcast dnssec status lists them", id)
		}
	}
	if i < 0 {
		// Without a name, what somebody may mean is the key that is on its way.
		i = slices.IndexFunc(keys, func(k cdn.ZoneKey) bool { return k.State == cdn.KeyPublished })
	}
	if i < 0 {
		return nil, cdn.Errorf(cdn.Conflict, "", "no key waits for its DS; to begin a roll-over: nearcast dnssec roll")
	}
	switch k := &keys[i]; k.State {
	case cdn.KeyReady:
	case cdn.KeyPublished:
		return nil, cdn.Errorf(cdn.Conflict, "", "key %s is not ready: until %s resolvers may have the keys without it, and with its DS at the parent they could not validate; keep the old DS at the parent until then",
			k.ID, stamp(NextOf(k, t).At))
	case cdn.KeyActive:
		return nil, cdn.Errorf(cdn.Conflict, "", "key %s is active already; nothing has to be confirmed", k.ID)
	default:
		return nil, cdn.Errorf(cdn.Conflict, "", "key %s is retired: its DS must not be at the parent any more", k.ID)
	}
	next := slices.Clone(keys)
	for j := range next {
		if next[j].State == cdn.KeyActive {
			next[j].State, next[j].Since = cdn.KeyRetired, now.UTC().Truncate(time.Second)
		}
	}
	next[i].State, next[i].Since = cdn.KeyActive, now.UTC().Truncate(time.Second)
	return next, nil
}

// Advance returns the keys after what time alone brings, and says what that is; nil if it is nothing. keys stays as it is.
func Advance(keys []cdn.ZoneKey, t Times, now time.Time) (next []cdn.ZoneKey, steps []string) {
	for _, k := range keys {
		if at := NextOf(&k, t).At; at.IsZero() || now.Before(at) {
			next = append(next, k)
			continue
		}
		if k.State == cdn.KeyRetired {
			steps = append(steps, "key "+k.ID+" is gone")
			continue
		}
		k.State, k.Since = cdn.KeyReady, now.UTC().Truncate(time.Second)
		steps = append(steps, "key "+k.ID+" is ready: its DS can be given to the parent")
		next = append(next, k)
	}
	if steps == nil {
		return keys, nil
	}
	return next, steps
}

// Late returns the keys with those that are published from now on which came to who answers later than [Propagation] allows for: before are the keys that were in
// force there. It says what that is; nil if there are none. Until then resolvers have been given the keys without them, whatever their date says. keys stays as it is.
func Late(before, keys []cdn.ZoneKey, now time.Time) (next []cdn.ZoneKey, steps []string) {
	next = slices.Clone(keys)
	for i := range next {
		k := &next[i]
		if k.State != cdn.KeyPublished || find(before, k.ID) != nil || now.Sub(k.Since) <= Propagation {
			continue
		}
		steps = append(steps, "key "+k.ID+" is published from now on: it was not in force before")
		k.Since = now.UTC().Truncate(time.Second)
	}
	return next, steps
}

// Jumps says what keys do, put in the place of those before, that no roll-over does, and what comes of it; nil if it is nothing.
func Jumps(before, keys []cdn.ZoneKey) (all []string) {
	if len(before) == 0 {
		return nil
	}
	for _, k := range keys {
		if k.State == cdn.KeyActive && find(before, k.ID) == nil {
			all = append(all, "key "+k.ID+" signs now and was not published before: for up to an hour resolvers have keys without it, and cannot validate")
		}
	}
	for _, k := range before {
		if k.State == cdn.KeyActive && find(keys, k.ID) == nil {
			all = append(all, "key "+k.ID+", which has signed, is gone: what resolvers have of its signatures they cannot validate with new keys")
		}
	}
	return all
}

func find(keys []cdn.ZoneKey, id string) *cdn.ZoneKey {
	if i := slices.IndexFunc(keys, func(k cdn.ZoneKey) bool { return k.ID == id }); i >= 0 {
		return &keys[i]
	}
	return nil
}

// Same reports whether the same keys are in the same states: then the same is answered with them.
func Same(a, b []cdn.ZoneKey) bool {
	return slices.EqualFunc(a, b, func(x, y cdn.ZoneKey) bool { return x.ID == y.ID && x.State == y.State })
}

// Step is what comes next in a key's life.
type Step struct {
	// To is the state that comes: empty for none, or that the key is gone.
	To cdn.KeyState
	// At is when time alone brings it; zero if that is not what brings it.
	At time.Time
}

// NextOf returns what comes next for a key. A step is made after its time, and never before.
func NextOf(k *cdn.ZoneKey, t Times) Step {
	switch k.State {
	case cdn.KeyPublished:
		return Step{cdn.KeyReady, after(k.Since, t.Publish)}
	case cdn.KeyReady:
		return Step{To: cdn.KeyActive}
	case cdn.KeyRetired:
		return Step{At: after(k.Since, t.Retire)}
	case cdn.KeyActive: // until another is confirmed
	}
	return Step{}
}

// after rounds up to a second, in which states are dated rounded down.
func after(since time.Time, wait time.Duration) time.Time { return since.Add(wait + time.Second) }

// ParentKeys are the keys of which the DS is to be at the parent: the one that is ready, or if there is none, the active one.
func ParentKeys(keys []cdn.ZoneKey) (wanted []cdn.ZoneKey) {
	for _, state := range []cdn.KeyState{cdn.KeyReady, cdn.KeyActive} {
		for _, k := range keys {
			if k.State == state {
				return append(wanted, k)
			}
		}
	}
	return nil
}

// DSFrom is when the DS of the only key may be given to the parent, if it is the first: when what was not signed is out of caches. It is zero
// while there are several keys, or the key has followed on another.
func DSFrom(keys []cdn.ZoneKey, t Times) time.Time {
	if len(keys) != 1 || !keys[0].Since.Equal(keys[0].Made) {
		return time.Time{}
	}
	return after(keys[0].Since, t.Unsigned)
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 MST") }
