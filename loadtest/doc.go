// Package loadtest proves that a CDN holds: k6 scripts in k6/, run against a CDN that is up. Its tests run the scripts
// against a lab of their own. Below it, bench measures what a hit costs beside other caches, flood attacks an edge,
// crash ends it in every way, fronts asks a scheduler over all of its fronts, and suites lets other people's tests and
// clients at one.
//
// It is not for unit tests of a part, which live beside the part.
package loadtest
