package front

// What the kernel may hold for visitors that it cannot send, because they do not take it.
//
// Slow visitors of large contents are many and cheap, and what the kernel holds for all of them is one budget of the machine's
// (tcp_mem): when that is used up, everybody's connections crawl. 1 MiB is a slice: with less, each is sent in several turns, which
// costs a third more.
const (
	unsentBudget = 256 << 20 // octets, of all connections
	mostUnsent   = 1 << 20   // of one
	leastUnsent  = 16 << 10  // of one, however many there are
)

// unsentOf is how much of a new connection's octets the kernel may hold unsent when there are n connections.
func unsentOf(n int) int {
	return min(max(unsentBudget/max(n, 1), leastUnsent), mostUnsent)
}
