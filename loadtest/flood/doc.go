// Command flood attacks an edge, one class of denial of service after the other, and shows what becomes of those who mean no
// harm.
//
//	go run ./loadtest/flood --help
//	go run ./loadtest/flood --list
//	go run ./loadtest/flood --attack h2-rapid-reset,h1-slowloris --seconds 20
//	make test-flood                                        # all of them, 20 s each, with the limits
//
// For each attack it starts an origin and an edge (or takes one that runs, with --edge and --tls), lets victims ask for a hit at a
// constant rate, first undisturbed and then while attackers are at it, and reports the victims' share of successes and latency, the
// edge's memory, files and goroutines before, at their peak and after, and what the edge's log says of the attackers.
//
// Victims ask over HTTP/1.1, over TLS and over HTTP/2, each on a connection of its own, when a request is due whether or not
// the last one was slow: what a stall delays is late, and what is never sent has failed. Attackers are package
// attack: a process of its own on a core of its own, from addresses of 127.1.0.0/16, that reconnects at once when it is cut
// off. The edge has the other core. Victims share the attackers' core and go first there if the system allows it.
//
// What the memory may grow by has a part for each attacker. 96 KiB are what the dearest of the honest costs: a connection of HTTP/2 with
// a hundred requests under way. A handshake that waits for its client takes 50 KiB, and so does an upload on its way through.
//
// The share, the memory and the log mean something on any machine. The latency means something only while nothing else runs.
package main
