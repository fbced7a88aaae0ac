package scheduler

import (
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"nearcast/cdn"
)

// keeper has what schedulers need of the sites of a configuration. The zero value has none.
type keeper struct {
	sites []cdn.Site
}

// keep returns a configuration with what schedulers need of it: of sites their names, domains and redirection; and the keeper of that. Lists of domains
// that are equal to those of the site that k has are the same in memory, so that a million names that were decoded again are not there twice, and are
// seen at a glance to be the same.
func (k *keeper) keep(snapshot *cdn.Snapshot) (*cdn.Snapshot, *keeper) {
	n := len(snapshot.Sites)
	next := &keeper{sites: make([]cdn.Site, n)}
	var group errgroup.Group
	parts := runtime.GOMAXPROCS(0)
	for part := range parts {
		group.Go(func() error {
			next.fill(snapshot.Sites, k, n*part/parts, n*(part+1)/parts)
			return nil
		})
	}
	_ = group.Wait() // nothing fails
	kept := *snapshot
	kept.Sites = next.sites
	return &kept, next
}

// fill takes over some sites. Both lists are sorted, or at least in the same order for the most part.
func (k *keeper) fill(sites []cdn.Site, before *keeper, from, to int) {
	var index map[cdn.SiteName]int // made when the order differs
	next := from
	for i := from; i < to; i++ {
		s := &sites[i]
		k.sites[i] = cdn.Site{Name: s.Name, Domains: s.Domains, Redirection: s.Redirection}
		known := next < len(before.sites) && before.sites[next].Name == s.Name
		if !known {
			if index == nil {
				index = before.index()
			}
			if next, known = index[s.Name]; !known {
				continue
			}
		}
		if old := &before.sites[next]; same(old.Domains, s.Domains) {
			k.sites[i].Name, k.sites[i].Domains = old.Name, old.Domains
		}
		next++
	}
}

// same reports whether two lists are equal, at a glance if they are in the same memory.
func same(a, b []cdn.Domain) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0] || slices.Equal(a, b))
}

// index tells where a site is.
func (k *keeper) index() map[cdn.SiteName]int {
	index := make(map[cdn.SiteName]int, len(k.sites))
	for i := range k.sites {
		index[k.sites[i].Name] = i
	}
	return index
}
