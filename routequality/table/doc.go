// Package table makes the published view of the fleet, as a sequence of versions of a [cdn.RouteTable], and remembers the last of them as
// differences, so that who follows gets each of them, in order, at little cost.
//
// It knows no clock and no network. It is not for what is in the tables, nor for who gets which visitors.
package table
