// Package grammar checks the parts of a message that mean the same in every version of HTTP: tokens, field
// values, hosts, lengths and lists. There is one reading of each, so that no two servers here disagree.
//
// It is not for what a version frames in its own way: that is in the version's package.
package grammar
