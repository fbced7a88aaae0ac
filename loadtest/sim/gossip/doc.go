// Command gossip runs the real gossip pools (routequality/gossip) on a network in memory, in virtual time, and prints what they cost and how well they
// tell the dead from the slow.
//
//	go run ./loadtest/sim/gossip --kind lan --nodes 8 --minutes 60 --loss 0.01 --starve 0.2 --kills 20 [--seeds 4] [-o json]
//	go run ./loadtest/sim/gossip --kind wan --nodes 1000 --minutes 3 --loss 0.01 --kills 2 [--matrix M.csv]
//	go run ./loadtest/sim/gossip --kind pop --seeds 4 [--minutes 43200] [--loss 0.01 --starve 0.2]
//
// The third is no pool: it says how often the votes on a living POP (loadtest/sim/votes) would remove it, of so many months, and how long the death of
// one takes to be known.
//
// Killed nodes lose their power: nothing comes from them or answers them any more. A living node that any other takes for dead is a false removal,
// once for each time, however many believe it.
//
// Starved nodes stand still for a share of their time, at random, for stretches of 100 ms on average (--stretch) and five times that at most: what
// arrives and what they send waits meanwhile. Every node is starved, each for itself. That is harsher than what a share of a processor taken away does
// in fact: a quota of 80 % is enforced in pieces of 20 ms out of each 100, and a whole second without the processor is not starvation but an outage,
// which no protocol that has to find the dead within 1.5 s can tell from death. Their clocks run on: timers fire in a stretch and find that the answers,
// which wait, have not come; a real process that wakes up finds both. So nobody is asked what it believes until 10 ms after it has woken up.
//
// The matrix's first row and first column are site ids, its cells round trips in milliseconds, blank is unknown. Nodes are spread over the sites. Without
// one, nodes of a LAN are 0.2 ms from each other, and those of a WAN are at random places of the globe.
//
// The network and the starving depend on the seed; the protocol throws dice of its own, so that two runs differ. The processor's time includes the
// simulated network's.
package main
