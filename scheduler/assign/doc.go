// Package assign computes the map: for every group of clients, which POPs it is sent to and in which shares, so that everybody is as near
// (in cost: milliseconds) as the capacity of the POPs allows.
//
// [Solve] is the assignment of one moment, a fractional stable allocation: groups ask for their POPs in the order of cost; a POP that is full
// lets go of the traffic that loses least by going to its next choice. It is the algorithm of Gale and Shapley ("College admissions and the
// stability of marriage", 1962) for divisible quantities (Baïou and Balinski, "The stable allocation (or ordinal transportation) problem",
// 2002), which Akamai balances its clusters with (Maggs and Sitaraman, "Algorithmic nuggets in content delivery", 2015). A [Controller] puts it
// into a loop: it smooths what comes in, learns how much a POP really takes, limits what changes, and does not believe everything. That the state
// is kept at the inputs, and that the solve itself starts afresh each time, is from Edge Fabric (Schlinker et al., 2017).
//
// How the loop is kept calm and quick, each found by simulation (TestLoop):
//   - Costs and demand are taken over only when they have left a dead-band around what is in use, so that a solve of the same world gives the same map. A
//     demand that rises fast is taken for what it will be when visitors have heard of the map.
//   - A group moves only where its own cost falls by that, by a quarter in a slot; or where a POP would otherwise have too much, and then by no more than has to. Most
//     of what a fresh solve would move only makes room that is not needed yet.
//   - What a POP really takes is learnt by comparing its load with the load that it should have by the last maps, of which visitors hear only as answers expire. A plain
//     integrator of the load takes what is still under way for an error, and winds up.
//   - A POP that has too much under way is given less than it will be in the end, until that has left.
//
// What is decided is a vector of shares for each group, so a group should be much smaller than a POP. One with more demand than four POPs take
// overfills them, and the report says so: split it by prefix.
//
// Assignments are computed with integers, and what comes before them without functions in which processors differ, all in one fixed order. The same input
// gives the same bits, whatever the order of its groups and POPs, the processor and the number of its cores; so all schedulers that know the same publish the same
// [Map.Digest]. There are no goroutines, no clocks and no I/O here. A Controller is not for concurrent use, a [Map] is.
//
// It is not for measuring or estimating costs, demand and health (route quality), not for choosing a group for a client (internal/locate), not for what
// may go where (the caller leaves out of the candidates what policy denies), and not for the seconds until visitors have heard of a new map:
// only the shedding of the edge itself can help there. There is one kind of demand and of capacity: who has several resources gives the
// demand in the scarcest, and reports as load the highest utilisation of all; the controller's factor on the capacity covers the difference. With several
// kinds there would be no stable allocation that does not depend on the order in which groups ask.
package assign
