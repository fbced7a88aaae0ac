// Command routing drives the solver (scheduler/assign) and the estimators (routequality/estimate) against a simulated world, and beside them what other
// systems do: the nearest POP by geography, and geography with a threshold of load.
//
//	go run ./loadtest/sim/routing --scenario flash+loss --pops 60 --seeds 20 [--matrix M.csv --sites S.csv] [--schedulers 3] [--chart FILE] [--gossip=false] [-o json]
//	go run ./loadtest/sim/routing --convert DIR --matrix M.csv --sites S.csv
//
// The matrix's first row and first column are site ids, its cells milliseconds; blank is unknown. The sites have a header that names at least id, lat and lon,
// and optionally population. Without a matrix a network is made for each seed, which is wrong about geography about as often as real ones are.
// --convert makes the two files from a folder of WonderNetwork's pings.
//
// Each seed draws which sites have a POP. Visitors are at all others, in number as the population, and follow the map as resolvers do: one in
// twenty asks again each second. A POP has one and a half times the capacity that its controller needs of it in the steady state. After a quarter of an hour of
// measuring, 40 minutes are counted. Nothing but the seed decides what happens.
//
// Below the table it prints what the gossip of such a fleet costs and how soon deaths are known: the real pools (loadtest/sim/pools) of one POP and of all
// POPs' gateways, for a short virtual time, and the votes on a POP that dies (loadtest/sim/votes). Pools throw dice of their own, so the world does not wait
// for them but assumes delays, which are printed beside. -o json prints the world's results alone.
//
// It is not for load: nothing is sent anywhere.
package main
