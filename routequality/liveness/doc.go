// Package liveness decides which nodes and POPs are alive, from what the POPs' reporters say of their neighbours and from the votes
// of those who probe POPs from elsewhere.
//
// It is pure: now is a value, and whoever shares a [Tracker] guards it. It is not for measuring, nor for where visitors go: a missing
// measurement takes nobody out, and what else can fail is the business of whoever uses the states.
package liveness
