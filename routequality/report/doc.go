// Package report is what nodes and POPs tell about themselves: the forms on the wire, what in them is refused, and who is to gather and
// to judge.
//
// A cache node says each second how busy it is, and now and then what it saw of its visitors ([Node]), to the two aggregators of its POP
// ([Aggregators]). These tell the route-quality servers each second about the POP as a whole ([POP]), and those POPs that they are
// [Voters] of.
//
// Whoever reads trusts nobody: each form has bounds, numbers that cannot be are taken out one by one and counted ([Refused]), so that a
// node with one broken sensor does not lose its heartbeat, and what was heard before changes nothing ([Guard]).
//
// It is not for what is made of the reports, nor for sending them.
package report
