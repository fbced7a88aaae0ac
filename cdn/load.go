package cdn

import (
	"net/netip"
	"time"
)

// NodeLoad is how busy a cache node is. Shares are parts of what the node has: 1 is all of it, and where there is no known limit
// they are zero.
type NodeLoad struct {
	CPU         float64 `json:"cpu"`         // of the processor cores
	Memory      float64 `json:"memory"`      // of the memory that it may take
	Connections float64 `json:"connections"` // of the most connections
	Egress      float64 `json:"egress"`      // of its configured capacity
	Disk        float64 `json:"disk"`        // of the time of the busiest of its disks
	Fills       float64 `json:"fills"`       // of the most fetches under way; see Utilisation
	// Rates, each second.
	Requests float64 `json:"requests"`
	Octets   float64 `json:"octets"` // sent to visitors
	// HitRatio is the part of the requests that was answered from what is stored, and Errors the part that failed by the CDN's own
	// fault, of the last 10 s; both zero without requests.
	HitRatio float64 `json:"hit_ratio"`
	Errors   float64 `json:"errors"`
	// Shedding is the highest step of the ladder that is in force: 0 is none, see package edge/shed.
	Shedding int `json:"shedding,omitempty"`
}

// Utilisation is the share of the scarcest resource. Fills are none: how many are under way depends on how long origins take, and one that hangs fills
// the table of a node that is idle. Whom that node sends elsewhere would wait for the same origin there, and its hits would go with it. Nor is
// memory one: a cache fills it on purpose.
func (l *NodeLoad) Utilisation() float64 {
	return max(l.CPU, l.Connections, l.Egress, l.Disk)
}

// VisitorSample is what a node saw of the visitors of one network during an interval.
type VisitorSample struct {
	// Network is their IPv4 /24 or IPv6 /48.
	Network netip.Prefix `json:"network"`
	// RTTs are round trips in milliseconds, measured by the kernel (TCP_INFO): at most 8, of as many connections, chosen by chance.
	RTTs []float32 `json:"rtts,omitempty"`
	// Packets were sent, and of them Lost sent again.
	Packets uint32 `json:"packets,omitempty"`
	Lost    uint32 `json:"lost,omitempty"`
	// Requests came, and of them Failed by the CDN's fault, or because the connection broke.
	Requests uint32 `json:"requests,omitempty"`
	Failed   uint32 `json:"failed,omitempty"`
	// Octets were sent.
	Octets uint64 `json:"octets,omitempty"`
}

// VisitorBatch is what a node saw of its visitors during an interval that ended at At.
type VisitorBatch struct {
	At       time.Time       `json:"at"`
	Interval time.Duration   `json:"interval"`
	Samples  []VisitorSample `json:"samples,omitempty"`
	// Dropped is how many networks there were no room for since the process started.
	Dropped uint64 `json:"dropped,omitempty"`
	// Sites are how much was sent for each site: at most 256, the busiest.
	Sites []SiteRate `json:"sites,omitempty"`
}

// SiteRate is how much was sent for a site during an interval.
type SiteRate struct {
	Site     SiteName `json:"site"`
	Requests uint64   `json:"requests"`
	Octets   uint64   `json:"octets"`
}
