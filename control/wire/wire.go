package wire

import (
	"net/netip"
	"time"

	"nearcast/cdn"
)

// HeaderActor names who is at the keyboard, for the audit trail. It is a claim,
// not an identity: the token is what gives access.
const HeaderActor = "Nearcast-Actor"

// File is a text that somebody wrote.
type File struct {
	Name    string `json:"name"`    // for messages only
	Content string `json:"content"` // YAML
}

// ApplyRequest asks for the sites in the files to be created or replaced.
type ApplyRequest struct {
	Files []File `json:"files"`
	// DryRun checks and compares, and changes nothing.
	DryRun bool `json:"dry_run,omitempty"`
	// Force is the explicit yes to a change that leaves nothing, or less than half, of what there is: sites, domains and the like.
	Force bool `json:"force,omitempty"`
}

// Action is what happens to a site.
type Action string

// The actions.
const (
	Created   Action = "created"
	Updated   Action = "updated"
	Unchanged Action = "unchanged"
	Deleted   Action = "deleted"
)

// Change is what happens to one site.
type Change struct {
	Site   cdn.SiteName `json:"site"`
	Action Action       `json:"action"`
}

// ApplyResult is the answer to an apply, a deletion, a rollback, and the acceptance of a fleet file.
type ApplyResult struct {
	// Generation is the version in force afterwards; the old one if nothing changed.
	Generation cdn.Generation `json:"generation"`
	// Changes are by site name, without those that were not mentioned.
	Changes []Change `json:"changes"`
}

// Diff is what an apply would change in one site.
type Diff struct {
	Site    cdn.SiteName `json:"site"`
	Action  Action       `json:"action"`
	Changed bool         `json:"changed"`
	// Text has the lines of the site's YAML, each behind "+", "-" or a space.
	Text string `json:"text"`
}

// DiffResult is the answer to a diff.
type DiffResult struct {
	// Generation is the version that was compared with.
	Generation cdn.Generation `json:"generation"`
	Changed    bool           `json:"changed"`
	Sites      []Diff         `json:"sites"`
}

// Version is one version of the configuration, without its content.
type Version struct {
	Generation cdn.Generation `json:"generation"`
	At         time.Time      `json:"at"`
	By         string         `json:"by"`
	Digest     string         `json:"digest"`
	Sites      int            `json:"sites"`
}

// RollbackRequest asks for an old content under a new number.
type RollbackRequest struct {
	Generation cdn.Generation `json:"generation"`
	Force      bool           `json:"force,omitempty"` // see [ApplyRequest]
}

// PurgeRequest asks for content to be forgotten by every cache, or to be held for stale. What it covers may be of several
// kinds; something must be there.
type PurgeRequest struct {
	// URLs are absolute; each is purged by http and by https.
	URLs []string `json:"urls,omitempty"`
	// Directories are absolute URLs that end in "/".
	Directories []string `json:"directories,omitempty"`
	// Tags are as the origin writes them in Surrogate-Key or Cache-Tag. They need Site.
	Tags []string `json:"tags,omitempty"`
	// Regexps are searched in path and query. They need Site or Domain.
	Regexps []string `json:"regexps,omitempty"`
	// WholeSite purges everything of Site.
	WholeSite bool `json:"whole_site,omitempty"`
	// Site is the site that Tags, Regexps and WholeSite are about: its name, or one of its domains.
	Site string `json:"site,omitempty"`
	// Domain restricts Regexps to one of the site's domains; Site may be left out then.
	Domain string `json:"domain,omitempty"`
	// Soft makes the content stale instead of throwing it away.
	Soft bool `json:"soft,omitempty"`
	// Wait holds the answer back until the nodes have applied it, for 5 s at most.
	Wait bool `json:"wait,omitempty"`
}

// PurgeResult says that a purge is on disk, and with Wait, who has applied it.
type PurgeResult struct {
	ID       string       `json:"id"`
	Revision cdn.Revision `json:"revision"`
	// Applied and Missing are the cache nodes that have and have not applied the
	// purge; both are empty without Wait.
	Applied []cdn.NodeName `json:"applied,omitempty"`
	Missing []cdn.NodeName `json:"missing,omitempty"`
}

// Node is one machine of the fleet and what is known of it.
type Node struct {
	Name      cdn.NodeName   `json:"name"`
	POP       cdn.POPName    `json:"pop,omitempty"`
	Region    cdn.RegionName `json:"region,omitempty"`
	Tier      cdn.Tier       `json:"tier,omitempty"`
	Roles     []cdn.Role     `json:"roles"`
	Addresses []netip.Addr   `json:"addresses"`
	// State is the route-quality system's view; empty if it has none.
	State cdn.NodeState `json:"state"`
	// Reports are what the node last said of itself, one for each role that follows
	// the control plane; one that was not heard of since control started is missing.
	Reports []Report `json:"reports,omitempty"`
}

// Report returns the node's report about a role, or nil.
func (n *Node) Report(role cdn.Role) *Report {
	for i := range n.Reports {
		if n.Reports[i].Role == role {
			return &n.Reports[i]
		}
	}
	return nil
}

// Report is a node's last report about one of its roles.
type Report struct {
	Role           cdn.Role       `json:"role"`
	Generation     cdn.Generation `json:"generation"`
	PurgeRevision  cdn.Revision   `json:"purge_revision"`
	Rejected       cdn.Generation `json:"rejected,omitempty"`        // refused last; zero if none
	RejectedReason string         `json:"rejected_reason,omitempty"` // why
	Version        string         `json:"version"`                   // of the program
	AgeSeconds     float64        `json:"age_seconds"`               // since it arrived
}

// Status is the control plane at a glance.
type Status struct {
	Generation cdn.Generation `json:"generation"` // zero if there is no configuration yet
	Digest     string         `json:"digest"`
	At         time.Time      `json:"at"`
	By         string         `json:"by"`
	Version    string         `json:"version"`        // of the control plane's program
	Zone       cdn.Domain     `json:"zone,omitempty"` // empty if there is no fleet yet
	Sites      int            `json:"sites"`
	Nodes      NodeCount      `json:"nodes"`
	PurgeHead  cdn.Revision   `json:"purge_head"`
	// Drains are what is being drained, such as "pop fra".
	Drains []string `json:"drains,omitempty"`
	// FleetRefused says why the fleet file is not in force that the control plane was started with; empty if nothing was refused.
	FleetRefused string `json:"fleet_refused,omitempty"`
}

// NodeCount counts the cache nodes of the fleet.
type NodeCount struct {
	Total int `json:"total"`
	// Ready are those that report and that route quality does not call unusable.
	Ready int `json:"ready"`
	// Lagging are those that do not report, or run an older configuration or have
	// applied fewer purges than there are.
	Lagging int `json:"lagging"`
}

// Explanation is what the CDN would do with a GET of a URL.
type Explanation struct {
	URL string `json:"url"` // in normal form
	// Site is empty if no site has the URL's domain.
	Site cdn.SiteName `json:"site,omitempty"`
	// Route is "routes[i]", "none" if no route matches, or "unknown" if no node has answered.
	Route string       `json:"route,omitempty"`
	Key   cdn.CacheKey `json:"key,omitempty"`
	// CNAME is what the domain's DNS must point at.
	CNAME cdn.Domain        `json:"cname,omitempty"`
	Nodes []NodeExplanation `json:"nodes"`
}

// NodeExplanation is one node's part of an [Explanation].
type NodeExplanation struct {
	Node cdn.NodeName `json:"node"`
	// Error says why there is no explanation; empty if there is one.
	Error       string           `json:"error,omitempty"`
	Explanation *cdn.Explanation `json:"explanation,omitempty"`
}
