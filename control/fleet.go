package control

import (
	"context"
	"fmt"

	"nearcast/cdn"
	"nearcast/control/compile"
	"nearcast/control/drain"
)

// acceptAttempts is how often a fleet file is tried to be accepted again when another change was faster.
const acceptAttempts = 5

// refusal is a fleet file that was not put into force.
type refusal struct{ why error }

// putFleet appends cfg.Fleet as a new version if it is not in force already. One that may not be put into force in the place of another is refused: what was
// stays in force, and whoever else wants something of the control plane gets it.
func (s *Server) putFleet(ctx context.Context) error {
	old, err := s.latest(ctx)
	if err != nil {
		return err
	}
	if old.Generation > 0 {
		s.setCurrent(old)
	}
	if s.cfg.Fleet == nil {
		return nil
	}
	next := s.withFleet(old)
	if old.Generation > 0 && next.Digest() == old.Digest() {
		return nil
	}
	err = fits(next)
	if err == nil {
		if err = compile.Shrunk(old, next); err != nil {
			err = cdn.Errorf(cdn.Invalid, "", "%w; if that is meant: nearcast fleet accept", err)
		}
	}
	if err != nil && old.Generation > 0 {
		s.refused.Store(&refusal{err})
		s.cfg.Log.ErrorContext(ctx, "the fleet file is refused; what was before stays in force", "generation", old.Generation, "error", err)
		return nil
	}
	if err != nil {
		return err
	}
	return s.append(ctx, old, next, "the fleet file at start")
}

// latest is the newest version, an empty one if there is none.
func (s *Server) latest(ctx context.Context) (*cdn.Snapshot, error) {
	old, err := s.store.Latest(ctx)
	if cdn.KindOf(err) == cdn.NotFound {
		return &cdn.Snapshot{}, nil
	}
	return old, err
}

// withFleet is a version with cfg.Fleet in the place of its own, and the drains of what that still has.
func (s *Server) withFleet(old *cdn.Snapshot) *cdn.Snapshot {
	next := &cdn.Snapshot{Fleet: *s.cfg.Fleet, Sites: old.Sites, ZoneKeys: old.ZoneKeys}
	next.Drains, _ = drain.Keep(s.cfg.Fleet, old.Drains)
	return next
}

// fits says what is wrong with a version as a whole, whatever there was before.
func fits(next *cdn.Snapshot) error {
	if err := compile.Snapshot(next.Fleet, next.Sites); err != nil {
		return fmt.Errorf("the fleet does not fit the sites: %w", err)
	}
	if len(next.Fleet.Nodes) == 0 {
		return cdn.Errorf(cdn.Invalid, "", "the fleet has no node")
	}
	return nil
}

// append puts a version with cfg.Fleet into force.
func (s *Server) append(ctx context.Context, old, next *cdn.Snapshot, by string) error {
	next.At, next.By = s.cfg.Now().UTC(), by
	gen, err := s.store.Append(ctx, old.Generation, next)
	if err != nil {
		return fmt.Errorf("putting the fleet into force: %w", err)
	}
	next.Generation = gen
	s.tellFleet(ctx, old, next)
	s.changed(next)
	return nil
}

// tellFleet logs what a fleet file that is in force now has changed.
func (s *Server) tellFleet(ctx context.Context, old, next *cdn.Snapshot) {
	log := s.cfg.Log
	if len(next.ZoneKeys) > 0 && !next.Fleet.DNS.Signed {
		log.WarnContext(ctx, "the fleet file has zones no longer signed: the parents must have no DS of them any more, or nobody who validates finds them")
	}
	_, gone := drain.Keep(&next.Fleet, old.Drains)
	for _, d := range gone {
		log.WarnContext(ctx, "a drain ends: the fleet file has no such thing that visitors are sent to", "drain", d.Name(), "since", d.Since, "by", d.By)
	}
	if len(next.Drains) > 0 && drain.Working(&next.Fleet, next.Drains, nil) == 0 {
		log.ErrorContext(ctx, "every edge POP of the fleet file is drained; undo a drain")
	}
	log.InfoContext(ctx, "audit", "what", "fleet", "by", next.By, "generation", next.Generation, "nodes_before", len(old.Fleet.Nodes), "nodes", len(next.Fleet.Nodes))
}

// fleetFile is the server for its API.
type fleetFile struct{ s *Server }

// Refused says why the fleet file is not in force; empty if it is.
func (f fleetFile) Refused() string {
	if r := f.s.refused.Load(); r != nil {
		return r.why.Error()
	}
	return ""
}

// Accept puts the fleet file into force although it leaves little of what there was.
func (f fleetFile) Accept(ctx context.Context, by string) (cdn.Generation, error) {
	refused := f.s.refused.Load()
	if refused == nil {
		return 0, cdn.Errorf(cdn.NotFound, "", "no fleet file is refused: what the control plane was started with is in force")
	}
	for range acceptAttempts {
		old, err := f.s.latest(ctx)
		if err != nil {
			return 0, err
		}
		next := f.s.withFleet(old)
		if next.Digest() != old.Digest() {
			if err := fits(next); err != nil {
				return 0, err
			}
			err = f.s.append(ctx, old, next, by)
			if cdn.KindOf(err) == cdn.Conflict {
				continue
			}
			if err != nil {
				return 0, err
			}
			old = next
		}
		f.s.refused.CompareAndSwap(refused, nil)
		return old.Generation, nil
	}
	return 0, cdn.Errorf(cdn.Conflict, "", "others change the configuration all the time; %d attempts failed", acceptAttempts)
}
