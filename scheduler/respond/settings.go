package respond

import (
	"nearcast/cdn"
	"nearcast/scheduler/decide"
)

// Settings are what a fleet says of answers, with every default filled in.
type Settings struct {
	Steered, Stable, Draining uint32 // TTLs of addresses, in seconds
	Amplification             int    // how many times as long as a query an answer may be to who may not have sent it
	Version                   string // of version.bind; empty is not told
}

// defaults of [cdn.DNS].
const (
	steeredTTL    = 20 // how long a visitor may stay with a node that has died
	stableTTL     = 60
	drainingTTL   = 10
	amplification = 4
)

// SettingsOf returns the settings of a fleet.
func SettingsOf(d *cdn.DNS) Settings {
	seconds := func(ttl cdn.Duration, otherwise uint32) uint32 {
		if ttl == 0 {
			return otherwise
		}
		return uint32(ttl.Std().Seconds()) //nolint:gosec // at most a week
	}
	s := Settings{
		Steered:       seconds(d.TTL.Steered, steeredTTL),
		Stable:        seconds(d.TTL.Stable, stableTTL),
		Draining:      seconds(d.TTL.Draining, drainingTTL),
		Amplification: d.Amplification,
		Version:       d.Version,
	}
	if s.Amplification == 0 {
		s.Amplification = amplification
	}
	return s
}

// TTL is for how many seconds a decision of an outlook may be used.
func (s *Settings) TTL(o decide.Outlook) uint32 {
	switch o {
	case decide.Stable:
		return s.Stable
	case decide.Leaving:
		return s.Draining
	case decide.Ordinary:
	}
	return s.Steered
}
