package liveness

import (
	"cmp"
	"time"

	"nearcast/cdn"
)

// Version orders what one sender says: by its process, then by its count. Wall clocks have no say.
type Version struct {
	Incarnation int64  // when the sender's process started, Unix microseconds by its clock
	Seq         uint64 // rises with each report of the process
}

// Newer reports whether v replaces w.
func (v Version) Newer(w Version) bool {
	return cmp.Or(cmp.Compare(v.Incarnation, w.Incarnation), cmp.Compare(v.Seq, w.Seq)) > 0
}

// Row is what a reporter says of a node of its POP, itself included.
type Row struct {
	Node        cdn.NodeName
	State       cdn.NodeState
	Incarnation int64 // of the process that is spoken of
}

// Vote says whether a POP answers the voter.
type Vote struct {
	POP cdn.POPName
	Up  bool
}

// Report is what one reporter says at one time.
type Report struct {
	From    cdn.NodeName
	POP     cdn.POPName // of the reporter
	Version Version
	Members []Row
	Votes   []Vote
}

// heard is a map of the last words of several senders: of two the one with the higher version counts, in whatever order they come.
// What is said fades: it is fresh for a while and remembered somewhat longer.
type heard[V any] map[cdn.NodeName]*word[V]

type word[V any] struct {
	version Version
	at      time.Time // when it came, by our clock
	value   V
}

// put takes a sender's word, unless it is older than what is there. It returns what was there before and whether that was fresh.
func (h heard[V]) put(now time.Time, from cdn.NodeName, version Version, value V) (before V, fresh, taken bool) {
	w := h[from]
	if w == nil {
		h[from] = &word[V]{version, now, value}
		return before, false, true
	}
	if !version.Newer(w.version) && now.Sub(w.at) <= tombstone { // a clock may have been set back since
		return w.value, false, false
	}
	before, fresh = w.value, w.fresh(now)
	*w = word[V]{version, now, value}
	return before, fresh, true
}

func (w *word[V]) fresh(now time.Time) bool { return now.Sub(w.at) <= Fresh }

// last returns when anybody has said anything; zero if nobody ever has.
func (h heard[V]) last() (at time.Time) {
	for _, w := range h {
		if w.at.After(at) {
			at = w.at
		}
	}
	return at
}

// prune forgets the words that nobody would use any more. Their versions are remembered longer than they count, so that what was held up
// on the way is not taken for news.
func (h heard[V]) prune(now time.Time) {
	for from, w := range h {
		if now.Sub(w.at) > tombstone {
			delete(h, from)
		}
	}
}
