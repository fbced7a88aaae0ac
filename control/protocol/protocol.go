package protocol

import "time"

// The streams of the two logs.
const (
	StreamSnapshots = "SNAPSHOTS" // one entry per version of the configuration
	StreamPurges    = "PURGES"    // one entry per purge
)

// The subjects.
const (
	Snapshot     = "nearcast.snapshot"      // stored in StreamSnapshots
	Purge        = "nearcast.purge"         // stored in StreamPurges
	LiveSnapshot = "nearcast.live.snapshot" // header of each stored snapshot
	LivePurge    = "nearcast.live.purge"    // each stored purge
	HeadBeat     = "nearcast.head"          // a Head, every HeadInterval
	HeadRequest  = "nearcast.head.get"      // answered with a Head
	Report       = "nearcast.report."       // followed by a node's name
	Explain      = "nearcast.explain."      // followed by a node's name
	// Direct followed by a stream's name reads entries (NATS ADR-31).
	Direct = "$JS.API.DIRECT.GET."
	// NodeInbox followed by a node's name is where answers to it go. It differs from
	// the control plane's own, so that a node cannot listen to that one.
	NodeInbox = "_NODE."
)

// The users.
const (
	UserControl = "control" // everything; connects within the process only
	UserNode    = "node"    // what a node needs and nothing else
)

// Times that both sides build on.
const (
	// HeadInterval is the distance of two HeadBeats.
	HeadInterval = time.Second
	// ReportInterval is the longest distance of two reports of a node.
	ReportInterval = 2 * time.Second
)

// Headers of stored entries.
const (
	HeaderSequence = "Nats-Sequence"   // the entry's number, added by the stream
	HeaderDigest   = "Nearcast-Digest" // of a snapshot: its content's digest
	HeaderSum      = "Nearcast-Sum"    // of a snapshot: SHA-256 of the entry's octets, hex
	HeaderAt       = "Nearcast-At"     // of a snapshot: when it was made, RFC 3339
	HeaderBy       = "Nearcast-By"     // of a snapshot: who made it
	HeaderSites    = "Nearcast-Sites"  // of a snapshot: how many sites it has
	HeaderStatus   = "Status"          // of a direct get: 204 end of batch, 404 nothing
	MetadataLogID  = "nearcast-log-id" // of a stream: its identity
	StatusEnd      = "204"             // no further entries in this answer
	StatusNone     = "404"             // no entry with this number or a higher one
)

// Log is the state of a log. Two logs with equal IDs have equal entries at equal
// numbers, so that a number is a cursor only together with an ID.
type Log struct {
	ID string `json:"id"`
	// First is the oldest entry still there; Last+1 if there is none.
	First uint64 `json:"first"`
	// Last is the newest entry ever; zero if there was none.
	Last uint64 `json:"last"`
}

// Head is the state of both logs at one moment.
type Head struct {
	Snapshots Log `json:"snapshots"`
	Purges    Log `json:"purges"`
}

// DirectGet asks a stream for entries.
type DirectGet struct {
	Seq      uint64 `json:"seq"`                 // the first number wanted
	Batch    int    `json:"batch,omitempty"`     // at most so many entries; zero means one, without end mark
	MaxBytes int    `json:"max_bytes,omitempty"` // stop after so many octets; zero means the server's limit
}
