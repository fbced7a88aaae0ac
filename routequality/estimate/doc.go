// Package estimate turns measurements into what is believed of the network: round trips, loss and success of the path from a group of
// visitors to a POP, the health of a POP that comes and goes, and which POPs are worth measuring at all.
//
// Nothing here reads a clock: now is a value, and the same samples in the same order give the same estimates. Nothing is safe for
// concurrent use; whoever shares an estimator guards it.
//
// It is not for choosing: what a path costs, and who gets which POP, is the scheduler's business.
package estimate
