package zone

import (
	"nearcast/cdn"
	"nearcast/scheduler/rr"
)

// Server is a name server of all zones.
type Server struct {
	// Name is the server's host name in the fleet's zone, such as ns1.cdn.test.
	Name cdn.Domain
	// Node is the machine that it is.
	Node *cdn.Node
}

// Config is what a [Set] is made of. The Set keeps parts of it, which must not be changed afterwards.
type Config struct {
	// Zone is the fleet's zone: a site's domain D is D.Zone in it. Required.
	Zone cdn.Domain
	// Zones are what is in it, and those that are delegated to the schedulers.
	Zones []cdn.Zone
	// DNS says which other names are steered, and times to live.
	DNS cdn.DNS
	// Generation is the serial of every zone.
	Generation cdn.Generation
	// Servers are the name servers: all in the fleet's zone.
	Servers []Server
	// Sites are those whose domains are steered.
	Sites []cdn.Site
	// Class tells a site's class of policies; nil gives all the class 0. Names of DNS.Steered have that of no site.
	Class func(cdn.SiteName) int
	// Nodes are the cache nodes that have names under those of sites.
	Nodes map[cdn.NodeName]*cdn.Node
}

// Zone is a zone that the schedulers are authoritative for.
type Zone struct {
	// Name is the apex in wire form, in lower case.
	Name []byte
	// Text is the apex.
	Text cdn.Domain
	// SOA is the start of authority.
	SOA rr.Set
	// NS are the zone's servers; without Data if the fleet has none.
	NS rr.Set
	// Negative is for how long "there is no such thing" may be kept, in seconds: the TTL of the SOA beside it (RFC 2308 section 3).
	Negative uint32
	// Secondaries are servers that may have copies.
	Secondaries []cdn.Secondary

	labels  int
	base    uint64 // the hash of the apex
	fleet   bool   // the fleet's own zone
	apex    static
	content *content
	above   *Zone // where it is delegated from, if that is a zone of the set
	cut     *Cut  // and how
}

// content is what the text of a zone says. Zones of several sets share it.
type content struct {
	statics  map[uint64]*static // by hash, without the apex
	apex     []rr.Set           // sets at the apex, of the text
	alias    *Alias             // at the apex
	wild     *static            // under the apex
	cuts     int
	wildcard bool
	below    []child      // the zones of the set that are delegated from here
	aliases  []cdn.Domain // the targets of all
	records  []cdn.Record // the text
}

// static is a name that exists whatever sites there are.
type static struct {
	text  string // under the apex: "www", "*.dev"
	owner []byte
	sets  []rr.Set
	alias *Alias
	cut   *Cut
	node  *cdn.Node // of a name server
	wild  *static   // what stands for names under this one that do not exist
	owns  bool      // addresses come from here, so that a site's domain of the name is not steered
}

// Alias is a name that stands for the addresses of another.
type Alias struct {
	// Target is the other name.
	Target cdn.Domain
	// TTL bounds that of answers, in seconds.
	TTL uint32
}

// Cut is where another zone begins, in most cases somebody else's.
type Cut struct {
	// Owner is the name of that zone, in wire form and lower case.
	Owner []byte
	// NS are its servers.
	NS rr.Set
	// Ours says that the zone is of the set itself: then DS is of its keys, if it has some, and not here.
	Ours bool
	// DS are digests of its keys; nil if it has none.
	DS *rr.Set
	// Glue is the addresses of servers that have names in our zone.
	Glue []Glue
}

// Glue is what a name server's addresses are.
type Glue struct {
	// Owner is the server's name, in wire form and lower case.
	Owner []byte
	// Sets are of types A and AAAA.
	Sets []rr.Set
}

// Match is what is at a name.
type Match struct {
	// Zone is the zone that the name is in; nil if it is not ours. Then all else is zero.
	Zone *Zone
	// Exists says that the name exists, though it may have no records.
	Exists bool
	// Domain is the domain for whose visitors a POP is to be chosen; empty if the name is not steered. It is also set for a name of a
	// Node under it.
	Domain cdn.Domain
	// Class is the class of policies of Domain.
	Class int
	// Node is the machine whose addresses are the name's: of a name under Domain, or of a name server if there is no Domain.
	Node *cdn.Node
	// Sets are the static records at the name, sorted by type; at the apex SOA and NS are among them.
	Sets []rr.Set
	// Alias says that the addresses are those of another name; nil if not.
	Alias *Alias
	// Cut is set if the name is at or below a delegation: then nothing else is, beside Zone and Exists.
	Cut *Cut
	// AtCut says that the name is the delegation's own, whose DS records are ours to answer.
	AtCut bool
	// Wildcard says that a wildcard stands for the name (RFC 4592).
	Wildcard bool
	// Apex says that the name is the zone's own.
	Apex bool
}

// HostMatch is what the host of an HTTP request is.
type HostMatch struct {
	// Domain is the site's domain, or the steered name; empty if the host is unknown.
	Domain cdn.Domain
	// Site is the site that has it; empty for names that are steered without one.
	Site cdn.SiteName
	// Class is its class of policies.
	Class int
	// Node is the machine that the host names under the domain, or nil.
	Node *cdn.Node
	// Redirection is how the site's requests are redirected; nil is its zero value.
	Redirection *cdn.Redirection
}
