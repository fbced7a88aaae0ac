package api

import (
	"net/http"

	"nearcast/cdn"
	"nearcast/control/drain"
	"nearcast/control/wire"
	"nearcast/internal/httpjson"
)

func (s *server) drains(r *http.Request) ([]cdn.Drain, error) {
	snap, err := s.current(r.Context())
	if err != nil {
		return nil, err
	}
	return append([]cdn.Drain{}, snap.Drains...), nil
}

// startDrain keeps new visitors away from a POP or a node. What is drained already stays as it is.
func (s *server) startDrain(r *http.Request) (result wire.DrainResult, err error) {
	var req wire.DrainRequest
	if err := httpjson.Read(r, &req); err != nil {
		return result, err
	}
	kind, name := "pop", req.POP
	switch {
	case req.POP != "" && req.Node != "":
		return result, cdn.Errorf(cdn.Invalid, "", "name a POP or a node, not both")
	case req.POP == "" && req.Node == "":
		return result, cdn.Errorf(cdn.Invalid, "", "name the pop or the node that is to be drained")
	case req.Node != "":
		kind, name = "node", req.Node
	}
	return s.changeDrains(r, func(old *cdn.Snapshot) ([]cdn.Drain, error) {
		d, err := drain.Find(&old.Fleet, kind, name)
		if err != nil || drain.Index(old.Drains, d) >= 0 {
			return old.Drains, err
		}
		if !req.Force {
			if err := drain.Check(&old.Fleet, old.Drains, d, s.Health()); err != nil {
				return nil, err
			}
		}
		d.Since, d.By = s.Now().UTC(), actor(r)
		return drain.With(old.Drains, d), nil
	})
}

// endDrain lets new visitors come again. What is not drained stays as it is.
func (s *server) endDrain(r *http.Request) (wire.DrainResult, error) {
	kind, name := r.PathValue("kind"), r.PathValue("name")
	return s.changeDrains(r, func(old *cdn.Snapshot) ([]cdn.Drain, error) {
		d, err := drain.Parse(kind, name)
		if err != nil {
			return nil, err
		}
		if i := drain.Index(old.Drains, d); i >= 0 {
			return drain.Without(old.Drains, i), nil
		}
		_, err = drain.Find(&old.Fleet, kind, name)
		return old.Drains, err
	})
}

// changeDrains makes a version with other drains, if they are others.
func (s *server) changeDrains(r *http.Request, edit func(*cdn.Snapshot) ([]cdn.Drain, error)) (result wire.DrainResult, err error) {
	before := 0
	result.Generation, err = s.change(r, false, func(old *cdn.Snapshot) (*cdn.Snapshot, error) {
		drains, err := edit(old)
		if err != nil {
			return nil, err
		}
		result.Drains, before = append([]cdn.Drain{}, drains...), len(old.Drains)
		if result.Changed = len(drains) != before; !result.Changed {
			return nil, nil
		}
		return &cdn.Snapshot{Fleet: old.Fleet, Sites: old.Sites, Drains: drains, ZoneKeys: old.ZoneKeys}, nil
	})
	if err == nil && result.Changed {
		s.Log.InfoContext(r.Context(), "drains changed", "by", actor(r), "generation", result.Generation, "drained", names(result.Drains))
	}
	return result, err
}

func names(drains []cdn.Drain) []string {
	list := make([]string, len(drains))
	for i, d := range drains {
		list[i] = d.Name()
	}
	return list
}
