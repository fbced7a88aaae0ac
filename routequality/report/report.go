package report

import (
	"time"

	"nearcast/cdn"
	"nearcast/internal/ring"
)

// Bounds of a report. What has more is refused as a whole.
const (
	// MaxMembers bounds the members of a POP.
	MaxMembers = 64
	// MaxNodes bounds the reports of nodes in one of a POP: one of load and one of visitors of each member.
	MaxNodes = 2 * MaxMembers
	// MaxSamples bounds the networks in a node's report of its visitors.
	MaxSamples = 4096
	// MaxRTTs bounds the round trips of a network.
	MaxRTTs = 8
	// MaxSites bounds the sites in a node's report of its visitors.
	MaxSites = 256
	// MaxVotes bounds the votes of a POP.
	MaxVotes = 1024
	// MaxProbes bounds the probes in a POP's report.
	MaxProbes = 4096
	// MaxBody bounds a POP's report in octets, compressed as well as not.
	MaxBody = 8 << 20
	// MaxPacket bounds a node's report of its load in octets: it travels in one packet.
	MaxPacket = 1200
	// MaxMessage bounds any report of a node in octets, compressed as well as not. Compressed it is much less.
	MaxMessage = 1 << 20
	// MaxAhead is how far in the future, by the reader's clock, a report may be.
	MaxAhead = 2 * time.Minute
	// MaxRTT bounds a round trip.
	MaxRTT = 30 * time.Second
)

// Node is a report of a cache node, of its load or of its visitors. Both are numbered by one counter, and either may arrive before the
// other: a [Guard] follows each of them on its own, see [Node.Sender].
type Node struct {
	Node cdn.NodeName `json:"node"`
	// Incarnation is when the process started, Unix time in microseconds by its clock. A process that starts again has a higher one.
	Incarnation int64 `json:"incarnation"`
	// Seq rises with each report of the incarnation.
	Seq uint64 `json:"seq"`
	// At is when it was made, by the node's clock.
	At time.Time `json:"at"`
	// Load is how busy the node is; nil if it is not told, or was absurd.
	Load *cdn.NodeLoad `json:"load,omitempty"`
	// Visitors is what the node saw of them since its last batch; nil if it is not told, or was absurd. A batch may have been split:
	// its samples are then in several reports with different numbers.
	Visitors *cdn.VisitorBatch `json:"visitors,omitempty"`
}

// Sender names the sequence that the report is of, for a [Guard].
func (n *Node) Sender() string {
	if n.Visitors != nil {
		return "visitors " + string(n.Node)
	}
	return "load " + string(n.Node)
}

// POP is what an aggregator tells about its POP. A report of the same sender with a higher (Incarnation, Seq) is newer.
type POP struct {
	POP cdn.POPName `json:"pop"`
	// From is the aggregator. It is its own member, too.
	From cdn.NodeName `json:"from"`
	// Incarnation, Seq and At are the sender's, as in [Node], but numbered by a counter of their own.
	Incarnation int64     `json:"incarnation"`
	Seq         uint64    `json:"seq"`
	At          time.Time `json:"at"`
	// Members are all of which the POP's gossip pool has heard, the dead and the sender included, sorted by name.
	Members []Member `json:"members"`
	// Nodes are reports of nodes since the sender's last report to the same reader.
	Nodes []Node `json:"nodes,omitempty"`
	// Votes are on those POPs that this one is a voter of and has an opinion of, sorted by name; whole in each report.
	Votes []Vote `json:"votes,omitempty"`
	// Probes are those since the sender's last report to the same reader. Each is told once, and lost if that report is.
	Probes []Probe `json:"probes,omitempty"`
	// Dropped counts what the sender had to throw away since it started: rows about visitors, probes and reports of load.
	Dropped uint64 `json:"dropped,omitempty"`
}

// Member is a node as its POP's gossip pool has it.
type Member struct {
	Node  cdn.NodeName  `json:"node"`
	State cdn.NodeState `json:"state"`
	// Incarnation is when the node joined its pool, in the terms of [Node.Incarnation]; zero if unknown.
	Incarnation int64 `json:"incarnation,omitempty"`
}

// Vote is whether a POP can be reached from the sender's.
type Vote struct {
	POP cdn.POPName `json:"pop"`
	Up  bool        `json:"up"`
}

// Lost is the RTT of a [Probe] that had no answer.
const Lost = -1

// Probe is a TCP connection that the sender opened.
type Probe struct {
	// To is a POP by name, or an origin by its URL as of [cdn.ParseOriginURL].
	To string `json:"to"`
	// RTT is the round trip in milliseconds, 0 to 30,000, or [Lost] if there was no answer.
	RTT float64 `json:"rtt"`
	// At is when it ended, by the sender's clock.
	At time.Time `json:"at"`
}

// Aggregators returns those two (or fewer) of a POP's living nodes that gather the reports of the others, in their order.
func Aggregators(pop cdn.POPName, living []cdn.NodeName) []cdn.NodeName {
	return first(ring.Rank("aggregator "+string(pop), living), 2)
}

// Voters returns those three (or fewer) of the POPs that probe the one named twice a second, in their order. The POP itself may be among
// pops and is passed over.
func Voters(pop cdn.POPName, pops []cdn.POPName) []cdn.POPName {
	others := make([]cdn.POPName, 0, len(pops))
	for _, p := range pops {
		if p != pop {
			others = append(others, p)
		}
	}
	return first(ring.Rank("voter "+string(pop), others), 3)
}

func first[T any](s []T, n int) []T { return s[:min(n, len(s))] }

// Refused counts parts of a report that were absurd and are not in what was returned.
type Refused struct {
	// Count is how many.
	Count int
	// Errors say where and why, of the first few.
	Errors []error
}

// maxErrors bounds Refused.Errors.
const maxErrors = 8

func (r *Refused) add(err error) {
	r.Count++
	if len(r.Errors) < maxErrors {
		r.Errors = append(r.Errors, err)
	}
}
