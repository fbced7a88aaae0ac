package edge

import (
	"context"
	"fmt"
	"slices"
	"time"

	"nearcast/cdn"
	"nearcast/edge/cacheadmin"
	"nearcast/edge/coding"
	"nearcast/edge/store"
	"nearcast/edge/store/purge"
	"nearcast/edge/store/tier"
)

// maxShown is how many slices of a content are looked at to show which are there.
const maxShown = 1 << 14

// Show implements [cacheadmin.Node].
func (n operator) Show(ctx context.Context, target cdn.Target) (*cacheadmin.Shown, error) {
	t, err := n.configured()
	if err != nil {
		return nil, err
	}
	keys, ok := t.keys(target)
	if !ok {
		return nil, unknownDomain(target.Domain)
	}
	site, _, _ := t.routes.Match(target.Domain)
	shown := &cacheadmin.Shown{URL: target.String(), Site: site.Name, Keys: keys, Objects: []cacheadmin.Object{}}
	now := n.s.now()
	for _, key := range keys {
		for _, h := range n.s.tiers.Of(key) {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			shown.Objects = append(shown.Objects, n.object(ctx, t, &h, now))
		}
	}
	return shown, nil
}

// object describes all of an object.
func (n operator) object(ctx context.Context, t *tables, h *tier.Held, now time.Time) cacheadmin.Object {
	o := h.Object
	d := cacheadmin.Object{
		Entry: n.entry(t, h, now), Key: o.Key, Stored: o.Response.ResponseTime, Born: purge.Ordinal(o.Born), Memory: "no", Coded: n.coded(o),
	}
	switch {
	case h.Memory && h.Body && !o.Sliced:
		d.Memory = "head and body"
	case h.Memory:
		d.Memory = "head"
	}
	if r := h.Disk; r != nil {
		d.Disk = &cacheadmin.Place{Path: r.Disk, Segment: fmt.Sprintf("%016x", r.Segment), Offset: r.Offset, Octets: r.Size}
	}
	for name, lines := range o.Response.Header {
		for _, line := range lines {
			d.Fields = append(d.Fields, name+": "+line)
		}
	}
	slices.Sort(d.Fields)
	if o.Sliced {
		n.slices(ctx, o, &d)
	}
	return d
}

// coded returns what content codings have made of a content.
func (n operator) coded(o *store.Object) (list []cacheadmin.Coded) {
	for _, c := range [...]coding.Coding{coding.Gzip, coding.Brotli, coding.Zstd} {
		for _, h := range n.s.tiers.Of(store.CodedKey(o.ID, string(c))) {
			list = append(list, cacheadmin.Coded{Coding: string(c), Octets: h.Object.Length, Tier: tierOf(&h)})
		}
	}
	return list
}

// slices finds out which octets of a content are stored.
func (n operator) slices(ctx context.Context, o *store.Object, d *cacheadmin.Object) {
	end := min(o.Length, maxShown*store.SliceSize)
	d.Unlooked = o.Length - end
	for pos := int64(0); pos < end && ctx.Err() == nil; {
		next := min((pos/store.SliceSize+1)*store.SliceSize, end)
		part := n.s.part(o, pos/store.SliceSize)
		if part == nil {
			d.Missing = extend(d.Missing, pos, next)
			pos = next
			continue
		}
		first, last := min(part.Start, next), min(part.Start+part.Body.Len(), next)
		d.Missing = extend(d.Missing, pos, first)
		d.Present = extend(d.Present, first, last)
		d.Missing = extend(d.Missing, last, next)
		pos = next
	}
}

// extend adds octets, from one up to another, to ranges that end before or where these begin.
func extend(list []cacheadmin.Range, from, to int64) []cacheadmin.Range {
	if from >= to {
		return list
	}
	if n := len(list); n > 0 && list[n-1].Last == from-1 {
		list[n-1].Last = to - 1
		return list
	}
	return append(list, cacheadmin.Range{First: from, Last: to - 1})
}
