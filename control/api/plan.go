package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"nearcast/cdn"
	"nearcast/control/compile"
	"nearcast/control/wire"
)

// plan is what an apply would do: the sites afterwards, sorted by name, and the
// change of each site that was mentioned.
type plan struct {
	sites   []cdn.Site
	changes []wire.Change
}

// changed reports whether the plan does anything.
func (p plan) changed() bool {
	return slices.ContainsFunc(p.changes, func(c wire.Change) bool { return c.Action != wire.Unchanged })
}

// compileFiles compiles every file and returns the mistakes of all of them.
func compileFiles(files []wire.File) ([]cdn.Site, error) {
	if len(files) == 0 {
		return nil, cdn.Errorf(cdn.Invalid, "", "no file was sent; at least one is needed")
	}
	var sites []cdn.Site
	var mistakes compile.Mistakes
	for _, f := range files {
		some, err := compile.Sites(f.Name, []byte(f.Content))
		mistakes = append(mistakes, compile.MistakesOf(err)...)
		sites = append(sites, some...)
	}
	return sites, mistakes.Err()
}

// makePlan merges the sites of the files into those in force, by name, and
// checks the whole.
func makePlan(old *cdn.Snapshot, files []wire.File) (plan, error) {
	sites, err := compileFiles(files)
	if err != nil {
		return plan{}, err
	}
	mistakes := keepSecrets(old, sites)
	merged := sites
	for i := range old.Sites {
		if !slices.ContainsFunc(sites, func(s cdn.Site) bool { return s.Name == old.Sites[i].Name }) {
			merged = append(merged, old.Sites[i])
		}
	}
	// Sites of the files come first, in the check also: a domain that is taken is
	// a mistake of the newcomer, so the ones in force are checked first.
	inForceFirst := append(slices.Clone(merged[len(sites):]), merged[:len(sites)]...)
	mistakes = append(mistakes, compile.MistakesOf(compile.Snapshot(old.Fleet, inForceFirst))...)
	if len(mistakes) > 0 {
		sources := make([]compile.Source, len(files))
		for i, f := range files {
			sources[i] = compile.Source{Name: f.Name, Text: []byte(f.Content)}
		}
		return plan{}, compile.Locate(mistakes, sources...).Err()
	}
	p := plan{sites: slices.Clone(merged)}
	slices.SortFunc(p.sites, func(a, b cdn.Site) int { return strings.Compare(string(a.Name), string(b.Name)) })
	for i := range sites {
		p.changes = append(p.changes, wire.Change{Site: sites[i].Name, Action: action(old.Site(sites[i].Name), &sites[i])})
	}
	slices.SortFunc(p.changes, func(a, b wire.Change) int { return strings.Compare(string(a.Site), string(b.Site)) })
	return p, nil
}

// keepSecrets puts the secrets in force in the place of the mark that stands for
// them wherever a site is shown.
func keepSecrets(old *cdn.Snapshot, sites []cdn.Site) (mistakes compile.Mistakes) {
	for i := range sites {
		was := old.Site(sites[i].Name)
		if was == nil {
			was = &cdn.Site{}
		}
		missing := func(field string) {
			mistakes = append(mistakes, compile.Mistake{
				Site: sites[i].Name, Field: field,
				Message: cdn.Redacted + " keeps the secret that is stored, and none is stored",
				Hint:    "write the secret",
			})
		}
		if b := sites[i].Origin.Bucket; b != nil && b.SecretAccessKey == cdn.Redacted {
			if was.Origin.Bucket != nil && was.Origin.Bucket.SecretAccessKey != "" {
				b.SecretAccessKey = was.Origin.Bucket.SecretAccessKey
			} else {
				missing("origin.bucket.secret_access_key")
			}
		}
		keepFields(was, &sites[i], missing)
	}
	return mistakes
}

// keepFields is keepSecrets for the fields that routes add to requests.
func keepFields(was, site *cdn.Site, missing func(field string)) {
	for i := range site.Routes {
		h := &site.Routes[i].RequestHeaders
		for kind, fields := range map[string]map[string]string{"add": h.Add, "set": h.Set} {
			for name, value := range fields {
				if value != cdn.Redacted {
					continue
				}
				secret, ok := storedField(was, i, kind, name)
				if !ok {
					missing(fmt.Sprintf("routes[%d].request_headers.%s.%s", i, kind, name))
					continue
				}
				fields[name] = secret
			}
		}
	}
}

// storedField finds the value that a field of a route has, in the route of the same index or, since routes may have been
// moved, in the only one that has the field.
func storedField(was *cdn.Site, index int, kind, name string) (value string, ok bool) {
	at := func(i int) (string, bool) {
		fields := was.Routes[i].RequestHeaders.Add
		if kind == "set" {
			fields = was.Routes[i].RequestHeaders.Set
		}
		v, ok := fields[name]
		return v, ok
	}
	if index < len(was.Routes) {
		if v, ok := at(index); ok {
			return v, true
		}
	}
	found := 0
	for i := range was.Routes {
		if v, ok := at(i); ok {
			value, found = v, found+1
		}
	}
	return value, found == 1
}

func action(old, updated *cdn.Site) wire.Action {
	switch {
	case old == nil:
		return wire.Created
	case sameJSON(old, updated):
		return wire.Unchanged
	}
	return wire.Updated
}

// sameJSON compares what would be stored.
func sameJSON(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}
