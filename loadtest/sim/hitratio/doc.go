// Command hitratio replays a trace of requests against the cache's store, and against rival policies, and prints how much of it
// they find.
//
//	go run ./loadtest/sim/hitratio --trace FILE --format text|oracle|int32|tragen --ram 1% --disk 10% [--policy live|lru|...|all]
//
// Traces are read as they were published, compressed or not (.xz, .gz):
//
//	text    lines of "time id size", with anything behind
//	oracle  oracleGeneral of libCacheSim: records of 24 octets, little-endian: time uint32, id uint64, size uint32, next access int64
//	int32   big-endian numbers of 32 bits, which are ids; every object is of one octet
//	tragen  no trace but the folder of a model of Akamai's traffic, from which one is made: --requests, --seed, --shrink
//
// A share such as 1% is of the footprint: what all objects of the trace take together, each at its largest. With --disk 0 there is RAM only.
//
// It is not for load: nothing is sent anywhere and time does not pass.
package main
