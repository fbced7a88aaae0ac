package edge

import (
	"context"
	"net/http"
	"strings"
	"time"

	"nearcast/cdn"
	"nearcast/edge/cacheadmin"
	"nearcast/edge/httpcache"
	"nearcast/edge/rules"
	"nearcast/edge/store"
	"nearcast/edge/store/disk"
	"nearcast/edge/store/purge"
	"nearcast/edge/store/tier"
)

// operator is the node as the operator of its machine sees it; it implements [cacheadmin.Node].
type operator struct{ s *Server }

// Stats implements [cacheadmin.Node].
func (n operator) Stats() cacheadmin.Stats {
	s := n.s
	ram, below, purges, w, c := s.tiers.Stats(), s.tiers.DiskStats(), s.purges.Stats(), &s.sweeper, &s.scrubber
	stats := cacheadmin.Stats{
		Node: s.name, IndexOctets: below.IndexBytes, Warm: below.Warm, Disks: make([]cacheadmin.Disk, 0, len(below.Disks)),
		Memory: cacheadmin.Memory{
			Objects: ram.Objects, Octets: ram.Bytes, Budget: objectRAM(s.budget), Hits: ram.Hits, Evictions: ram.Evictions, Refused: ram.Refused,
			Dropped: s.tiers.Dropped(),
		},
		Purges: cacheadmin.Purges{
			Epoch: purge.Ordinal(s.purges.Epoch()), Revision: s.purges.Applied(), Entries: purges.Entries, Folded: purges.Folded,
			LogOctets: purges.JournalBytes, Failures: purges.Failures,
		},
		Sweep: cacheadmin.Sweep{Running: w.tables.Load() != nil, Passes: w.passes.Load(), Looked: w.looked.Load(), Removed: w.removed.Load()},
		Verify: cacheadmin.Verify{
			Rate: s.cfg.VerifyRate, Passes: c.passes.Load(), Records: c.records.Load(), Octets: c.octets.Load(),
			Damaged: c.damaged.Load(), Errors: c.errors.Load(),
		},
	}
	for i := range below.Disks {
		stats.Disks = append(stats.Disks, diskStats(&below.Disks[i]))
	}
	return stats
}

func diskStats(d *disk.DiskStats) cacheadmin.Disk {
	return cacheadmin.Disk{
		Path: d.Path, Failed: d.Failed, Size: d.Size, Used: d.Used, Segments: d.Segments, Free: d.Free, Objects: d.Objects, Octets: d.Octets, Lapped: d.Lapped,
		Hits: d.Hits, Puts: d.Puts, Refused: d.Refused, Evictions: d.Evictions, Reclaimed: d.Reclaimed, Reinserted: d.Reinserted, Swept: d.Swept,
		Written: d.Written, Rewritten: d.Rewritten, Footers: d.Footers, Read: d.Read, Amplification: d.Amplification(),
		Damaged: d.Damaged, Errors: d.Errors, RefusedReads: d.RefusedReads, LostTombstones: d.LostTombstones, Unindexed: d.Unindexed,
	}
}

// configured returns the configuration in force.
func (n operator) configured() (*tables, error) {
	if t := n.s.tables.Load(); t != nil {
		return t, nil
	}
	return nil, cdn.Errorf(cdn.Unavailable, "", "the node has no configuration yet: see /readyz of its admin address")
}

// List implements [cacheadmin.Node].
func (n operator) List(ctx context.Context, f cacheadmin.Filter, yield func(*cacheadmin.Entry) bool) (more bool, err error) {
	t, err := n.configured()
	if err != nil {
		return false, err
	}
	owner := ""
	if f.Site != "" {
		name, err := t.siteNamed(f.Site)
		if err != nil {
			return false, err
		}
		owner = string(name) + " "
	}
	wanted := func(o *store.Object) bool {
		return !inner(o) && strings.HasPrefix(string(o.Key), owner) && (f.Prefix == "" || strings.HasPrefix(urlOf(o), f.Prefix)) && n.s.purges.Judge(o) != purge.Gone
	}
	now, count := n.s.now(), 0
	n.s.tiers.All(func(o *store.Object) bool { return ctx.Err() == nil && wanted(o) }, func(h tier.Held) bool {
		if ctx.Err() != nil {
			return false
		}
		if f.Tier != "" && tierOf(&h) != f.Tier {
			return true
		}
		if f.Limit > 0 && count == f.Limit {
			more = true
			return false
		}
		count++
		e := n.entry(t, &h, now)
		return yield(&e)
	})
	return more, ctx.Err()
}

// siteNamed returns the name of the site with a name or a domain.
func (t *tables) siteNamed(text string) (cdn.SiteName, error) {
	for site := range t.rules {
		if string(site.Name) == text {
			return site.Name, nil
		}
	}
	if domain, err := cdn.ParseDomain(text); err == nil && !t.standalone {
		if site, _, ok := t.routes.Match(domain); ok {
			return site.Name, nil
		}
	}
	return "", cdn.Errorf(cdn.NotFound, "", "no site of this node has the name or domain %q: nearcast get lists the sites; a node alone has one, standalone", text)
}

func tierOf(h *tier.Held) cacheadmin.Tier {
	switch {
	case h.Memory && h.OnDisk:
		return cacheadmin.InBoth
	case h.Memory:
		return cacheadmin.InMemory
	}
	return cacheadmin.OnDisk
}

// urlOf is what an object was asked for as.
func urlOf(o *store.Object) string {
	_, keyed, _ := strings.Cut(string(o.Key), " ")
	scheme, _, _ := strings.Cut(keyed, "://")
	return scheme + "://" + o.URL
}

// entry describes an object.
func (n operator) entry(t *tables, h *tier.Held, now time.Time) cacheadmin.Entry {
	o := h.Object
	site, _, _ := strings.Cut(string(o.Key), " ")
	e := cacheadmin.Entry{
		URL: urlOf(o), Site: cdn.SiteName(site), Variant: o.Variant, Vary: strings.Join(o.Response.Header["Vary"], ", "), Status: o.Response.Status,
		Octets: o.Length, Tier: tierOf(h), Tags: len(o.Tags), Sliced: o.Sliced,
		Verdict: n.s.purges.Judge(o).String(), Age: seconds(o.Response.Age(now)),
	}
	for name, lines := range o.Response.Selecting() {
		if e.Selecting == nil {
			e.Selecting = make(map[string]string)
		}
		e.Selecting[name] = strings.Join(lines, ", ")
	}
	e.TTL = seconds(n.s.prospect(t, o, now).TTL)
	return e
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }

// prospect says what would become of a request like the one that brought an object.
func (s *Server) prospect(t *tables, o *store.Object, now time.Time) httpcache.Decision {
	target, ok := targetOf(o)
	if !ok {
		return httpcache.Decision{}
	}
	q := &query{tables: t, target: target, method: http.MethodGet, header: o.Response.Selecting()}
	site, domain, ok := t.routes.Match(target.Domain)
	if !ok {
		return httpcache.Decision{}
	}
	q.site, q.target.Domain = site, domain
	q.plan = t.rules[site].Request(rules.Request{Method: q.method, Target: q.target, Header: q.header})
	policy := q.policyOf(o.Response)
	if soft := s.purges.Look(o); soft != nil {
		policy.Expired = soft.Softened
	}
	return httpcache.Decide(now, q.cacheRequest(), o.Response, policy)
}

// Verify implements [cacheadmin.Node].
func (n operator) Verify(ctx context.Context, rate int64, tell func(cacheadmin.Report)) (cacheadmin.Report, error) {
	below := n.s.tiers.DiskStats()
	if len(below.Disks) == 0 {
		return cacheadmin.Report{}, cdn.Errorf(cdn.Invalid, "", "this node keeps nothing on disk: there is nothing to verify")
	}
	report := func(r disk.Report) cacheadmin.Report {
		return cacheadmin.Report{Records: r.Records, Octets: r.Octets, Damaged: r.Damaged, Errors: r.Errors, Total: below.Octets}
	}
	select {
	case <-n.s.tiers.Warm():
	case <-ctx.Done():
		return cacheadmin.Report{}, ctx.Err()
	}
	r, err := n.s.verifyAsked(ctx, rate, func(r disk.Report) { tell(report(r)) })
	return report(r), err
}

// Drop implements [cacheadmin.Node].
func (n operator) Drop(target cdn.Target) (cacheadmin.Dropped, error) {
	t, err := n.configured()
	if err != nil {
		return cacheadmin.Dropped{}, err
	}
	d := cacheadmin.Dropped{URL: target.String()}
	for _, scheme := range [...]string{"http", "https"} {
		target.Scheme = scheme
		keys, ok := t.keys(target)
		if !ok {
			return d, unknownDomain(target.Domain)
		}
		for _, key := range keys {
			d.Keys++
			d.Objects += int64(len(n.s.tiers.Of(key)))
			epoch, err := n.s.purges.Invalidate(key)
			if err == nil {
				err = n.s.purges.Commit(context.Background(), epoch)
			}
			if err != nil {
				return d, cdn.Errorf(cdn.Unavailable, "", "%s: removed, but after a restart it may be back: %w", target, err)
			}
			n.s.forget(key)
		}
	}
	n.s.sweeper.poke()
	return d, nil
}

func unknownDomain(domain cdn.Domain) error {
	return cdn.Errorf(cdn.NotFound, "", "no site is configured for domain %s: nearcast get lists the sites and their domains", domain)
}

// DropAll implements [cacheadmin.Node].
func (n operator) DropAll() (cacheadmin.Dropped, error) {
	d := cacheadmin.Dropped{URL: "all", Objects: n.s.tiers.Stats().Objects + n.s.tiers.DiskStats().Objects}
	n.s.PurgeAll(0)
	return d, nil
}
