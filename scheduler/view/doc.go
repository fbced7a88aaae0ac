// Package view joins what the operator wants (a configuration) with what was
// measured (a route table) into one immutable value that answers are made from.
//
// A [Plan] is what can be computed once for a configuration; a [View] is a plan
// with the health of the moment. Both are pure: time comes in as a value. Neither
// is for choosing: that is package decide.
package view
