// Package edge is the cache of Nearcast. One program serves both tiers: an edge
// (L1) node serves visitors and asks its region's regional (L2) nodes on a miss; a
// regional node serves edge nodes and asks the customer's origin. Alone, without a
// fleet, it is a caching reverse proxy.
//
// A visitor comes in by listen.go: front accepts, tlscert shakes hands, http1 or http2 reads the request, and hit is what they say to
// lane.go, which answers fresh hits out of memory; visit.go is what that keeps for a connection, face.go what it keeps for an
// object. All else is an exchange. Its way is request.go (what it is for, and who asks), then serve.go (the
// decision: from the store, from a fill, or passed on), then answer.go (from what), content.go (which part of it),
// deliver.go (onto the wire). The ways that branch off have files of their own: pass.go, upgrade.go, coded.go,
// options.go. A fill is fetch.go (the errand), upstream.go (whom it asks), arrival.go (what came, and what of it is stored), body.go
// (moving it, and going on where it broke off). What the node leaves undone because it is overloaded is shedding.go; measure.go is
// how it knows that. Large contents are kept in slices: slices.go stores them, source.go puts
// octets of the store and of fills together again. record.go is the access log's line, recorder.go its writer.
//
// How busy the node is, is in load, what it sees of its visitors in visitors, what follows from overload in shed.
//
// The rules of HTTP caching are in httpcache, those of the site in rules, content codings in coding, the shared
// fetch in fill, the stored objects in store, the hosts in route, what all versions of HTTP agree on in grammar;
// conformance proves the whole.
//
// It is not for speaking to origins (package origin does that, behind [Origin]), for
// getting configurations and purges here (they are handed in), or for choosing which
// visitor comes to which node.
package edge
