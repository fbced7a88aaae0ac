// Command bench compares what a cache hit costs in Nearcast and in its peers: nginx, HAProxy, Varnish and Apache Traffic
// Server, those of them that are installed.
//
//	go run ./loadtest/bench --help
//	make bench                                             # all of it, half an hour; writes docs/performance.md
//	make bench BENCH_FLAGS='--seconds 1 --rounds 1 --idle-wait 5s'
//
// It starts an origin, the edge with its access log and its metrics on, as in production, and each peer with its access log off
// and one worker or thread, as caches of that origin. All servers are pinned to one core from their first instruction and
// the load to another. Every cache is filled, and then they are measured in interleaved rounds (A B C, A B C, ...), so that a
// machine that changes its speed favours nobody.
//
// # How to read the figures
//
// The figure is processor time per request: user and system time of the server's whole tree of processes, divided by the
// responses that came. It depends little on what else the machine does, unlike requests per second, which are shown beside it
// and are those of the slower of server and load generator. Compare within one run only: the ratio to a peer
// is the result, the microseconds are of that machine on that day. The p99 is of a closed loop at saturation:
// it says how evenly a server treats its connections, not what a visitor sees.
//
// A row that a limit is set for says whether it holds. A server that asked the origin while it was measured, or answered
// with errors, is shown with a remark: its figure is not one of hits.
//
// It is not a load test of a CDN (loadtest/k6), and proves nothing about answers (edge/conformance).
package main
