// Package paths turns what edges see of their visitors, and what they probe, into groups of visitors with the quality of their ways to the
// POPs that are worth considering, into links between POPs and to origins, and into who asks for how much.
//
// Groups are places with visitors, and networks of their own where no place is known or where another POP is better than the place's.
// What is said of a group stands still until it has moved by more than a dead-band, so that a map that is made of it stands still, too.
//
// It is pure: now is a value, and the same reports in the same order give the same groups. Whoever shares a [Book] guards it. It is not for
// the states of POPs and nodes, nor for what a path costs.
package paths
