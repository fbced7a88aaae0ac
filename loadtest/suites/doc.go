// Package suites runs conformance suites that other people wrote against the program
// itself, as a stand-alone edge: the public HTTP caching tests (npm http-cache-tests)
// and a set of raw request streams about framing and smuggling. What may fail is in
// expected.txt, each with its argument; a failure that is not in there and an entry
// that no longer fails are both errors.
//
// It is not for our own tests of the rules (package edge/conformance) and holds none
// of the suites: they are found through NEARCAST_SHARED, and without it the tests skip.
package suites
