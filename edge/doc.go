// Package edge is the cache of Nearcast. One program serves both tiers: an edge
// (L1) node serves visitors and asks its region's regional (L2) nodes on a miss; a
// regional node serves edge nodes and asks the customer's origin. Alone, without a
// fleet, it is a caching reverse proxy.
//
// A request's way is request.go, top to bottom; what a fetch does with its answer is
// fetch.go; whom it asks is upstream.go. The rules of HTTP caching are in httpcache, the shared
// fetch in fill, the stored objects in store, the hosts in route.
//
// It is not for speaking to origins (package origin does that, behind [Origin]), for
// getting configurations and purges here (they are handed in), or for choosing which
// visitor comes to which node.
package edge
