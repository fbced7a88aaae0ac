package cdn

import "time"

// NodeState is what is known about a node's ability to serve.
type NodeState string

// The states. The zero value, unknown, counts as healthy: a missing measurement
// must never take a node out.
const (
	StateUnknown  NodeState = ""
	StateReady    NodeState = "ready"    // serving
	StateStarting NodeState = "starting" // up, but has no configuration yet
	StateDraining NodeState = "draining" // leaving; finish what runs, send nothing new
	StateDown     NodeState = "down"     // not reachable by its peers
)

// ProbeHost is the Host of requests that ask a cache node whether it is there: it answers 204, whatever else is asked, and counts no visit. The name can
// never be a site's (RFC 6761 section 6.4).
const ProbeHost = "probe.nearcast.invalid"

// Usable reports whether new visitors may be sent to a node in this state.
func (s NodeState) Usable() bool { return s == StateReady || s == StateUnknown }

// NodeReport is what a node tells the control plane about itself.
type NodeReport struct {
	Node NodeName `json:"node"`
	// Role is the job of the process that reports: a node with several jobs sends
	// several reports.
	Role Role `json:"role"`
	// Generation is the configuration that the node runs.
	Generation Generation `json:"generation"`
	// PurgeRevision is the newest purge that the node has applied.
	PurgeRevision Revision `json:"purge_revision"`
	// Rejected is the generation that the node refused last, with the reason;
	// zero if none since it started.
	Rejected       Generation `json:"rejected,omitempty"`
	RejectedReason string     `json:"rejected_reason,omitempty"`
	// Version is the program's version.
	Version string    `json:"version"`
	At      time.Time `json:"at"` // when the node sent it, by its clock
}

// Question is a GET that nodes are asked about: what would they do with it?
type Question struct {
	Target Target `json:"target"`
	// Header is the request's fields under canonical names; nil for none.
	Header map[string][]string `json:"header,omitempty"`
	// Client is the visitor's address, for routes by country; empty if it does not matter.
	Client string `json:"client,omitempty"`
}

// Explanation is one node's account of what it would do with a GET of a URL.
type Explanation struct {
	Node NodeName `json:"node"`
	Tier Tier     `json:"tier,omitempty"`
	// Site and Route are what the URL matched; Route is "routes[i]" or "none".
	Site  SiteName `json:"site,omitempty"`
	Route string   `json:"route,omitempty"`
	Key   CacheKey `json:"key,omitempty"`
	// Variant is what selects among what is stored under Key beside the fields of Vary;
	// empty for most.
	Variant string `json:"variant,omitempty"`
	// Decision is the word for what would happen now: hit, partial, stale, miss, bypass, redirect,
	// absent or error.
	Decision string `json:"decision"`
	Reason   string `json:"reason"`
	// Section is the rule behind Reason, such as "RFC 9111 section 4.2"; empty if it is of the
	// operator's making.
	Section string `json:"section,omitempty"`
	// Age and TTL describe the stored response, in seconds; TTL is what is left
	// and negative once stale. Both zero if nothing is stored.
	Age int64 `json:"age,omitempty"`
	TTL int64 `json:"ttl,omitempty"`
	// Next is whom the node would ask on a miss: a node's name or an origin's URL.
	Next string `json:"next,omitempty"`
}
