// Package grammar reads the parts of a message that mean the same in every version of HTTP: tokens, field
// values, hosts, lengths, lists, and which trailers and contents there may be. There is one reading of each, so that no two servers here disagree.
//
// It is not for what a version frames in its own way: that is in the version's package.
package grammar
