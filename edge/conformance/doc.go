// Package conformance proves, sentence by sentence, that the edge does what the RFCs
// ask of a shared cache: RFC 9111, 5861, 8246, 9211, 9213, 8586, and the parts of RFC
// 9110 about forwarding, conditional requests and ranges. Each requirement is a row of
// a table with its level, our words for it, and either a test that runs a real edge
// before a scripted origin or the reason why there is none. docs/conformance.md is
// written from the same tables.
//
// It holds tests only. It is not for unit tests of the rules (they are beside them, in
// httpcache) or for behaviour that no RFC asks for (edge's own tests).
package conformance
