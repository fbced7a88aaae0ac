// Package table makes the published view of the fleet: which nodes the operator
// has, joined with what is known of their state, as a versioned [cdn.RouteTable].
//
// It is pure: no clock, no network. It is not for deciding who gets which visitors;
// schedulers do that.
package table
