// Package votes finds how well the votes of those who probe a POP from elsewhere tell whether it is alive. It drives the code that decides
// (routequality/probe's Verdict and routequality/liveness's Tracker) with the outcomes of probes in a simulated network of one POP of two nodes, three
// POPs that vote on it by one reporter each, and a route-quality server that votes and counts.
//
// A voter opens a connection to both nodes every 500 ms, as probe.Prober does, and a node that answers within 1 s is enough. Packets are lost each for
// itself; a kernel sends a lost SYN or SYN-ACK again after 1 s, which is too late. Machines stand still as in loadtest/sim/pools: nothing that arrives is
// answered meanwhile, also not by the kernel. A voter that stands still at the time-out and wakes within 250 ms of it counts a miss even if the
// answer waits for it, and later than that the probe is skipped, as the prober does. Votes are reported each second, and 20 ms after they have changed,
// over connections on which a lost packet costs 200 ms and a round trip, then twice as much.
//
// It is worse than the real thing in that each POP has two reporters of which one that gets an answer is enough, and better in that what is lost is lost
// independently of each other. The seed decides everything.
package votes
