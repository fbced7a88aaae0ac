package gossip_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
)

// news is a broadcast about somebody that takes the place of an earlier one.
type news struct{ name, text string }

func (n news) Message() []byte                             { return []byte(n.text) }
func (n news) Name() string                                { return n.name }
func (n news) Invalidates(other memberlist.Broadcast) bool { return other.(news).name == n.name }
func (news) Finished()                                     {}

// What is told is told, also if it is as long as other news and the queue was empty before.
func TestNoNewsIsLost(t *testing.T) {
	told := func(q *memberlist.TransmitLimitedQueue) string {
		for _, n := range []news{{"a", "a1"}, {"a", "a2"}, {"b", "b1"}, {"c", "c1"}} {
			q.QueueBroadcast(n)
		}
		var all []string
		for _, b := range q.GetBroadcasts(2, 1000) {
			all = append(all, string(b))
		}
		slices.Sort(all)
		return strings.Join(all, " ")
	}
	p := start(t, config("n1"))
	await(t, 10*time.Second, "what the pool says itself to be told", func() bool {
		p.Queue().GetBroadcasts(2, 1000)
		return p.Queue().NumQueued() == 1 // the anchor
	})
	if got := told(p.Queue()); got != "a2 b1 c1" {
		t.Errorf("told %q, want a2 b1 c1", got)
	}
	alone := &memberlist.TransmitLimitedQueue{RetransmitMult: 3, NumNodes: func() int { return 8 }}
	if got := told(alone); got == "a2 b1 c1" {
		t.Error("memberlist's queue no longer loses news: the anchor is not needed any more")
	}
}
