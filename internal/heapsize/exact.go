//go:build !race

package heapsize

// Exact is whether programs take what this package says. Under the race detector they take more.
const Exact = true
