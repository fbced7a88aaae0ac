// Package routequality knows, in real time, the health of every node and tells it
// to the schedulers: it watches a gossip pool, joins what it hears with the
// operator's fleet, and publishes an immutable, versioned route table that
// schedulers follow by long polling.
//
// It is not for decisions. A table says what was seen; which POP a visitor gets is
// the scheduler's business, which also survives without any table.
package routequality
