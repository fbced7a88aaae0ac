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

// amplification is the default of [cdn.DNS.Amplification].
const amplification = 4

// SettingsOf returns the settings of a fleet.
func SettingsOf(d *cdn.DNS) Settings {
	s := Settings{
		Steered: decide.TTL(&d.TTL, decide.Ordinary), Stable: decide.TTL(&d.TTL, decide.Stable), Draining: decide.TTL(&d.TTL, decide.Leaving),
		Amplification: d.Amplification, Version: d.Version,
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
