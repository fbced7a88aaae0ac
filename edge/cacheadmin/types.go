package cacheadmin

import (
	"time"

	"nearcast/cdn"
)

// Stats is what a node's cache holds, and what it has done since the node's start.
type Stats struct {
	Node   string `json:"node"`
	Memory Memory `json:"memory"`
	Disks  []Disk `json:"disks"`
	// IndexOctets is the memory of the index of what is on disk; it is not part of the memory's budget.
	IndexOctets int64 `json:"index_octets"`
	// Warm says that all that is on the disks is known.
	Warm   bool   `json:"warm"`
	Purges Purges `json:"purges"`
	Sweep  Sweep  `json:"sweep"`
	Verify Verify `json:"verify"`
}

// Memory is the part of the objects in memory.
type Memory struct {
	Objects   int64  `json:"objects"`
	Octets    int64  `json:"octets"`
	Budget    int64  `json:"budget"` // octets
	Hits      uint64 `json:"hits"`   // lookups that found an object
	Evictions uint64 `json:"evictions"`
	Refused   uint64 `json:"refused"`        // objects that there was no room for
	Dropped   uint64 `json:"writes_dropped"` // objects that were worth writing to disk and were not: too many waited
}

// Disk is the part of one disk.
type Disk struct {
	Path     string `json:"path"`
	Failed   string `json:"failed,omitempty"` // why the disk is out of service
	Size     int64  `json:"size"`             // octets that its files may take
	Used     int64  `json:"used"`             // octets that they take
	Segments int    `json:"segments"`         // files with objects
	Free     int    `json:"free_segments"`    // empty ones in reserve
	Objects  int64  `json:"objects"`
	Octets   int64  `json:"octets"` // of the records, those included that have been replaced
	Lapped   bool   `json:"lapped"` // all room has been used once: what comes now pushes something out

	Hits       int64 `json:"hits"` // lookups that found an object here
	Puts       int64 `json:"puts"` // objects written
	Refused    int64 `json:"refused"`
	Evictions  int64 `json:"evictions"`
	Reclaimed  int64 `json:"segments_reclaimed"`
	Reinserted int64 `json:"reinserted"` // objects written again since they were wanted
	Swept      int64 `json:"swept"`      // objects removed since they had been purged

	Written       int64   `json:"written"`             // octets that came from outside
	Rewritten     int64   `json:"rewritten"`           // octets written again
	Footers       int64   `json:"footers"`             // octets
	Read          int64   `json:"read"`                // octets
	Amplification float64 `json:"write_amplification"` // all that was written over Written; 0 if nothing was

	Damaged        int64 `json:"damaged"` // records and footers that were not what had been written
	Errors         int64 `json:"errors"`  // of reading and writing
	RefusedReads   int64 `json:"reads_refused"`
	LostTombstones int64 `json:"tombstones_lost"`
	Unindexed      int64 `json:"unindexed"`
}

// Purges is what is remembered of purges.
type Purges struct {
	Epoch     uint64       `json:"epoch"`    // of the node's, in its log
	Revision  cdn.Revision `json:"revision"` // of the fleet's, that has been applied
	Entries   int          `json:"entries"`
	Folded    uint64       `json:"folded"`
	LogOctets int64        `json:"log_octets"`
	Failures  uint64       `json:"failures"`
}

// Sweep is what the search for what has been purged has done.
type Sweep struct {
	Running bool  `json:"running"`
	Passes  int64 `json:"passes"`
	Looked  int64 `json:"looked"`
	Removed int64 `json:"removed"`
}

// Verify is what the verification in the background, and those that were asked for, have done.
type Verify struct {
	Rate    cdn.Size `json:"rate"` // octets in a second in the background; 0: never
	Passes  int64    `json:"passes"`
	Records int64    `json:"records"`
	Octets  int64    `json:"octets"`
	Damaged int64    `json:"damaged"`
	Errors  int64    `json:"errors"`
}

// Filter chooses what is listed. Its zero value lists everything.
type Filter struct {
	Site   string // name, or one of the domains
	Prefix string // of the URL
	Tier   Tier
	Limit  int // most entries; 0 for all
}

// Tier says where an object is.
type Tier string

// The tiers.
const (
	InMemory Tier = "ram"
	OnDisk   Tier = "disk"
	InBoth   Tier = "both"
)

// ParseTier parses the name of a tier; empty is any.
func ParseTier(s string) (Tier, error) {
	switch t := Tier(s); t {
	case "", InMemory, OnDisk, InBoth:
		return t, nil
	}
	return "", cdn.Errorf(cdn.Invalid, "", "tier %q: want ram, disk or both", s)
}

// Entry is one stored object in a list.
type Entry struct {
	URL     string       `json:"url"`
	Site    cdn.SiteName `json:"site"`
	Variant string       `json:"variant,omitempty"` // what the request's fields add to the key
	Vary    string       `json:"vary,omitempty"`    // the field of the response
	// Selecting are the fields of the request that Vary names, as they were in the one that brought it.
	Selecting map[string]string `json:"selecting,omitempty"`
	Status    int               `json:"status"`
	Octets    int64             `json:"octets"` // of the whole content; -1: not known yet
	Age       int64             `json:"age"`    // seconds
	TTL       int64             `json:"ttl"`    // seconds of freshness that are left, negative if it is stale
	Verdict   string            `json:"verdict"`
	Tier      Tier              `json:"tier"`
	Tags      int               `json:"tags"`
	Sliced    bool              `json:"sliced,omitempty"`
}

// Shown is all that is stored of a URL.
type Shown struct {
	URL     string         `json:"url"`
	Site    cdn.SiteName   `json:"site"`
	Keys    []cdn.CacheKey `json:"keys"` // under which it would be stored
	Objects []Object       `json:"objects"`
}

// Object is one of them.
type Object struct {
	Entry

	Key      cdn.CacheKey `json:"key"`
	Fields   []string     `json:"fields"` // of the response, each "Name: value"
	Stored   time.Time    `json:"stored"` // when the response came, or was validated last
	Born     uint64       `json:"born"`   // Purges.Epoch at that time
	Memory   string       `json:"memory"` // "head and body", "head", or "no"
	Disk     *Place       `json:"disk,omitempty"`
	Coded    []Coded      `json:"coded,omitempty"`
	Present  []Range      `json:"present,omitempty"` // of a content in slices
	Missing  []Range      `json:"missing,omitempty"`
	Unlooked int64        `json:"unlooked,omitempty"` // octets at the end of which nobody has looked
}

// Place is where on a disk a record is.
type Place struct {
	Path    string `json:"path"`
	Segment string `json:"segment"` // name of the file
	Offset  int64  `json:"offset"`
	Octets  int64  `json:"octets"` // of the record
}

// Coded is what a content coding has made of a content.
type Coded struct {
	Coding string `json:"coding"`
	Octets int64  `json:"octets"`
	Tier   Tier   `json:"tier"`
}

// Range is octets of a content, the last one included.
type Range struct {
	First int64 `json:"first"`
	Last  int64 `json:"last"`
}

// Report is what a verification has found.
type Report struct {
	Records int64 `json:"records"` // that were read
	Octets  int64 `json:"octets"`  // of them
	Damaged int64 `json:"damaged"` // of them, which have been dropped
	Errors  int64 `json:"errors"`  // records that could not be read
	Total   int64 `json:"total"`   // octets on the disks at the start, replaced ones included
}

// Dropped is what has been removed.
type Dropped struct {
	URL     string `json:"url"` // "all" for everything
	Keys    int    `json:"keys"`
	Objects int64  `json:"objects"` // that were there; of everything, those in memory and those on disk are counted each
}
