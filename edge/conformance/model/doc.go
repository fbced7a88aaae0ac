// Package model compares edge/httpcache with a second, smaller reading of RFC 9111,
// written from its text alone: random histories of requests, answers and passing time go
// through both, and whatever one of them does that the other does not allow is an error.
//
// The reference knows what a message says because it made the message up; it parses
// nothing. Where the RFC leaves a choice, it allows both sides. It is not for proving
// that the edge uses httpcache well: package conformance is.
package model
