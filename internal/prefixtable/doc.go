// Package prefixtable maps address prefixes to small numbers and says how far around an address an answer holds.
//
// Prefixes that nest are cut into disjoint ranges when the table is made, and neighbours with the same number are joined. It is
// the leaves of a prefix trie, side by side in arrays: a lookup is one binary search without allocations, and the shortest
// prefix in which every address has the same number follows from where the range's neighbours begin.
//
// It is pure, and not for tables that change: a change makes a new one.
package prefixtable
