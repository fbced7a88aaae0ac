// Package respond answers DNS queries, whatever they came over: octets in, octets out.
//
// A query is an exchange: respond.go reads and admits it, internet.go answers class IN by what is at the name (steered.go where that is a decision), chaos.go
// class CH; all put items into a reply, which reply.go makes fit, signs and writes. metrics.go counts it. Nothing on the way waits or, for ordinary queries, allocates.
//
// It knows no sockets, and does no transfers: what is special is handed on.
package respond
