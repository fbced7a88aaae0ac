// Package suites runs conformance suites that other people wrote against the program
// itself, as a stand-alone edge: the public HTTP caching tests (npm http-cache-tests)
// a set of raw request streams about framing and smuggling, and h2spec about HTTP/2. What may fail is in
// expected.txt, each with its argument; a failure that is not in there and an entry
// that no longer fails are both errors. It also lets other people's clients, such as a browser,
// visit an edge in every protocol.
//
// It is not for our own tests of the rules (package edge/conformance) and holds none
// of the suites: the first two are found through NEARCAST_SHARED and `make` builds h2spec; a test whose suite
// or client is missing skips.
package suites
