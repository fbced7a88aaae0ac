package api

import (
	"net/http"
	"slices"
	"strconv"

	"nearcast/cdn"
	"nearcast/control/compile"
	"nearcast/control/drain"
	"nearcast/control/store"
	"nearcast/control/wire"
	"nearcast/internal/httpjson"
)

func (s *server) apply(r *http.Request) (result wire.ApplyResult, err error) {
	var req wire.ApplyRequest
	if err := httpjson.Read(r, &req); err != nil {
		return result, err
	}
	result.Generation, err = s.change(r, req.Force, func(old *cdn.Snapshot) (*cdn.Snapshot, error) {
		p, err := makePlan(old, req.Files)
		if err != nil {
			return nil, err
		}
		result.Changes = p.changes
		next := &cdn.Snapshot{Fleet: old.Fleet, Sites: p.sites, Drains: old.Drains, ZoneKeys: old.ZoneKeys}
		if req.DryRun {
			return nil, shrunk(old, next, req.Force)
		}
		if !p.changed() {
			return nil, nil
		}
		return next, nil
	})
	return result, err
}

func (s *server) diff(r *http.Request) (result wire.DiffResult, err error) {
	var req wire.ApplyRequest
	if err := httpjson.Read(r, &req); err != nil {
		return result, err
	}
	old, err := s.current(r.Context())
	if err != nil {
		return result, err
	}
	p, err := makePlan(old, req.Files)
	if err != nil {
		return result, err
	}
	result = wire.DiffResult{Generation: old.Generation, Changed: p.changed(), Sites: []wire.Diff{}}
	next := &cdn.Snapshot{Sites: p.sites}
	for _, c := range p.changes {
		text, err := diffSites(old.Site(c.Site), next.Site(c.Site))
		if err != nil {
			return result, err
		}
		result.Sites = append(result.Sites, wire.Diff{Site: c.Site, Action: c.Action, Changed: c.Action != wire.Unchanged, Text: text})
	}
	return result, nil
}

// diffSites compares what people see of two sites; nil is a site that is not there.
func diffSites(old, next *cdn.Site) (string, error) {
	texts := [2][]byte{}
	for i, s := range []*cdn.Site{old, next} {
		if s == nil {
			continue
		}
		var err error
		if texts[i], err = compile.FormatSites(s.Redact()); err != nil {
			return "", err
		}
	}
	text := unified(string(texts[0]), string(texts[1]))
	if old != nil && next != nil && old.Origin.Bucket != nil && next.Origin.Bucket != nil &&
		old.Origin.Bucket.SecretAccessKey != next.Origin.Bucket.SecretAccessKey {
		text += "# the secret access key changes\n"
	}
	return text, nil
}

func (s *server) sites(r *http.Request) ([]cdn.Site, error) {
	snap, err := s.current(r.Context())
	if err != nil {
		return nil, err
	}
	shown := make([]cdn.Site, len(snap.Sites))
	for i := range snap.Sites {
		shown[i] = snap.Sites[i].Redact()
	}
	return shown, nil
}

func (s *server) site(r *http.Request) (cdn.Site, error) {
	snap, err := s.current(r.Context())
	if err != nil {
		return cdn.Site{}, err
	}
	site, err := named(snap, r)
	if err != nil {
		return cdn.Site{}, err
	}
	return site.Redact(), nil
}

// named returns the site that the request's path names.
func named(snap *cdn.Snapshot, r *http.Request) (*cdn.Site, error) {
	name, err := cdn.ParseSiteName(r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	if site := snap.Site(name); site != nil {
		return site, nil
	}
	return nil, cdn.Errorf(cdn.NotFound, "", "there is no site %s", name)
}

func (s *server) deleteSite(r *http.Request) (result wire.ApplyResult, err error) {
	force, err := boolParam(r, "force")
	if err != nil {
		return result, err
	}
	result.Generation, err = s.change(r, force, func(old *cdn.Snapshot) (*cdn.Snapshot, error) {
		site, err := named(old, r)
		if err != nil {
			return nil, err
		}
		result.Changes = []wire.Change{{Site: site.Name, Action: wire.Deleted}}
		rest := slices.DeleteFunc(slices.Clone(old.Sites), func(s cdn.Site) bool { return s.Name == site.Name })
		return &cdn.Snapshot{Fleet: old.Fleet, Sites: rest, Drains: old.Drains, ZoneKeys: old.ZoneKeys}, nil
	})
	return result, err
}

func boolParam(r *http.Request, name string) (bool, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return false, nil
	}
	value, err := strconv.ParseBool(text)
	if err != nil {
		return false, cdn.Errorf(cdn.Invalid, "", "parameter %s: %q is not true or false", name, text)
	}
	return value, nil
}

func (s *server) versions(r *http.Request) ([]wire.Version, error) {
	list, err := s.Store.List(r.Context())
	versions := make([]wire.Version, len(list))
	for i, v := range list {
		versions[i] = wireVersion(v)
	}
	return versions, err
}

func wireVersion(v store.Version) wire.Version {
	return wire.Version{Generation: v.Generation, At: v.At, By: v.By, Digest: v.Digest, Sites: v.Sites}
}

// rollback puts the fleet and the sites of an old version into force. Drains are not rolled back: what somebody is emptying to work on it
// does not fill up again because of a site. Only those go whose POP or node goes. Nor are keys of zones, which
// resolvers and parents know by now.
func (s *server) rollback(r *http.Request) (result wire.ApplyResult, err error) {
	var req wire.RollbackRequest
	if err := httpjson.Read(r, &req); err != nil {
		return result, err
	}
	then, err := s.Store.Get(r.Context(), req.Generation)
	if err != nil {
		return result, err
	}
	result.Generation, err = s.change(r, req.Force, func(old *cdn.Snapshot) (*cdn.Snapshot, error) {
		result.Changes = compareSites(old, then)
		next := &cdn.Snapshot{Fleet: then.Fleet, Sites: then.Sites, ZoneKeys: old.ZoneKeys}
		next.Drains, _ = drain.Keep(&next.Fleet, old.Drains)
		if old.Digest() == next.Digest() {
			return nil, nil
		}
		if len(next.Drains) > 0 && !req.Force && drain.Working(&next.Fleet, next.Drains, nil) == 0 {
			return nil, cdn.Errorf(cdn.Conflict, "", "every edge POP of version %d is drained; undo a drain first, or say that it is meant with force", req.Generation)
		}
		return next, nil
	})
	return result, err
}

// compareSites returns the change of every site from old to next, by name.
func compareSites(old, next *cdn.Snapshot) []wire.Change {
	changes := []wire.Change{}
	for i := range next.Sites {
		changes = append(changes, wire.Change{Site: next.Sites[i].Name, Action: action(old.Site(next.Sites[i].Name), &next.Sites[i])})
	}
	for i := range old.Sites {
		if next.Site(old.Sites[i].Name) == nil {
			changes = append(changes, wire.Change{Site: old.Sites[i].Name, Action: wire.Deleted})
		}
	}
	return changes
}
