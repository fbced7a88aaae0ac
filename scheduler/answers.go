package scheduler

import (
	"slices"

	"nearcast/cdn"
	"nearcast/scheduler/dnssec"
	"nearcast/scheduler/respond"
	"nearcast/scheduler/rrl"
)

// answersOf returns what DNS is answered with by a configuration, beside the view. Signatures and limits go on from what there was. Callers hold compiling.
func (s *Server) answersOf(snapshot *cdn.Snapshot) (respond.State, error) {
	dns := &snapshot.Fleet.DNS
	next := respond.State{Settings: respond.SettingsOf(dns)}
	s.steering.Lock()
	before := s.answers
	s.steering.Unlock()
	keys := (*dnssec.Keys)(nil)
	if dns.Signed && len(snapshot.ZoneKeys) == 0 && s.keys != nil { // parents say that the zones are signed: without signatures there would be none for who validates
		return next, cdn.Errorf(cdn.Invalid, "scheduler.Apply", "configuration %d has lost the keys of its zones, which it says are signed: the one before stays in force", snapshot.Generation)
	}
	if dns.Signed && len(snapshot.ZoneKeys) > 0 { // the version that says it first may have none yet
		var secrets [][]byte
		if s.zoneSecrets != nil {
			secrets = s.zoneSecrets()
		}
		var err error
		if keys, err = s.keys.Next(snapshot.ZoneKeys, secrets...); err != nil {
			return next, err //nolint:wrapcheck // Apply does
		}
		next.Signer = dnssec.NewSigner(keys, before.Signer)
	}
	limit := rrl.Default()
	if dns.RateLimit != nil {
		limit = *dns.RateLimit
	}
	switch {
	case limit.PerSecond == 0:
	case before.Limiter != nil && sameLimit(&limit, &s.limit):
		next.Limiter = before.Limiter
	default:
		next.Limiter = rrl.New(limit, seed())
	}
	s.keys, s.limit = keys, limit
	return next, nil
}

func sameLimit(a, b *cdn.RateLimit) bool {
	return a.PerSecond == b.PerSecond && a.Burst == b.Burst && a.Slip == b.Slip && slices.Equal(a.Exempt, b.Exempt) && (a.Exempt == nil) == (b.Exempt == nil)
}

// signatures are what is known of the signatures that were made, by the signer in use.
func (s *Server) signatures() dnssec.Stats {
	if state := s.state.Load(); state != nil && state.Signer != nil {
		return state.Signer.Stats()
	}
	return dnssec.Stats{}
}
