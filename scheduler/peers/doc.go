// Package peers keeps the schedulers of a fleet at one map. Each makes its own, from the same route tables by the same arithmetic, so mostly there is
// nothing to do. But a map also depends on the steps before it: a scheduler that has been started anew, or that has missed a table, makes another one. So
// each compares its newest maps with the others', and if they differ takes over the state of the one that has seen most steps (of equals: the
// one whose name comes first). One that has just started takes it over before it makes a map of its own.
//
// Nobody leads: a scheduler that reaches no other goes on alone. It is not for the health of schedulers.
package peers
