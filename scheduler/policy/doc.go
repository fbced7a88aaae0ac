// Package policy says what an operator's policies mean for a visitor: which POPs may be chosen, which one is, and which
// are cheaper or dearer.
//
// A [Set] is policies compiled for a fleet and its visitors' places; [Set.At] says which of them are in force at a time, and
// [Active.Verdict] what those come to for a visitor. It is pure: time comes in as a value. Whoever uses it and has windows with time
// zones needs the zones' database: import time/tzdata into the program where the machine may have none.
//
// It is not for the choice itself: that is package decide, and package steer for the map.
package policy
