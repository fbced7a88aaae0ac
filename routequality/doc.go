// Package routequality knows, in real time, the health of every node and POP, what they carry and how good the ways to visitors are,
// and tells it to the schedulers: POPs report to it each second, it probes every POP itself, and publishes an immutable, versioned route
// table that schedulers follow by long polling. What is made of the reports is the business of the pure packages below it: liveness,
// paths, capacity, estimate and table.
//
// It is not for decisions. A table says what was seen; which POP a visitor gets is the scheduler's business, which also survives
// without any table.
package routequality
