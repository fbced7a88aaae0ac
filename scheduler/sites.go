package scheduler

import (
	"cmp"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"nearcast/cdn"
)

// keepSites returns a configuration with what schedulers need of it: of sites their names, domains and redirection. Lists of domains that are
// equal to those of the site in the configuration before, nil if there is none, are the same in memory, so that a million names that were decoded again
// are not there twice, and are seen at a glance to be the same.
func keepSites(snapshot, before *cdn.Snapshot) *cdn.Snapshot {
	kept := *snapshot
	kept.Sites = make([]cdn.Site, len(snapshot.Sites))
	var old []cdn.Site
	if before != nil {
		old = before.Sites
	}
	var group errgroup.Group
	parts := runtime.GOMAXPROCS(0)
	for part := range parts {
		from, to := len(kept.Sites)*part/parts, len(kept.Sites)*(part+1)/parts
		group.Go(func() error {
			keepSome(kept.Sites[from:to], snapshot.Sites[from:to], old)
			return nil
		})
	}
	_ = group.Wait() // nothing fails
	return &kept
}

// keepSome is keepSites for some sites. Both lists are sorted, or at least in the same order for the most part.
func keepSome(kept, sites, old []cdn.Site) {
	var index map[cdn.SiteName]int // made when the order differs
	next := 0
	if len(sites) > 0 {
		next, _ = slices.BinarySearchFunc(old, sites[0].Name, func(s cdn.Site, name cdn.SiteName) int { return cmp.Compare(s.Name, name) })
	}
	for i := range sites {
		s := &sites[i]
		kept[i] = cdn.Site{Name: s.Name, Domains: s.Domains, Redirection: s.Redirection}
		if next >= len(old) || old[next].Name != s.Name {
			if index == nil {
				index = make(map[cdn.SiteName]int, len(old))
				for j := range old {
					index[old[j].Name] = j
				}
			}
			at, known := index[s.Name]
			if !known {
				continue
			}
			next = at
		}
		if o := &old[next]; same(o.Domains, s.Domains) {
			kept[i].Name, kept[i].Domains = o.Name, o.Domains
		}
		next++
	}
}

// same reports whether two lists are equal, without looking at them if they are one.
func same(a, b []cdn.Domain) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0] || slices.Equal(a, b))
}
