// Command fronts proves the fronts of a scheduler: a real `nearcast scheduler` that stands alone with a fleet of 40 POPs, nested networks of clients and
// policies of every kind, which are made up from a seed.
//
//	go run ./loadtest/fronts --help                          # the scenarios, and the flags
//	go run ./loadtest/fronts --scenario pairs,mutants --seconds 20
//	make test-fronts                                         # all of them in their long form; five minutes
//
// Pairs are a name and a network, asked about over DNS by UDP, TCP, TLS and HTTPS, over HTTPDNS, and of the redirecting front: all must say the same.
// Mutants and floods come while honest clients ask over every front whenever a question is due, whether or not the last one was slow, and know the
// answers: none may be lost or wrong. Clients other than 127.0.0.1, which the limit of rates lets be, ask below that limit.
//
// A crowd wants all connections of DNS over TCP; those who have one keep it, and those who come get one. It takes 4,500 file descriptors of this program.
//
// Rates are of a scheduler with one core, and of load with another: what counts is the processor time of the scheduler, from /proc, for each answer, since
// load over HTTP costs more than what it loads. Latency counts from when a query was due.
//
// How often, how much and how right mean something on any machine. What takes time means something only while nothing else runs: --strict=false leaves
// those limits out.
//
// How long a node that has died is in answers is measured by package failover, which has a whole fleet.
package main
