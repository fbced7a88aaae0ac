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
// Everything is computed with integers in one fixed order: the same input gives the same bits, whatever the order of its groups and POPs,
// the processor and the number of its cores, and so all schedulers that know the same publish the same [Map.Digest]. There are no goroutines, no clocks
// and no I/O here; a Controller is not for concurrent use, a [Map] is.
//
// It is not for measuring or estimating costs, demand and health (route quality), not for choosing a group for a client (scheduler/locate), not for what
// may go where (the caller leaves out of the candidates what policy denies), and not for the seconds until visitors have heard of a new map:
// only the shedding of the edge itself can help there. There is one kind of demand and of capacity: who has several resources gives the
// demand in the scarcest, and reports as load the highest utilisation of all; the controller's factor on the capacity covers the difference. With several
// kinds there would be no stable allocation that does not depend on the order in which groups ask.
package assign
