// Package policy decides what a cache lets go of: the policy that the RAM tier lives by ([Live]), and its rivals
// ([LRU], [SIEVE], [S3FIFO], [WTinyLFU], [FIFO], [Threshold]) for shadow caches and for the simulator.
//
// It knows entries by a 64-bit hash and a size in octets and holds nothing else of them. It is not for bodies, keys or freshness, reads no
// clock, starts nothing and locks nothing: but for [Live.Use] its user keeps callers apart.
//
// All of them keep their entries in slabs without pointers, linked by 32-bit numbers, so that a million of them are nothing to the garbage
// collector.
package policy
