package table

import (
	"time"

	"nearcast/cdn"
	"nearcast/routequality/paths"
)

// SlotOf returns the number of the slot that a time is in: that of its Unix time in steps of [cdn.SlotTime], so that several publishers
// agree about it.
func SlotOf(at time.Time) uint64 {
	return uint64(max(0, at.Unix())) / uint64(cdn.SlotTime/time.Second) //nolint:gosec // not below zero
}

// News is what every version has whole.
type News struct {
	Nodes  []cdn.NodeHealth // sorted by name
	POPs   []cdn.POPHealth  // likewise
	Alarms []string
}

// Version is one table, whole and as the difference to the one before. Both are immutable.
type Version struct {
	Whole *cdn.RouteTable
	Diff  *cdn.RouteTable // nil for the first
}

// Builder makes a sequence of versions, each newer than the one before. It is not safe for concurrent use.
type Builder struct {
	epoch string
	last  *cdn.RouteTable // nil before the first
}

// New returns a builder of tables of the given epoch; a publisher picks a new one for each process.
func New(epoch string) *Builder { return &Builder{epoch: epoch} }

// Slot begins a slot with everything that was measured. If the clock has gone back the slot after the last one begins nevertheless.
func (b *Builder) Slot(now time.Time, news News, change paths.Change) (Version, error) {
	slot := SlotOf(now)
	if b.last != nil {
		slot = max(slot, b.last.Slot+1)
	}
	return b.make(now, slot, news, &change)
}

// News makes a version within the slot that has begun last, which there must be.
func (b *Builder) News(now time.Time, news News) (Version, error) {
	if b.last == nil {
		return Version{}, cdn.Errorf(cdn.Invalid, "table.News", "there is no table yet of which this could be news")
	}
	return b.make(now, b.last.Slot, news, &paths.Change{Sites: b.last.Sites})
}

func (b *Builder) make(now time.Time, slot uint64, news News, change *paths.Change) (Version, error) {
	t := &cdn.RouteTable{
		Epoch: b.epoch, Version: 1, At: now, Slot: slot, Nodes: news.Nodes, POPs: news.POPs, Alarms: news.Alarms,
		Groups: change.Groups, GoneGroups: change.GoneGroups, Links: change.Links, GoneLinks: change.GoneLinks, Sites: change.Sites,
	}
	if b.last == nil {
		t.GoneGroups, t.GoneLinks = nil, nil
		b.last = t
		return Version{Whole: t}, nil
	}
	t.Version, t.Base = b.last.Version+1, b.last.Version
	whole, err := t.Over(b.last)
	if err != nil {
		return Version{}, err
	}
	b.last = whole
	return Version{Whole: whole, Diff: t}, nil
}
